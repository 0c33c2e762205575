"""Several processes through the real launchers, DDP and ZeRO: one process's losses and weights, killed and resumed."""

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from conf.errors import UserError
from conf.files import read_json, read_jsonl
from launch.command import WorkerFailed
from tests.train.launched import killed_at, launched
from train import checkpoints, worker

SIZE = {"data__max_completion_length": 48, "train__steps": 4, "recipe__micro_batch_size": 4}
LEARNS = {"recipe__reward_funcs": ["random"], "recipe__beta": 0.05, "train__kl_rows": 2}
CHANGES = {"sft": SIZE, "grpo": SIZE | LEARNS}
SAME = {"sft": ("loss", "mean_token_accuracy"), "grpo": ("loss", "reward", "completions/mean_length", "kl", "entropy")}


@pytest.fixture(scope="module")
def alone():
    """Recipe -> folder of its run in one process, as far as a test has asked for it."""
    return {}


@pytest.fixture
def check(configure, run_folder, alone):
    """Hold the run in `folder` against the same run in one process."""

    def against(recipe, folder):
        if recipe not in alone:
            alone[recipe] = run_folder(configure(recipe, **CHANGES[recipe]), "alone")
            worker.run(alone[recipe])
        two, one = (read_jsonl(where / "metrics.jsonl") for where in (folder, alone[recipe]))
        assert [row["step"] for row in two] == [row["step"] for row in one] == [1, 2, 3, 4]
        for key in SAME[recipe]:
            assert [row[key] for row in two] == pytest.approx([row[key] for row in one], rel=1e-3, abs=1e-4), key
        ends = [where / "checkpoints/step-000004" for where in (folder, alone[recipe])]
        weights = [load_file(end / "model.safetensors") for end in ends]
        for name, tensor in weights[1].items():
            torch.testing.assert_close(weights[0][name], tensor, rtol=1e-3, atol=1e-5)
        loaded = AutoModelForCausalLM.from_pretrained(ends[0], dtype=torch.float32).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in weights[0].items())
        books = [read_jsonl(where / "ledger.jsonl")[-1] for where in (folder, alone[recipe])]
        for key in ("prompts_shown", "completions", "tokens_generated", "tokens_trained", "optimizer_updates"):
            assert books[0][key] == books[1][key], key
        scores = [
            read_json(where / "evaluation/step-000004/scores.json")["groups"] for where in (folder, alone[recipe])
        ]
        assert scores[0] == scores[1] and (folder / "done.json").exists()

    return against


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stage"), [("sft", 0), ("sft", 1), ("sft", 3), ("grpo", 1), ("grpo", 2)])
def test_two_processes_do_what_one_does(configure, run_folder, check, recipe, stage):
    spread = {"hardware__processes": 2, "hardware__zero_stage": stage}
    configuration = configure(recipe, **CHANGES[recipe] | spread)
    folder = run_folder(configuration)
    launched(configuration, folder)
    check(recipe, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stage"), [("sft", 2), ("grpo", 0), ("grpo", 3)])
def test_a_killed_process_ends_the_run_which_then_goes_on(configure, run_folder, check, recipe, stage, monkeypatch):
    spread = {"hardware__processes": 2, "hardware__zero_stage": stage}
    configuration = configure(recipe, **CHANGES[recipe] | spread)
    folder = run_folder(configuration)
    with pytest.raises(WorkerFailed, match="process 1 of the run was ended by SIGKILL"):
        killed_at(configuration, folder, 2)
    assert not (folder / "done.json").exists() and (folder / "checkpoints/step-000002").exists()
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in (one.info["cmdline"] or [])]
    with monkeypatch.context() as four, pytest.raises(UserError, match="4 processes, and .* was written by 2"):
        four.setenv("WORLD_SIZE", "4")
        checkpoints.check_processes(folder / "checkpoints/step-000002")
    launched(configuration, folder)
    check(recipe, folder)
