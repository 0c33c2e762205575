"""Models that were not trained here: a report like a run's, ranked by transfer, which claims nothing of training."""

import csv
import shutil

import pytest

from conf import freeze
from conf.files import read_json, write_json
from evaluation.report import write_report
from tests.evaluation.folders import configuration, skill, write_evaluation

MANY = {f"m{n}": "math" for n in range(2)} | {"o1": "other_reasoning", "o2": "other_reasoning", "n1": "non_reasoning"}
HOSTILE = "<script>alert(1)</script>"
MODELS = {  # in the order given; the last has no gain on math
    "plain": (skill(0.8, 0.5, 0.2), {"path": "there/plain", "same_vocabulary": True, "same_template": True, "why": ""}),
    "good": (
        skill(0.95, 0.9, 0.6),
        {"path": HOSTILE, "same_vocabulary": False, "same_template": False, "why": HOSTILE},
    ),
    "lost": (skill(0.1, 0.5, 0.5), {"path": "there/lost"}),
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "compare-x"
    write_evaluation(root / "base/evaluation", 0, skill(0.4, 0.4, 0.5), 0, benchmarks=MANY, items=60, samples=2)
    for label, (own, _) in MODELS.items():
        place = root / "models" / label / "evaluation"
        write_evaluation(place, 0, own, 1, HOSTILE, MANY, 60, 2)
        given = configuration("sft", 0, str(root.parent), "compare-x", arms=tuple(MODELS))
        freeze.write(given, place / "config.yaml")
    failed = root / "models/good/evaluation/drift/tokens"
    failed.mkdir(parents=True)
    write_json(failed / "failed.json", {"what": "drift tokens", "step": 1, "error": "refused: other tokens"})
    about = {label: own for label, (_, own) in MODELS.items()}
    write_json(root / "compare.json", {"base": "there/base", "models": about, "template": "own", "suite": "x"})
    write_report(root, "non_reasoning < -3; math < 0")
    return root


def test_ranked_by_transfer_and_those_without_a_number_below(compared):
    board = read_json(compared / "report/results.json")["board"]
    assert [row["model"] for row in board] == ["good", "plain", "lost"] and [row["rank"] for row in board] == [1, 2, 3]
    cells = board[0]["forms"]["none"]["ti"]
    assert cells["other_reasoning"]["value"] > board[1]["forms"]["none"]["ti"]["other_reasoning"]["value"]
    assert cells["other_reasoning"]["low"] < cells["other_reasoning"]["value"] < cells["other_reasoning"]["high"]
    assert set(board[0]["forms"]) >= {"signed_root", "relative"} and set(board[0]["forms"]["none"]["di"]) == set(
        skill(0, 0, 0)
    )
    last = board[2]["forms"]["none"]["ti"]["non_reasoning"]
    assert last["value"] is None and last["state"] in ("undefined", "unbounded") and last["reason"]
    assert board[2]["gains"]["math"]["high"] < 0
    table = list(csv.DictReader((compared / "report/tables/leaderboard.csv").open()))
    assert {row["model"] for row in table} == set(MODELS) and {row["ti_state"] for row in table} > {"number"}


def test_the_page_says_what_is_unknown_and_nothing_of_training(compared):
    text = (compared / "report/index.html").read_text()
    assert "Not trained here" in text and "these checkpoints only" in text and "There is no audit" in text
    assert "Untuned" not in text and "learning rate may explain" not in text and 'id="budgets"' not in text
    assert "has been asked for" not in text and "evaluated last at step" not in text
    assert "refused: other tokens" in text and "writes other tokens than the base" in text
    assert "Training went on" not in text
    assert "<script>alert" not in text and "&lt;script&gt;" in text
    results = read_json(compared / "report/results.json")
    assert results["arms"]["good"]["learning_rate"] is None and results["budgets"] == [] and results["problems"] == []
    assert not (compared / "report/tables/arms.csv").exists()


def test_the_gate_is_in_the_results_and_on_page_one(compared):
    gate = read_json(compared / "report/results.json")["gate"]
    verdicts = {(row["model"], row["name"]): row["verdict"] for row in gate["rows"]}
    assert gate["failed"] and verdicts["lost", "math"] == "fails" == verdicts["plain", "non_reasoning"]
    assert verdicts["good", "math"] == "passes"
    assert "The gate failed" in (compared / "report/index.html").read_text()
    assert len(list(csv.DictReader((compared / "report/tables/gate.csv").open()))) == 6


def test_a_model_whose_responses_are_gone_is_named_and_the_others_stay(compared, tmp_path):
    from evaluation.report.read import read_experiment

    root = shutil.copytree(compared, tmp_path / "compare-x")
    (root / "models/plain/evaluation/items.parquet").write_bytes(b"PAR1")
    found = read_experiment(root)
    assert list(found.arms) == ["good", "lost"] and "models/plain/evaluation: items.parquet" in found.told[0]
    assert found.unread == ["plain: no finished evaluation or no config.yaml"]
