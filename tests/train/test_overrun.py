"""A run that goes on past its budget is, up to the budget's end, the run that does not."""

import pytest

from conf import freeze
from conf.files import read_jsonl
from evaluation.report.read import _run as read_run
from launch import budget
from launch.folders import freeze_run
from train import horizon, ledger, measuring, worker

TIMES = ("seconds", "seconds_generate", "seconds_reward", "device_seconds", "peak_memory_bytes")


def steps_of(folder, kind="checkpoints"):
    return [int(path.name.removeprefix("step-")) for path in sorted((folder / kind).glob("step-*"))]


def digest(checkpoint):
    """Of the weights; the trainer's own state beside them says how far the run is to go."""
    return freeze.digest(checkpoint / "model.safetensors")


def counts(folder):
    rows = read_jsonl(folder / "ledger.jsonl")
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def rates(folder):
    return [row["learning_rate"] for row in read_jsonl(folder / "metrics.jsonl")]


@pytest.mark.parametrize("recipe", ["sft", pytest.param("grpo", marks=pytest.mark.slow)])
def test_within_the_budget_nothing_changes_and_beyond_it_the_last_rate_is_kept(configure, run_folder, recipe):
    given = {"data__max_completion_length": 40, "train__steps": 3, "train__lr_scheduler_type": "linear"}
    plain, longer = configure(recipe, **given), configure(recipe, **given, budget={"overrun": 1.5})
    folders = [run_folder(one, f"{number}") for number, one in enumerate((plain, longer))]
    for folder in folders:
        worker.run(folder)
    assert [steps_of(folder) for folder in folders] == [[2, 3], [2, 3, 4, 5]]
    assert steps_of(folders[1], "evaluation") == [2, 3, 4, 5]
    assert digest(folders[0] / "checkpoints/step-000003") == digest(folders[1] / "checkpoints/step-000003")
    assert counts(folders[0]) == counts(folders[1])[:3]
    assert rates(folders[1]) == pytest.approx([*rates(folders[0]), *rates(folders[0])[-1:] * 2])
    assert ledger.compared(folders[1], longer) == 3 and budget.last_entry(folders[1])["step"] == 3
    run = read_run(folders[1], folders[1], [])
    assert (run.last.step, run.end, run.evaluations[-1].step) == (3, 3, 5)


def test_a_finished_run_is_taken_further_and_is_the_same_as_one_that_never_stopped(
    configure, run_folder, tmp_path, monkeypatch
):
    given = {"data__max_completion_length": 40, "train__steps": 2, "runs": tmp_path, "suite__when": ["base", "end"]}
    whole = run_folder(configure(**given, budget={"overrun": 2.0}), "whole")
    worker.run(whole)
    plain, longer = configure(**given), configure(**given, budget={"overrun": 2.0})
    folder = run_folder(plain, "small")
    worker.run(folder)
    before = digest(folder / "checkpoints/step-000002")
    monkeypatch.setattr("launch.folders._check_base", lambda *rest: None)
    freeze_run(longer)
    assert not (freeze.marked(folder, "done.json"))
    worker.run(folder)
    assert digest(folder / "checkpoints/step-000002") == before
    assert digest(folder / "checkpoints/step-000004") == digest(whole / "checkpoints/step-000004")
    for one in (folder, whole):  # `end` is the end of the budget
        assert steps_of(one, "evaluation") == [2] and measuring.owed(longer, one)[1:] == []
    assert freeze_run(plain) == folder and freeze.marked(folder, "done.json")  # asked for less: nothing is undone


def test_a_limit_goes_on_by_the_same_factor_and_the_order_is_extended(configure, run_folder):
    limit = {"match": "prompts", "limit": 8, "overrun": 1.5}
    given = configure(data__max_completion_length=40, train__save_steps=4, budget=limit)
    folder = run_folder(given)
    worker.run(folder)
    assert steps_of(folder) == [2, 3] and ledger.compared(folder, given) == 2
    from data.compile import read

    rows, stored, _ = read(folder.parents[2] / "data")
    plain = configure()
    order = horizon.run_order(given, stored, len(rows))
    assert order.shape == (6, 4) and (order[:4] == horizon.run_order(plain, stored, len(rows))).all()


def test_an_overrun_below_one_is_refused(configure):
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        configure(budget={"overrun": 0.5})
