"""A run goes on with another number of processes than it was cut with, and ends where it would have."""

import pytest
import torch
from safetensors.torch import load_file

from conf import freeze
from conf.errors import UserError
from conf.files import read_json, read_jsonl
from launch.command import WorkerFailed
from tests.train.launched import killed_at, launched
from tests.train.test_devices import CHANGES, COUNTED, SAME
from train import resharding, worker


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "stage", "weight_decay"), [("sft", 3, 0.0), ("ppo", 2, 0.1), ("grpo", 0, 0.1)])
def test_a_run_cut_in_two_processes_goes_on_in_one(configure, run_folder, kind, stage, weight_decay):
    changes = CHANGES[kind] | {"hardware__zero_stage": stage, "train__weight_decay": weight_decay}
    alone = run_folder(configure(kind, **changes | {"hardware__zero_stage": 0}), "alone")
    worker.run(alone)
    two = configure(kind, **changes | {"hardware__processes": 2})
    folder = run_folder(two)
    with pytest.raises(WorkerFailed, match="SIGKILL"):
        killed_at(two, folder, 2)
    one = configure(kind, **changes)
    freeze.write(one, folder / "config.yaml")  # as the command line does, for the key is harmless
    launched(one, folder)
    metrics = [read_jsonl(run / "metrics.jsonl") for run in (folder, alone)]
    assert [row["step"] for row in metrics[0]] == [1, 2, 3, 4]
    for key in SAME[kind]:
        both = [[row[key] for row in rows] for rows in metrics]
        assert both[0] == pytest.approx(both[1], rel=1e-3, abs=1e-4), key
    books = [read_jsonl(run / "ledger.jsonl")[-1] for run in (folder, alone)]
    assert [books[0][key] for key in COUNTED] == [books[1][key] for key in COUNTED]
    ends = [load_file(run / "checkpoints/step-000004/model.safetensors") for run in (folder, alone)]
    for name, tensor in ends[1].items():
        torch.testing.assert_close(ends[0][name], tensor, rtol=1e-3, atol=1e-5)
    seals = [read_json(folder / f"checkpoints/step-00000{step}/complete.json") for step in (2, 4)]
    assert [seal["processes"] for seal in seals] == [2, 1] and (folder / "done.json").exists()
    assert not (folder / "checkpoints/.universal").exists()


@pytest.mark.parametrize(
    ("recipe", "change", "refused"),
    [
        ("sft", {}, False),
        ("sft", {"train__weight_decay": 0.1}, True),
        ("ppo", {"recipe__w": "critic_advantage", "recipe__value_learning_rate": 1e-3}, True),
        ("sft", {"train__weight_decay": 0.1, "hardware__zero_stage": 2}, False),
    ],
)
def test_what_deepspeed_would_not_restore_is_refused(configure, recipe, change, refused):
    given = configure(recipe, **{"hardware__zero_stage": 3, "hardware__processes": 2} | change)
    if not refused:
        return resharding.check(given, wrote=4, now=2)
    resharding.check(given, wrote=2, now=2)
    with pytest.raises(UserError, match="4 processes") as caught:
        resharding.check(given, wrote=4, now=2)
    assert "hardware.processes=4" in caught.value.change
