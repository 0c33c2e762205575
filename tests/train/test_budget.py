"""Budgets: a run ends at the step that reaches its limit, goes on past the stored order, and two arms spend alike."""

import numpy as np
import pytest
from datasets import Dataset

from conf import freeze
from conf.errors import UserError
from conf.files import read_json, read_jsonl, write_json
from data import order as orders
from data.compile import read
from evaluation.spending import COLUMNS, spent
from launch import budget
from train import horizon, ledger, worker


def entries(folder):
    return read_jsonl(folder / "ledger.jsonl")


@pytest.mark.parametrize(("recipe", "match"), [("sft", "prompts"), ("sft", "trained_tokens"), ("grpo", "flops")])
def test_a_limit_ends_the_run_at_the_step_that_reaches_it(configure, run_folder, recipe, match):
    short = {"data__max_completion_length": 48, "train__steps": 3, "train__save_steps": 3}
    whole = run_folder(configure(recipe, **short), "whole")
    worker.run(whole)
    column = [entry[COLUMNS[match]] for entry in entries(whole)]
    for limit, steps in [(column[0] + 1, 2), (column[1], 2)][: 2 if recipe == "sft" else 1]:
        part = run_folder(configure(recipe, budget={"match": match, "limit": limit}, **short), f"{limit}")
        worker.run(part)
        assert [entry[COLUMNS[match]] for entry in entries(part)] == column[:steps]
        name = f"step-{steps:06d}"
        assert [path.name for path in (part / "checkpoints").iterdir()] == [name]
        assert (part / "evaluation" / name / "scores.json").exists() and (part / "done.json").exists()


def test_a_run_that_spent_its_limit_does_not_go_on(configure, run_folder):
    folder = run_folder(configure(budget={"limit": 8}))
    worker.run(folder)
    (folder / "done.json").unlink()
    before = entries(folder)
    worker.run(folder)
    assert entries(folder) == before and len(before) == 2 and (folder / "done.json").exists()


@pytest.mark.slow
def test_a_limited_run_that_was_killed_ends_where_it_would_have(configure, run_folder, monkeypatch):
    given = configure(budget={"match": "trained_tokens", "limit": 700}, train__steps=12)
    whole, cut = run_folder(given, "whole"), run_folder(given, "cut")
    worker.run(whole)
    step = worker.Records.step

    def dies(records, number, *rest):
        if number == 3:
            raise KeyboardInterrupt
        return step(records, number, *rest)

    monkeypatch.setattr(worker.Records, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        worker.run(cut)
    monkeypatch.undo()
    worker.run(cut)
    ends = [entries(folder)[-1] for folder in (whole, cut)]
    assert ends[0]["step"] == ends[1]["step"] > 3
    assert ends[0]["tokens_trained"] == ends[1]["tokens_trained"] >= 700 > entries(whole)[-2]["tokens_trained"]


def test_a_row_without_a_target_is_spent_and_trains_nothing(configure, run_folder, monkeypatch):
    """Half of the rows lose theirs, as data.pairing=union leaves them; what a step costs is known before, too."""
    folder = run_folder(configure(data__targets_per_prompt=2, budget={"match": "flops"}))
    data = folder.parents[2] / "data"
    rows, stored, _ = read(data)
    listed = [row | ({"targets": [], "target_ids": []} if i % 2 else {}) for i, row in enumerate(rows.to_list())]
    halved = Dataset.from_list(listed, features=rows.features)
    halved.to_parquet(data / "rows.parquet")
    monkeypatch.setattr("data.compile.read", lambda folder: (halved, stored, {}))
    worker.run(folder)
    order, last = horizon.run_order(configure(), stored, len(rows)), entries(folder)[-1]
    taught = [int(i) for i in order.ravel() if i % 2 == 0]
    assert 0 < len(taught) < 16 == last["prompts_shown"] and last["completions"] == 2 * len(taught)
    assert last["tokens_trained"] == sum(len(target) for i in taught for target in listed[i]["target_ids"])
    assert last["flops"] == budget.row_costs(freeze.read(folder / "config.yaml"), data)[order].sum()


def test_device_seconds_end_a_run_too(configure, run_folder):
    folder = run_folder(configure(budget={"match": "device_seconds", "limit": 1e-6}))
    worker.run(folder)
    assert [entry["step"] for entry in entries(folder)] == [1]


def test_the_order_goes_on_where_the_stored_one_ends(configure, run_folder):
    folder = run_folder(configure())
    rows, stored, _ = read(folder.parents[2] / "data")
    given = configure(train__steps=40)
    order = horizon.run_order(given, stored, len(rows))
    assert order.shape == (40, 4) and np.array_equal(order[:4], orders.of_run(stored, len(rows), 0))
    assert np.bincount(order.ravel(), minlength=len(rows)).min() >= 160 // len(rows)
    assert np.array_equal(horizon.run_order(configure(train__steps=2), stored, len(rows)), order[:2])
    with pytest.raises(UserError, match="not how the longer one begins"):
        horizon.run_order(given, stored[::-1], len(rows))


@pytest.mark.parametrize("match", ["flops", pytest.param("trained_tokens", marks=pytest.mark.slow)])
def test_the_other_arm_spends_what_the_dearer_spent_in_exactly_its_horizon(configure, run_folder, match):
    """Its learning rate falls to its end there, and the epochs are as many as that takes."""
    short = {"data__max_completion_length": 48, "budget": {"match": match}}
    dearer = configure("grpo", train__steps=4, train__save_steps=2, recipe__num_generations=8, **short)
    folder = run_folder(dearer)
    worker.run(folder)
    data, entry = folder.parents[2] / "data", budget.last_entry(folder)
    given = configure(train__steps=4, train__save_steps=2, train__lr_scheduler_type="linear", **short)
    other = budget.limited(given, dearer, entry, data)
    assert other.budget.limit == spent(entry, match, False) and other.train.steps > 4
    run = run_folder(other, "other")
    (run.parents[2] / "data/order.npy").write_bytes((data / "order.npy").read_bytes())
    manifest = read_json(run.parents[2] / "data/manifest.json")
    manifest["digests"] = read_json(data / "manifest.json")["digests"]
    write_json(run.parents[2] / "data/manifest.json", manifest)
    worker.run(run)
    found = entries(run)
    assert len(found) == other.train.steps
    assert found[-2][COLUMNS[match]] < other.budget.limit <= found[-1][COLUMNS[match]]
    rates = [row["learning_rate"] for row in read_jsonl(run / "metrics.jsonl")]
    assert rates[-1] == pytest.approx(given.recipe.learning_rate / len(found))
    assert found[-1]["prompts_shown"] > len(read(data)[0])  # more than an epoch
    saved = [path.name for path in sorted((run / "evaluation").iterdir())]
    assert len(saved) == 2 and saved[-1] == f"step-{len(found):06d}"


def made(folder, **changes):
    cost = {"tokens_prompted": 100, "tokens_generated": 300, "flops_generate": 5.0e6, "seconds": 20.0}
    cost |= {"device_seconds": None, "teacher_parameters": None, "responses": 12, "rejected": 4}
    write_json(folder / "manifest.json", {"ledger": cost | changes})


def test_targets_count_into_a_limit_where_asked(configure, tmp_path):
    made(tmp_path)
    entry = {"flops": 3.0e6, "tokens_trained": 10, "prompts_shown": 2, "device_seconds": 1.0}
    entry |= ledger.targets_cost(configure(data__targets=str(tmp_path)))
    assert (spent(entry, "flops", False), spent(entry, "flops", True)) == (3.0e6, 8.0e6)
    assert spent(entry, "trained_tokens", True) == 10 and spent(entry, "prompts", True) == 2
    assert spent(entry, "device_seconds", False) == 1.0 and spent(entry, "device_seconds", True) is None


@pytest.mark.parametrize(
    ("asked", "cost", "message"),
    [
        ({"match": "flops", "limit": 4.0e6, "count_targets": True}, {}, "nothing is left to train on"),
        ({"match": "flops", "limit": 4.0e6, "count_targets": True}, {"flops_generate": None}, "is not known"),
        ({"match": "device_seconds", "limit": 9.0, "count_targets": True}, {}, "is not known"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(configure, tmp_path, asked, cost, message):
    made(tmp_path, **cost)
    given = configure(data__targets=str(tmp_path), budget=asked)
    entry = ledger.Ledger(ledger.opening(given, None), None).entry | {"flops": 0}
    with pytest.raises(UserError, match=message):
        ledger.check(entry, given)


def test_flops_of_an_unknown_model_cannot_be_a_limit(configure):
    given = configure(budget={"match": "flops", "limit": 1e9})
    with pytest.raises(UserError, match="model_type"):
        ledger.check(ledger.Ledger({}, None).entry, given)
