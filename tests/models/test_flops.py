"""Counted FLOPs against those that torch sees in the model's own forward, backward and generation."""

import copy
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    DynamicCache,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from models import flops

SIZES = {"vocab_size": 200, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}


def make(kind):
    torch.manual_seed(0)
    if kind == "qwen3":  # grouped queries, heads wider than hidden_size / heads, tied
        shared = {"num_key_value_heads": 2, "head_dim": 24, "intermediate_size": 150, "tie_word_embeddings": True}
        model = Qwen3ForCausalLM(Qwen3Config(**SIZES, **shared))
    elif kind == "llama":  # every head its own keys, no head_dim given, untied
        model = LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=150, tie_word_embeddings=False))
    else:  # an MLP without a gate
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, intermediate_size=150))
    model.set_attn_implementation("eager")  # torch counts nothing in the CPU kernel of sdpa
    return model


@pytest.fixture(scope="module", params=["qwen3", "llama", "gpt_neox"])
def model(request):
    return make(request.param)


def seen(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def ids(rows, length):
    return torch.randint(5, 200, (rows, length), generator=torch.Generator().manual_seed(1))


def test_forward_with_all_or_some_logits(model):
    given = flops.shape(model.config.to_dict())
    with torch.no_grad():
        assert seen(lambda: model(ids(3, 40), use_cache=False)) == pytest.approx(
            3 * flops.forward(given, 40, 40), rel=0.01
        )
        scored = seen(lambda: model(ids(3, 40), use_cache=False, logits_to_keep=15))
    assert scored == pytest.approx(flops.score(given, [(25, 15)] * 3), rel=0.01)


@pytest.mark.parametrize("recomputed", [False, True])
def test_training_with_and_without_gradient_checkpointing(model, recomputed):
    given = flops.shape(model.config.to_dict())
    model.train()
    if recomputed:
        model.activation_checkpointing_enable({"use_reentrant": True})
        model.enable_input_require_grads()
    measured = seen(lambda: model(ids(3, 40), use_cache=False, logits_to_keep=15).logits.sum().backward())
    model.eval()
    if recomputed:
        model.activation_checkpointing_disable()
        model.disable_input_require_grads()
    assert measured == pytest.approx(flops.train(given, [(25, 15)] * 3, recomputed), rel=0.01)


@pytest.mark.parametrize("recomputed", [False, True])
def test_training_an_adapter(recomputed):
    """Inputs need a gradient here, as in every layer but the first of a run without checkpointing."""
    from peft import LoraConfig, get_peft_model

    plain = make("llama")
    given = flops.shape(plain.config.to_dict(), lora_rank=8)
    model = get_peft_model(plain, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")).train()
    model.enable_input_require_grads()
    if recomputed:
        plain.activation_checkpointing_enable({"use_reentrant": True})
    measured = seen(lambda: model(input_ids=ids(3, 40), use_cache=False, logits_to_keep=15).logits.sum().backward())
    assert measured == pytest.approx(flops.train(given, [(25, 15)] * 3, recomputed), rel=0.01)


def test_generation_with_a_cache(model):
    """Every distinct prompt is read once; then each response goes on from that cache, a token at a time."""
    model.eval()
    prompts = [row.tolist() for row in (*ids(1, 12), *ids(1, 30))]
    asked, responses = [prompts[0]] * 3 + [prompts[1]] * 2, [[9] * n for n in (1, 7, 25, 2, 40)]

    @torch.no_grad()
    def work():
        for prompt in prompts:
            read = DynamicCache(config=model.config)
            model(torch.tensor([prompt]), past_key_values=read, logits_to_keep=1)
            for response in (own for given, own in zip(asked, responses, strict=True) if given == prompt):
                cache = copy.deepcopy(read)
                for token in response[:-1]:
                    model(torch.tensor([[token]]), past_key_values=cache)

    assert seen(work) == pytest.approx(flops.generate(flops.shape(model.config.to_dict()), asked, responses), rel=0.01)


def test_a_decode_step_costs_less_than_reading_all_again():
    given = flops.shape(make("qwen3").config.to_dict())
    for cached in (1, 100, 1000):
        assert flops.decode(given, cached, 1) < flops.forward(given, cached + 1, 1)
    one_by_one = sum(flops.decode(given, 50 + step, 1) for step in range(20))
    assert flops.decode(given, 50, 20) == one_by_one


def test_a_large_model_costs_about_six_operations_a_parameter_and_token():
    """Qwen3-14B, 13.2e9 parameters besides its embedding's look-up and head; short rows, so attention adds little."""
    config = {"model_type": "qwen3", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40}
    config |= {"num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 17408, "vocab_size": 151936}
    given = flops.shape(config)
    assert flops.train(given, [(0, 100)]) == pytest.approx(6 * 14.0e9 * 100, rel=0.02)


def test_what_cannot_be_counted_is_unknown(tmp_path):
    assert flops.shape({"model_type": "qwen3_moe"}) is None
    assert flops.read(str(tmp_path)) is None
    assert flops.read("models/embedded").layers == 4


def test_counting_needs_no_torch():
    code = "import sys, models.flops; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
