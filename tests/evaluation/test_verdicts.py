"""The report's sentences: what they rest on, what they say with few seeds, and that they repeat the table."""

import csv
import html
import re

import numpy as np
import pytest

from conf.files import read_json
from evaluation.inference import difference
from evaluation.report.answer import shown
from evaluation.report.page import signed
from evaluation.report.read import read_experiment
from evaluation.rounding import fixed
from tests.evaluation.folders import BENCHMARKS, skill, write_evaluation, write_experiment, write_page, write_run


@pytest.fixture(scope="module", params=[1, 3])
def made(request, tmp_path_factory):
    root = write_experiment(tmp_path_factory.mktemp("runs") / "tiny", seeds=tuple(range(request.param)))
    page = write_page(root)
    return request.param, root, page, read_json(root / "report/results.json")


def test_groups_are_estimated_from_the_items_of_every_seed(made):
    seeds, root, _, results = made
    experiment = read_experiment(root)
    own = next(one for one in results["verdicts"] if (one["model"], one["name"]) == ("sft", "non_reasoning"))
    gaps = []
    for name in (name for name, group in BENCHMARKS.items() if group == "non_reasoning"):
        base = experiment.base.items[name].greedy
        gaps.append(np.array([run.last.items[name].greedy - base for run in experiment.arms["sft"]]))
    expected = difference(gaps)
    assert own["difference"] == pytest.approx(100 * expected.difference) and own["low"] == pytest.approx(
        100 * expected.low
    )
    assert own["seeds"] == seeds and own["over_seeds"] == (seeds == 3)
    assert own["difference"] == pytest.approx(
        results["gains"]["sft"]["groups"]["non_reasoning"]["greedy"]["difference"]
    )


def test_the_page_says_what_was_lost_and_over_what(made):
    seeds, _, page, results = made
    lost = next(one for one in results["verdicts"] if (one["model"], one["name"]) == ("sft", "non_reasoning"))
    assert lost["sentence"].startswith("sft lost ") and lost["sentence"] in page
    assert ("of these checkpoints only" in lost["sentence"]) == (seeds == 1)
    assert ("about these checkpoints only" in page) == (seeds == 1)
    assert "they may explain it" in page  # no sweep


def test_every_pair_is_told_and_corrected_over_its_own_family(made):
    _, root, _, results = made
    pairs = {(one["model"], one["against"]) for one in results["verdicts"]}
    assert pairs == {("sft", "base"), ("grpo", "base"), ("grpo", "sft")}
    for pair in pairs:
        own = [
            one for one in results["verdicts"] if (one["model"], one["against"], one["kind"]) == (*pair, "benchmark")
        ]
        assert len(own) == len(BENCHMARKS)
        assert min(one["p_holm"] for one in own) == pytest.approx(min(1, len(own) * min(one["p"] for one in own)))
    rows = list(csv.DictReader((root / "report/tables/verdicts.csv").open()))
    assert len(rows) == len(results["verdicts"])


def test_every_headline_names_its_conditions_and_is_the_tables_number(made):
    seeds, _, page, results = made
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", page)))
    for own in results["answer"]["rows"].values():
        for one in own["groups"].values():
            low, high = sorted(abs(one[end]) for end in ("low", "high"))
            moved = f"{fixed(abs(one['difference']))} points on"
            assert (moved in own["told"] and f"({fixed(low)} to {fixed(high)})" in own["told"]) == shown(one)
            assert f"{signed(one['difference'])}{signed(one['low'])} to {signed(one['high'])}" in text
        headline = f"{own['told']} {'; '.join(own['conditions'].values())}."
        assert headline in text
        for part in (f"{seeds} seed", "learning rate", "epochs", "targets", "audit"):
            assert part in headline
        assert "untuned (chosen by no sweep): it may explain any difference" in headline and "not audited" in headline
    assert text.index("What each arm gained, lost and cost") < text.index("Greedy group score at each")


def test_transfer_is_told_in_every_form_with_its_basis(made):
    seeds, root, page, results = made
    for forms in (results["transfer"]["grpo"][measure] for measure in ("greedy", "sampled")):
        assert list(forms) == ["signed_root", "none", "published", "relative"]
        for found in forms.values():
            assert found["seeds"] == seeds and found["over_seeds"] == (seeds == 3)
            assert (found["interval"] == found["over_items"]) == (seeds == 1)
            bounds = found["interval"]["index"]["math"]
            assert bounds["low"] < found["index"]["math"] < bounds["high"]
    steps = results["transfer_steps"]["grpo"]
    assert steps["steps"] == [20, 40] and steps["seeds"] == seeds
    head = results["transfer"]["grpo"]["greedy"]["none"]
    assert steps["cells"]["non_reasoning"][-1]["index"] == head["index"]["non_reasoning"]
    assert steps["spent"]["prompts"] == [480, 960]
    rows = list(csv.DictReader((root / "report/tables/transfer_steps.csv").open()))
    assert len(rows) == 2 * 2 * 3 and {row["spent_prompts"] for row in rows} == {"480.0", "960.0"}
    assert ("of these checkpoints only" in page.split('id="transfer"')[1][:20000]) == (seeds == 1)


def test_a_ti_without_a_math_gain_is_no_number(tmp_path):
    """An arm as the base on math, that loses elsewhere."""
    root = tmp_path / "still"
    write_evaluation(root / "base" / "evaluation", 0, skill(0.5, 0.6, 0.9), 0)
    for seed in (0, 1, 2):
        write_run(root, "sft", seed, {20: skill(0.54, 0.6, 0.3)})
    page = write_page(root).replace("&#39;", "'")
    found = read_json(root / "report/results.json")["transfer"]["sft"]["greedy"]["none"]
    bounds = found["interval"]["index"]["math"]
    assert bounds["low"] < 0 < found["index"]["math"] < bounds["high"]
    assert found["ti"]["non_reasoning"] is None and found["reason"]["non_reasoning"].startswith("unbounded")
    assert found["point"]["non_reasoning"] < -100 and found["interval"]["ti"]["non_reasoning"]["low"] is None
    first, section = (page.split(f'id="{name}"')[1].split("<h2")[0] for name in ("answer", "transfer"))
    ratio = f"{found['point']['non_reasoning']:.1f}".lstrip("-")
    assert all("unbounded" in part and ratio not in part for part in (first, section))
