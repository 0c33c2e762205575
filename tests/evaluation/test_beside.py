"""The report's part on further suites, functions and failed measurements."""

import csv

import pytest

from conf.files import read_json, write_json
from tests.evaluation.folders import skill, write_evaluation, write_experiment, write_page

SUMS = {"sums": "math", "chess": "other_reasoning"}
MORE = {"chess": "other_reasoning", "manners": "non_reasoning"}


def evaluations(root):
    return [root / "base/evaluation", *sorted(root.glob("arms/*/seed-*/evaluation/step-000040"))]


def test_suites_functions_and_failures_are_shown(tmp_path):
    root = write_experiment(tmp_path / "tiny", seeds=(0, 1))
    for number, folder in enumerate(evaluations(root)):
        write_evaluation(folder / "suites/more", 40, skill(0, 0.2 + 0.1 * number, 0.5), number, benchmarks=MORE)
        write_evaluation(folder / "suites/sums", 40, skill(0.1 + 0.2 * (number > 0), 0.3, 0), number, benchmarks=SUMS)
        (folder / "functions/own.drift").mkdir(parents=True)
        write_json(folder / "functions/own.drift/result.json", {"step": 40, "values": {"far": number}, "seconds": 2.0})
        write_json(
            folder / "ledger.json",
            {**dict.fromkeys(("responses", "tokens_generated"), 5), "seconds": 1.0} | {"flops_generate": None},
        )
    failure = {"what": "suite hard", "step": 40, "error": "RuntimeError: <script>alert(1)</script>", "seconds": 1.0}
    failed = root / "arms/grpo/seed-1/evaluation/step-000040/suites/hard"
    failed.mkdir()
    write_json(failed / "failed.json", failure)
    page = write_page(root)
    results = read_json(root / "report/results.json")
    own = results["suites"]["more"]
    assert list(results["transfer_suites"]) == ["sums"] and "On the further suite sums" in page  # `more` has no math
    found = results["transfer_suites"]["sums"]["arms"]["grpo"]["greedy"]["none"]
    assert found["index"]["math"] > 0 and found["seeds"] == 2
    scored = {label: own["scores"][label]["benchmarks"]["chess"]["greedy"]["score"] for label in own["scores"]}
    for arm in ("sft", "grpo"):
        assert (
            abs(own["gains"][arm]["benchmarks"]["chess"]["greedy"]["difference"] - (scored[arm] - scored["base"]))
            < 1e-9
        )
    assert "chess" not in results["benchmarks"]
    means = {row["value"]: row["models"] for row in results["functions"]}["far"]
    assert means == {"base": 0.0, "grpo": 1.5, "sft": 3.5}
    assert results["failed"] == [{"where": "grpo/seed-1", **failure}]
    assert "Suite more" in page and "Measurements that failed: 1" in page and "<script>alert" not in page
    rows = list(csv.DictReader((root / "report/tables/suites.csv").open()))
    assert {row["suite"] for row in rows} == {"more", "sums"} and any(row["name"] == "manners" for row in rows)
    assert all(one["evaluation_seconds"] == 3.0 for one in results["budgets"])


@pytest.mark.slow
def test_a_suite_that_one_model_lacks_is_named_with_it(tmp_path):
    root = write_experiment(tmp_path / "tiny")
    for folder in evaluations(root)[:2]:
        write_evaluation(folder / "suites/more", 40, skill(0, 0.5, 0.5), 0, benchmarks=MORE)
    page = write_page(root)
    assert read_json(root / "report/results.json")["suites"]["more"]["lacking"] == ["sft"]
    assert "No score at the compared checkpoint of sft" in page


@pytest.mark.slow
def test_without_any_the_page_has_no_such_part(tmp_path):
    page = write_page(write_experiment(tmp_path / "tiny"))
    assert 'id="beside"' not in page and "failed" not in page.split("<footer>")[0].split("</style>")[1]
