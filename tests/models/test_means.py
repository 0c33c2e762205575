"""Mean hidden states are those of transformers' own output, whatever shares the batch."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen3Config

from models.means import mean_states, mean_states_as_published

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
CONFIGS = {
    "llama": LlamaConfig(**SMALL, intermediate_size=20, num_key_value_heads=1),
    "qwen3": Qwen3Config(**SMALL, intermediate_size=20, num_key_value_heads=1, head_dim=8),
    "gpt_neox": GPTNeoXConfig(**SMALL, intermediate_size=20),
    "gpt2": GPT2Config(vocab_size=50, n_embd=16, n_layer=3, n_head=2),
}
TEXTS = [[1, 2, 3, 4, 5, 6, 7], [8], [9, 10, 11], [1, 2, 3, 12], [13, 14], [15, 16, 17, 18, 19]]


def model_of(kind):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIGS[kind]).eval()


def collected(found, count):
    together = dict(pair for places, means in found for pair in zip(places, means, strict=True))
    return np.stack([together[place] for place in range(count)])


@pytest.mark.parametrize("kind", CONFIGS)
def test_means_are_those_of_each_text_alone(kind):
    model = model_of(kind)
    with torch.no_grad():
        alone = [model(torch.tensor([text]), output_hidden_states=True).hidden_states for text in TEXTS]
    wanted = [torch.stack([own[0, min(1, len(text) - 1) :].mean(0) for own in all_[1:]]) for all_, text in
              zip(alone, TEXTS, strict=True)]  # fmt: skip
    for tokens in (1, 8, 100):
        assert np.allclose(collected(mean_states(model, TEXTS, 0, tokens), 6), torch.stack(wanted), atol=1e-5)
    other = collected(mean_states(model, TEXTS[::-1], 49), 6)[::-1]
    assert np.allclose(other, torch.stack(wanted), atol=1e-5)  # neither the order nor the padding's token matters


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_published_way_averages_padding_in(kind):
    model = model_of(kind)
    width = max(map(len, TEXTS))
    ids = torch.tensor([[0] * (width - len(text)) + text for text in TEXTS])
    mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in TEXTS])
    with torch.no_grad():
        states = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    wanted = torch.stack([own.mean(1) for own in states], 1)
    for tokens in (1, 15, 100):
        assert np.allclose(collected(mean_states_as_published(model, TEXTS, 0, tokens), 6), wanted, atol=1e-5)


def test_no_hook_and_no_mode_is_left_behind():
    model = model_of("llama").train()
    list(mean_states(model, TEXTS, 0))
    assert model.training and not any(module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_adapter_is_read_through():
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        model_of("llama"), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    ).eval()
    with torch.no_grad():
        states = model(torch.tensor([TEXTS[0]]), output_hidden_states=True).hidden_states[1:]
    wanted = torch.stack([own[0, 1:].mean(0) for own in states])
    assert np.allclose(collected(mean_states(model, TEXTS[:1], 0), 1)[0], wanted, atol=1e-5)
