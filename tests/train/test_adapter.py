"""An adapter in place of all parameters, and products in bfloat16: what is trained, saved, scored and locked."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from conf.files import read_json, read_jsonl
from data.compile import compile_dataset
from evaluation import run
from models import load
from models.adapter import adapted
from models.loading import load_configured
from train import lock, worker

SMALL = {"data__max_completion_length": 48, "train__steps": 2, "train__save_steps": 1}
LORA = {"model__lora_rank": 4, "recipe__learning_rate": 1e-2}
LEARNS = {"recipe__reward_funcs": ["random"], "train__kl_rows": 2, "recipe__beta": 0.05}


@pytest.mark.parametrize("recipe", ["sft", "grpo"])
def test_the_adapter_alone_is_trained_saved_and_scored(configure, run_folder, recipe, base):
    configuration = configure(recipe, **SMALL | LORA | (LEARNS if recipe == "grpo" else {}))
    folder = run_folder(configuration)
    worker.run(folder)
    end = folder / "checkpoints/step-000002"
    assert not (end / "model.safetensors").exists()
    saved = load_file(end / "adapter_model.safetensors")
    assert {name.rpartition("lora_")[2].partition(".")[0] for name in saved} == {"A", "B"}
    moved = [tensor.abs().max().item() for name, tensor in saved.items() if "lora_B" in name]
    assert len(moved) == 4 * 7 and min(moved) > 0  # every matrix of every layer; B begins at nothing
    plain = AutoModelForCausalLM.from_pretrained(end, dtype=torch.float32).eval()
    frozen, ids = load(str(base))[0], torch.tensor([[9, 17, 30, 12]])
    with torch.no_grad():
        tuned, before, ours = (one(ids).logits for one in (plain, frozen, load_configured(configuration, str(end))[0]))
    torch.testing.assert_close(tuned, ours, rtol=1e-4, atol=1e-4)
    assert (tuned - before).abs().max() > 1e-2
    stated = read_json(folder / "lock.json")["trainable"]["parameters"]
    assert stated == sum(tensor.numel() for tensor in saved.values())
    rows = read_jsonl(folder / "metrics.jsonl")
    assert recipe == "sft" or (rows[0]["kl"] == pytest.approx(0, abs=1e-6) and rows[0]["kl_base/exact"] < 1e-6)


def test_every_arm_begins_with_the_same_adapter_and_two_seeds_with_others(configure):
    def start(**changes):
        configuration = configure(**LORA | changes)
        return adapted(configuration, load_configured(configuration)[0]).state_dict()

    torch.manual_seed(1)
    one = start(recipe="sft")
    torch.manual_seed(2)
    other, third = start(recipe="grpo"), start(recipe="sft", seed=1)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert any(not torch.equal(tensor, third[name]) for name, tensor in one.items())


@pytest.mark.slow
def test_a_run_with_an_adapter_cut_after_a_checkpoint_goes_on(configure, run_folder, monkeypatch):
    configuration = configure("grpo", **SMALL | LORA | LEARNS)
    whole, cut = run_folder(configuration, "whole"), run_folder(configuration, "cut")
    worker.run(whole)
    evaluate = worker.evaluate_checkpoint
    monkeypatch.setattr(worker, "evaluate_checkpoint", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        worker.run(cut)
    monkeypatch.setattr(worker, "evaluate_checkpoint", evaluate)
    worker.run(cut)
    ends = [load_file(folder / "checkpoints/step-000002/adapter_model.safetensors") for folder in (whole, cut)]
    for name, tensor in ends[0].items():
        torch.testing.assert_close(ends[1][name], tensor, rtol=1e-4, atol=1e-6)


def test_the_experiments_lock_and_the_runs_state_the_same_adapter(configure, run_folder):
    configuration = configure("sft", **SMALL | LORA)
    folder = run_folder(configuration)
    experiment = folder.parents[2]
    manifest = compile_dataset(configuration, experiment / "data")
    model, tokenizer = load_configured(configuration)
    found = lock.measure(configuration, manifest, adapted(configuration, model), tokenizer)
    worker.run(folder)
    mine = read_json(folder / "lock.json")
    assert (mine["trainable"], mine["precision"]) == (found["trainable"], found["precision"])


def test_gradient_checkpointing_changes_memory_and_no_update(configure, run_folder):
    ends, costs = [], []
    for on in (False, True):
        changes = SMALL | LEARNS | {"hardware__gradient_checkpointing": on}
        folder = run_folder(configure("grpo", **changes), f"checkpointing-{on}")
        worker.run(folder)
        ends.append(load_file(folder / "checkpoints/step-000002/model.safetensors"))
        costs.append(read_jsonl(folder / "ledger.jsonl")[-1]["flops_train"])
    assert costs[1] > 1.2 * costs[0]  # the layers are run forward twice
    for name, tensor in ends[1].items():
        torch.testing.assert_close(ends[0][name], tensor, rtol=1e-4, atol=1e-6)


def test_products_in_bfloat16_leave_float32_weights_and_are_scored_as_the_base_is(configure, run_folder, monkeypatch):
    """On a policy arm: sampling, log-probabilities and update; the scores are of the checkpoint, loaded in bfloat16."""
    seen = []
    respond = run.respond

    def watched(task, model, *args, **kwargs):
        seen.append(model.dtype)
        return respond(task, model, *args, **kwargs)

    monkeypatch.setattr(run, "respond", watched)
    configuration = configure("grpo", **SMALL | LEARNS | {"hardware__mixed_precision": "bf16"})
    folder = run_folder(configuration)
    worker.run(folder)
    saved = load_file(folder / "checkpoints/step-000002/model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32} and set(seen) == {torch.bfloat16}
    assert any((tensor != tensor.bfloat16()).any() for tensor in saved.values())
    rows = read_jsonl(folder / "metrics.jsonl")
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-6) and rows[0]["kl_base/exact"] < 1e-6
