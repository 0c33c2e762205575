"""The report's budgets: ledgers in every unit, with the targets' cost out and in, and what scores it bought."""

import csv
from dataclasses import replace

import pytest

from conf.files import append_jsonl, read_json, read_jsonl, write_json, write_text
from evaluation.report import budgets, figures
from evaluation.report.page import prefixed
from evaluation.report.read import read_experiment
from evaluation.spending import spent
from tests.evaluation.folders import skill, write_evaluation, write_page, write_run

TARGETS = {"targets_responses": 90, "targets_rejected": 30, "targets_tokens_prompted": 500, "targets_flops": 4.0e11}
TARGETS |= {"targets_tokens_generated": 2000, "targets_seconds": 50.0, "targets_device_seconds": None}


def rewrite(folder, per_step, **apart):
    """A ledger with FLOPs in place of the shorter one."""
    rows = read_jsonl(folder / "ledger.jsonl")
    (folder / "ledger.jsonl").unlink()
    for row in rows:
        step = row["step"]
        cost = {"flops_generate": 0, "flops_score": 0, "flops_train": per_step * step, "flops": per_step * step}
        append_jsonl(folder / "ledger.jsonl", {**row, **cost, "device_seconds": 2 * row["seconds"], **apart})


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """GRPO over 20 steps, SFT with its FLOPs as the limit over 40, on targets that cost as much; and its report."""
    root = tmp_path_factory.mktemp("runs") / "tiny-flops"
    root.mkdir(parents=True)
    write_evaluation(root / "base/evaluation", 0, skill(0.5, 0.6, 0.7), 0)
    budget, train = {"match": "flops"}, {"steps": 20}
    write_run(root, "grpo", 0, {10: skill(0.7, 0.6, 0.7), 20: skill(0.8, 0.6, 0.7)}, budget=budget, train=train)
    limited = {"budget": budget | {"limit": 4.0e11}, "train": {"steps": 44}}
    write_run(root, "sft", 0, {20: skill(0.6, 0.5, 0.5), 40: skill(0.7, 0.4, 0.4)}, **limited)
    rewrite(root / "arms/grpo/seed-0", 20 * 10**9)
    rewrite(root / "arms/sft/seed-0", 10 * 10**9, **TARGETS)
    write_json(root / "lock.json", {"order": "a" * 64})
    (root / "data").mkdir()
    write_json(root / "data/manifest.json", {"counts": {"loaded": 500, "kept": 480}})
    cost = {"responses": 30, "tokens_generated": 400, "flops_generate": 7.0e9, "seconds": 3.0}
    write_json(root / "arms/sft/seed-0/evaluation/step-000020/ledger.json", cost)
    write_json(root / "arms/sft/seed-0/evaluation/step-000040/ledger.json", cost)
    (root / "report").mkdir()
    write_text(root / "report/index.html", write_page(root))
    return root


def test_units_are_told_with_targets_out_and_in(experiment):
    results = read_json(experiment / "report/results.json")
    sft, grpo = results["budgets"]
    assert results["budget"] == {"match": "flops", "count_targets": False, "targets_made": True}
    assert (sft["spent_flops"], sft["spent_flops_with_targets"]) == (4.0e11, 8.0e11)
    assert grpo["spent_flops"] == grpo["spent_flops_with_targets"] == 4.0e11
    assert sft["spent_prompts"] == sft["spent_prompts_with_targets"] == 960 and sft["epochs"] == 2.0
    assert sft["spent_device_seconds"] == 200 and sft["spent_device_seconds_with_targets"] is None
    assert sft["share_of_limit"] == 1.0 and grpo["share_of_limit"] is None
    assert sft["evaluation_tokens_generated"] == 800 and sft["evaluation_flops_generate"] == 1.4e10
    assert grpo["evaluation_seconds"] is None
    assert not [note for note in results["notes"] if "evaluated last" in note or "numbers of prompts" in note]


def test_scores_stand_against_every_unit(experiment):
    page = (experiment / "report/index.html").read_text()
    rows = list(csv.DictReader((experiment / "report/tables/spending.csv").open()))
    at = {(row["arm"], row["step"]): row for row in rows}
    assert float(at["sft", "0"]["spent_with_targets_flops"]) == 4.0e11 and float(at["sft", "0"]["spent_flops"]) == 0
    assert float(at["sft", "20"]["spent_flops"]) == 2.0e11 and float(at["grpo", "10"]["spent_flops"]) == 2.0e11
    assert float(at["grpo", "20"]["spent_prompts"]) == 480 and float(at["grpo", "20"]["greedy_math"]) > 60
    assert len(figures.spending(read_json(experiment / "report/results.json")).axes) == 12
    assert "sets it" in page and "100.0%" in page
    assert "making the targets" in page and "400\u202fG" in page and "800\u202fG with targets" in page


def test_what_an_older_ledger_lacks_is_unknown(experiment):
    run = read_experiment(experiment).runs[0]
    entries = [{key: value for key, value in entry.items() if "flops" not in key} for entry in run.ledger]
    found = budgets.budget(replace(run, ledger=entries), None)
    assert found["spent_flops"] is None and found["share_of_limit"] is None and found["spent_prompts"] == 960
    assert budgets.budget(replace(run, ledger=[]), 480)["spent_prompts"] is None


def test_spent_is_own_and_made():
    entry = {"prompts_shown": 4, "tokens_trained": 9, "flops": 5, "device_seconds": 2.0, "targets_flops": 7}
    assert [spent(entry, "flops", counted) for counted in (False, True)] == [5, 12]
    assert spent({}, "flops", True) is None and spent(entry | {"targets_flops": None}, "flops", True) is None


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (999, "999"), (6.78667e10, "67.87\u202fG"), (3.2e21, "3.2\u202fZ")]
)
def test_large_counts_have_prefixes(value, text):
    assert prefixed(value) == text
