"""Several processes through the real launchers, DDP and ZeRO: one process's losses and weights, killed and resumed."""

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from conf.files import read_json, read_jsonl
from launch import pair
from launch.command import WorkerFailed
from tests.train.launched import killed_at, launched
from train import worker

SIZE = {"data__max_completion_length": 48, "train__steps": 4, "recipe__micro_batch_size": 4, "train__kl_rows": 16}
LEARNS = {"recipe__reward_funcs": ["random"], "recipe__beta": 0.05}
LORA = {"model__lora_rank": 4, "hardware__gradient_checkpointing": True}
CRITIC = {"recipe__w": "critic_advantage", "recipe__loss_type": "dapo", "recipe__value_warmup_steps": 1}
PPO = SIZE | LEARNS | CRITIC | {"recipe__kl_coef": 0.1}
CHANGES = {"sft": SIZE, "sft with an adapter": SIZE | LORA, "grpo": SIZE | LEARNS}
CHANGES |= {"ppo": PPO, "ppo with an adapter": PPO | LORA}
SNAPSHOT = {"recipe__q": "snapshot", "recipe__w": "right", "recipe__surrogate": "log", "recipe__loss_type": "dapo"}
CHANGES |= {"iterative_rft": SIZE | SNAPSHOT | {"recipe__resample_steps": 2, "recipe__reward_funcs": ["random"]}}
COUNTED = (
    *("prompts_shown", "completions", "tokens_prompted", "tokens_generated", "tokens_trained"),
    *("flops_train", "optimizer_updates"),
)
ALWAYS = ("loss", "completions/mean_length", "kl_base/exact", "kl_base/k3")
TOLD = (*ALWAYS, "reward", "kl", "entropy")
CRITICS = ("value_error", "values/mean", "returns/std", "advantages/std", "kl_in_reward")
SAME = {"sft": (*ALWAYS, "mean_token_accuracy"), "grpo": TOLD, "ppo": (*TOLD, *CRITICS)}
SAME["iterative_rft"] = (*ALWAYS, "reward")


@pytest.fixture(scope="module")
def alone():
    """Recipe -> folder of its run in one process, as far as a test has asked for it."""
    return {}


@pytest.fixture
def check(configure, run_folder, alone):
    """Hold the run in `folder` against the same run in one process."""

    def against(kind, folder):
        if kind not in alone:
            alone[kind] = run_folder(configure(kind.split()[0], **CHANGES[kind]), "alone")
            worker.run(alone[kind])
        both, keys = (folder, alone[kind]), SAME[kind.split()[0]]
        two, one = (read_jsonl(where / "metrics.jsonl") for where in both)
        assert [row["step"] for row in two] == [row["step"] for row in one] == [1, 2, 3, 4]
        for key in keys:
            assert [row[key] for row in two] == pytest.approx([row[key] for row in one], rel=1e-3, abs=1e-4), key
        ends = [where / "checkpoints/step-000004" for where in both]
        file = "adapter_model.safetensors" if "adapter" in kind else "model.safetensors"
        for written in (file, *("critic/model.safetensors",) * ("ppo" in kind)):
            weights = [load_file(end / written) for end in ends]
            for name, tensor in weights[1].items():
                torch.testing.assert_close(weights[0][name], tensor, rtol=1e-3, atol=1e-5)
        models = [AutoModelForCausalLM.from_pretrained(end, dtype=torch.float32).state_dict() for end in ends]
        for name, tensor in models[1].items():
            torch.testing.assert_close(models[0][name], tensor, rtol=1e-3, atol=1e-5)
        books = [read_jsonl(where / "ledger.jsonl") for where in both]
        for key in COUNTED:
            assert [row[key] for row in books[0]] == [row[key] for row in books[1]], key
        assert all(row["device_seconds"] == pytest.approx(2 * row["seconds"]) for row in books[0])
        scores = [read_json(where / "evaluation/step-000004/scores.json")["groups"] for where in both]
        assert scores[0] == scores[1] and (folder / "done.json").exists()

    return against


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        *(("sft", 0), ("sft", 1), ("sft", 3), ("sft with an adapter", 3)),
        *(("grpo", 1), ("grpo", 2), ("ppo", 0), ("ppo with an adapter", 3), ("iterative_rft", 3)),
    ],
)
def test_two_processes_do_what_one_does(configure, run_folder, check, kind, stage):
    spread = {"hardware__processes": 2, "hardware__zero_stage": stage}
    configuration = configure(kind.split()[0], **CHANGES[kind] | spread)
    folder = run_folder(configuration)
    launched(configuration, folder)
    check(kind, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stage"), [("sft", 2), ("grpo", 0), ("grpo", 3), ("ppo", 2)])
def test_a_killed_process_ends_the_run_which_then_goes_on(configure, run_folder, check, recipe, stage):
    spread = {"hardware__processes": 2, "hardware__zero_stage": stage}
    configuration = configure(recipe, **CHANGES[recipe] | spread)
    folder = run_folder(configuration)
    with pytest.raises(WorkerFailed, match="process 1 of the run was ended by SIGKILL"):
        killed_at(configuration, folder, 2)
    assert not (folder / "done.json").exists() and (folder / "checkpoints/step-000002").exists()
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in (one.info["cmdline"] or [])]
    launched(configuration, folder)
    check(recipe, folder)


@pytest.mark.slow
def test_the_paired_experiment_in_two_processes(tmp_path):
    """By the command line: data, base, lock, arms with an adapter, audit and report."""
    sizes = "train.steps=2 train.save_steps=1 train.prompts_per_step=4 data.rows=48 recipe.num_generations=4"
    sizes += " suite.items=2 suite.samples=1 suite.max_new_tokens=8 data.targets_per_prompt=1 recipe.micro_batch_size=4"
    spread = "hardware.processes=2 hardware.zero_stage=2 hardware.workers=1 model.lora_rank=4"
    pair.main(["experiment=embedded", "experiment.name=two", f"runs={tmp_path}", *sizes.split(), *spread.split()])
    assert read_json(tmp_path / "two/audit.json")["verdict"] == "controlled"
    assert (tmp_path / "two/report/index.html").exists()
    for arm in ("sft", "grpo"):
        lock = read_json(tmp_path / f"two/arms/{arm}/seed-0/lock.json")
        assert lock["update"]["processes"] == 2 and lock["trainable"]["parameters"] < 100_000
