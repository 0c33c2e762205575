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
from tests.evaluation.folders import BENCHMARKS, write_experiment, write_page


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
        assert "chosen by no sweep: it may explain any difference" in headline and "not audited" in headline
    assert text.index("What each arm gained, lost and cost") < text.index("Greedy group score at each")
