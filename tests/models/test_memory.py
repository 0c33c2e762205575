"""Planned bytes against those that are there: tensors counted, what autograd keeps, DeepSpeed's own estimators."""

from contextlib import nullcontext
from dataclasses import replace
from itertools import accumulate

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.profiler import ProfilerActivity, profile
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
from trl.trainer.utils import add_fused_lm_head

from models import flops, memory, sizes

SIZES = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 80}
SIZES |= {"intermediate_size": 700, "vocab_size": 500, "tie_word_embeddings": False}
ROWS, LENGTH = 2, 64
KINDS = {"qwen3": (Qwen3ForCausalLM, Qwen3Config), "llama": (LlamaForCausalLM, LlamaConfig)}
WAYS = {  # torch's type, autocast, the plan's precision
    "float32": (torch.float32, False, memory.precision("float32", "no", 0)),
    "autocast": (torch.float32, True, memory.precision("float32", "bf16", 0)),
    "bfloat16": (torch.bfloat16, False, memory.precision("float32", "bf16", 3)),
}


def make(kind="qwen3", attention="sdpa", dtype=torch.float32, layers=2, **sized):
    torch.manual_seed(0)
    model, config = KINDS[kind]
    return model(config(**SIZES | sized, num_hidden_layers=layers, attn_implementation=attention)).to(dtype).train()


def size(model):
    config = model.config.to_dict()
    return sizes.shape(config), sizes.parameters(config), sizes.head_norms(config)


def kept(model, autocast=False, work=None):
    """Bytes of all tensors that autograd keeps of a forward pass, each storage once, parameters left out."""
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found, alive = {}, []

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    ids, mask = torch.randint(5, 100, (ROWS, LENGTH)), torch.ones(ROWS, LENGTH, dtype=torch.long)
    mask[0, :5] = 0
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        out = (work or model.model)(input_ids=ids, attention_mask=mask, use_cache=False)
    return sum(found.values()), out


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_activations_are_what_autograd_keeps(kind, attention, way):
    dtype, autocast, widths = WAYS[way]
    model = make(kind, attention, dtype)
    shape, own, head_norms = size(model)
    planned = memory.activations(shape, own, ROWS, LENGTH, widths, attention, head_norms, False)
    assert planned == pytest.approx(kept(model, autocast)[0], rel=0.001)


@pytest.mark.parametrize("way", ["float32", "bfloat16"])
def test_checkpointing_keeps_the_input_of_each_layer(way):
    dtype, _, widths = WAYS[way]
    model = make(dtype=dtype, layers=4)
    model.activation_checkpointing_enable({"use_reentrant": False})
    shape, own, head_norms = size(model)
    planned = memory.activations(shape, own, ROWS, LENGTH, widths, "sdpa", head_norms, True)
    assert planned == pytest.approx(kept(model)[0], rel=0.06)  # masks, ids


def peak(work):
    """The most bytes that torch has allocated at a time while `work` ran, beside what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [one for one in profiled.profiler.kineto_results.events() if one.name() == "[memory]"]
    return max(accumulate(one.nbytes() for one in sorted(events, key=lambda one: one.start_ns())))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_peak_of_a_forward_and_backward_pass(way, checkpointing):
    """Measured by torch's profiler on a warm model, whose gradients are there, with the head that the trainers use."""
    (dtype, autocast, widths), length = WAYS[way], 4 * LENGTH
    model = make(dtype=dtype, layers=3)
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    ids, mask = torch.randint(5, 100, (ROWS, length)), torch.ones(ROWS, length, dtype=torch.long)
    mask[0, :5] = 0

    def work(head):
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            if head:
                labels = ids.masked_fill(mask == 0, -100)
                out = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True).log_probs
            else:
                out = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        out.float().mean().backward()

    work(head=True)
    shape, own, head_norms = size(model)
    given = (shape, own, ROWS, length, widths, "sdpa", head_norms, checkpointing)
    layers, copies = memory.activations(*given), memory.copies(own, widths) if checkpointing else 0
    head = memory.logits(shape, ROWS * length, widths, trained=True, fused=False)
    assert layers + copies + head == pytest.approx(peak(lambda: work(head=True)), rel=0.1)
    assert layers + memory.backward(*given) == pytest.approx(peak(lambda: work(head=False)), rel=0.1)


@pytest.mark.parametrize("way", ["float32", "bfloat16"])
def test_parameters_gradients_and_optimizer_to_the_byte(way):
    dtype, _, _ = WAYS[way]
    model = make(dtype=dtype)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randint(5, 100, (1, 8))).logits.sum().backward()
    optimizer.step()
    planned = memory.states(
        size(model)[1], size(model)[1].total, size(model)[1].total, memory.precision(way, "no", 0), 0, "none", 1
    )
    nbytes = [sum(one.nbytes for one in model.parameters()), sum(one.grad.nbytes for one in model.parameters())]
    moments = [one[name].nbytes for one in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    assert [planned.parameters, planned.gradients, planned.optimizer] == [*nbytes, sum(moments)]


def test_the_logits_of_a_large_vocabulary():
    """152k columns, as Qwen3 has them: a forward pass keeps them in float32; the plan counts their gradients, too."""
    model = make(layers=1, vocab_size=151936, hidden_size=32, dtype=torch.bfloat16)

    def work(**given):
        labels = given["input_ids"].clone()
        return model(**given, labels=labels).loss

    shape, own, head_norms = size(model)
    widths = WAYS["bfloat16"][2]
    body = memory.activations(shape, own, ROWS, LENGTH, widths, "sdpa", head_norms, False)
    measured = kept(model, work=work)[0] - body
    forward = ROWS * LENGTH * shape.vocab_size * 4  # what cross entropy keeps: log-probabilities in float32
    assert measured == pytest.approx(forward, rel=0.02)
    planned = memory.whole_logits(shape, ROWS * LENGTH, widths)
    assert planned == ROWS * LENGTH * shape.vocab_size * (2 + 4 + 4 + 2)
    large = 64 * 1024
    assert memory.logits(shape, large, widths, True, fused=True) < memory.whole_logits(shape, large, widths) / 50


def test_the_cache_is_as_large_as_transformers_own():
    model = make().eval()
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model(torch.randint(5, 100, (3, 40)), past_key_values=cache)
    held = sum(part.nbytes for layer in cache.layers for part in (layer.keys, layer.values))
    assert memory.cache(size(model)[0], 3 * 40, WAYS["float32"][2]) == held


def test_an_adapter_has_as_many_parameters_as_peft_makes():
    model = make()
    adapted = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    found = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    shape = replace(size(model)[0], lora_rank=8)
    assert shape.layers * flops.adapter(shape) == found


QWEN3_14B = sizes.published()["Qwen/Qwen3-14B-Base"]
SHARDED = memory.precision("float32", "bf16", 3)


def planned(stage, offload, processes):
    own = sizes.parameters(QWEN3_14B)
    return memory.states(own, own.total, own.total, SHARDED, stage, offload, processes)


@pytest.mark.parametrize("nodes", [1, 4])
@pytest.mark.parametrize("offload", ["none", "optimizer", "all"])
def test_zero_3_against_deepspeeds_estimator(offload, nodes):
    """Its estimate holds one layer at a time, parameters and gradients; ours as much as DeepSpeed lets live."""
    stage3 = pytest.importorskip("deepspeed.runtime.zero.stage3")
    own = sizes.parameters(QWEN3_14B)
    asked = {"cpu_offload": offload != "none", "cpu_offload_params": offload == "all", "additional_buffer_factor": 1}
    host, device, layer = stage3.estimate_zero3_model_states_mem_needs(own.total, own.layer, 8, nodes, **asked)
    found = planned(3, offload, 8 * nodes)
    assert found.device - found.working == pytest.approx(device - layer, abs=8)
    if offload != "none":
        assert 8 * found.host == pytest.approx(host, abs=8)


@pytest.mark.parametrize("nodes", [1, 4])
def test_zero_2_against_deepspeeds_estimator(nodes):
    """It adds the bfloat16 gradients of a partition, which here pass through the buckets."""
    stage2 = pytest.importorskip("deepspeed.runtime.zero.stage_1_and_2")
    total = sizes.parameters(QWEN3_14B).total
    host, device = stage2.estimate_zero2_model_states_mem_needs(total, 8, nodes, cpu_offload=False)
    found = planned(2, "none", 8 * nodes)
    assert found.device - found.working + 2 * total / (8 * nodes) == pytest.approx(device, abs=8)
    host, device = stage2.estimate_zero2_model_states_mem_needs(total, 8, nodes, True, additional_buffer_factor=1)
    found = planned(2, "optimizer", 8 * nodes)
    assert found.device - found.working == pytest.approx(device, abs=8)


def test_stages_take_less_and_less():
    each = [planned(stage, "none", 8).device for stage in (1, 2, 3)]
    assert each == sorted(each, reverse=True)
    assert planned(3, "none", 8).device > planned(3, "none", 16).device
    assert planned(3, "all", 8).device < planned(3, "optimizer", 8).device < planned(3, "none", 8).device
