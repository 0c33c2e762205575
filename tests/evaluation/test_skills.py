"""The skill profile and the twins against plain counts; a planted collapse is found, and no other."""

import json
import random
from collections import defaultdict
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.files import read_json, write_json
from data import skills as natural
from data.skills import tiny
from evaluation import skills, twins
from evaluation.grade import about
from evaluation.report import figures
from evaluation.summing import all_scores
from tests.evaluation.folders import write_experiment, write_page

FALLS = ("simulation",)


@cache
def drawn(name, count):
    return tiny.items(name, "test", count)


def columns(chance, seed=0, count=20, names=tuple(tiny.BENCHMARKS)):
    """Columns of items.parquet; `chance(labels)` is the chance that an answer is right, the same draw for every model.

    An item's draw is its own, so two models differ only where their chances do.
    """
    rows = []
    for name in names:
        for item in drawn(name, count):
            right = random.Random(f"{item.id}/{seed}").random() < chance(item.labels)
            rows.append(about(item) | {"sample": 0, "outcome": "right" if right else "wrong"})
    return {key: [row[key] for row in rows] for key in rows[0]}


def answered(chance, seed=0, count=20):
    return skills.answers(columns(chance, seed, count))["tiny"]


@pytest.fixture(scope="module")
def half():
    return columns(lambda labels: 0.5)


def test_scores_are_means_of_domains_of_cases(half):
    found = skills.profiles(half)["skills"]["tiny"]
    cells = defaultdict(list)
    for labels, outcome in zip(map(json.loads, half["labels"]), half["outcome"], strict=True):
        cells[labels["skill"], labels["domain"]].append(outcome == "right")
    for name in natural.SKILLS:
        own = [np.mean(cells[name, domain]) for domain in natural.DOMAINS]
        assert found["skills"][name]["score"] == pytest.approx(100 * np.mean(own))
        assert found["cells"][f"{name}_math"]["score"] == pytest.approx(100 * own[0])
    for by in ("skills", "domains", "cells", "difficulties"):
        for cell in found[by].values():
            assert 0 <= cell["low"] <= cell["score"] <= cell["high"] <= 100
    assert set(found["difficulties"]) == {"easy", "medium", "hard"} and len(found["cells"]) == 20
    scores = [cell["score"] for cell in found["skills"].values()]
    assert found["spread"]["sd"] == pytest.approx(np.std(scores))
    assert found["skills"][found["spread"]["best"]]["score"] == max(scores)


def test_a_skill_always_wrong_has_an_interval_all_the_same():
    found = skills.profiles(columns(lambda labels: 0.0, count=10))["skills"]["tiny"]["skills"]["calculation"]
    assert found["score"] == found["low"] == 0 and 5 < found["high"] < 25


def test_parts_and_twins_against_counts(half):
    found = skills.profiles(half)["skills"]["tiny"]
    right = {item: outcome == "right" for item, outcome in zip(half["item"], half["outcome"], strict=True)}
    finds = [item for item in right if "_find_" in item]
    both = [right[item] and right[item.replace("_find_", "_mend_")] for item in finds]
    assert found["parts"]["questions"] == len(finds)
    assert found["parts"]["both"]["score"] == pytest.approx(100 * np.mean(both))
    assert found["parts"]["mend_of_found"]["score"] == pytest.approx(100 * sum(both) / sum(right[i] for i in finds))
    pairs = [(item, f"{item}-twin") for item in right if not item.endswith("-twin")]
    own = found["twins"]["all"]
    assert own["pairs"] == len(pairs) == len(right) / 2
    assert own["alike"]["score"] == pytest.approx(100 * np.mean([right[a] == right[b] for a, b in pairs]))
    assert own["right_then_wrong"] == sum(right[a] and not right[b] for a, b in pairs)
    assert own["kept"]["score"] == pytest.approx(100 * np.mean([right[b] for a, b in pairs if right[a]]))
    assert own["pairs"] == found["twins"]["numbers"]["pairs"] + found["twins"]["words"]["pairs"]
    assert abs(own["kappa"]) < 0.2 and abs(own["by_chance"] - 50) < 5


def test_pairs_are_alike_by_chance_alone_where_answers_are_independent_and_kappa_says_so():
    right = {f"{n}{x}": random.Random(f"{n}{x}").random() < 0.9 for n in range(4000) for x in "ab"}
    own = twins.agreement([(f"{n}a", f"{n}b") for n in range(4000)], [right])
    assert abs(own["alike"]["score"] - 82) < 2 and abs(own["kappa"]) < 0.05
    same = twins.agreement([("1a", "1a"), ("2a", "2a")], [{"1a": True, "2a": False}])
    assert same["kappa"] == 1 and same["kept"]["score"] == 100
    assert twins.agreement([("1a", "1a")], [{"1a": True}])["kappa"] is None
    assert twins.agreement([], [{}])["alike"]["score"] is None


def test_a_question_without_its_twin_is_in_no_pair():
    odd = columns(lambda labels: 0.5, count=3, names=["calculation_math_tiny"])
    assert twins.pairs(odd) == [(odd["item"][0], odd["item"][1])]


def fallen(labels):
    return 0.35 if labels["skill"] in FALLS else 0.6


def test_a_skill_that_falls_while_math_rises_has_collapsed():
    base, tuned = (answered(chance, count=40) for chance in (lambda labels: 0.6, fallen))
    found = skills.changes(base, [tuned], (5.0, 2.0, 8.0))
    assert found["fell"] == found["collapsed"] == list(FALLS)
    cell = found["skills"]["simulation"]
    assert cell["low"] < cell["difference"] < cell["high"] < 0 and cell["p_holm"] == pytest.approx(5 * cell["p"])
    assert found["skills"]["calculation"]["difference"] == 0 and found["skills"]["calculation"]["p_holm"] == 1
    without = skills.changes(base, [tuned], (1.0, -1.0, 3.0))
    assert without["fell"] == list(FALLS) and without["collapsed"] == [] and not without["math_rose"]
    assert skills.changes(base, [tuned], None)["collapsed"] == []
    assert skills.changes(tuned, [base], (5.0, 2.0, 8.0))["fell"] == []  # what rises did not fall


def test_seeds_that_disagree_leave_a_fall_open_and_few_cases_have_no_interval():
    base, low, high = (answered(lambda labels, c=c: c, count=40) for c in (0.6, 0.3, 0.9))
    assert len(skills.changes(base, [low, low, low], None)["fell"]) == 5
    mixed = skills.changes(base, [low, low, high], None)
    assert mixed["fell"] == [] and mixed["skills"]["simulation"]["difference"] < 0
    few = [answered(lambda labels, c=c: c, count=2) for c in (0.9, 0.0)]
    assert skills.changes(few[0], few[1:], None)["fell"] == []
    assert skills.changes(few[0], few[1:], None)["skills"]["simulation"]["p_holm"] is None


@pytest.mark.slow
def test_models_that_differ_by_luck_are_said_to_have_lost_a_skill_in_one_of_twenty_at_most():
    wrong, runs = 0, 150
    for seed in range(runs):
        base, tuned = (answered(lambda labels: 0.5, f"{seed}/{which}", count=24) for which in "ab")
        wrong += bool(skills.changes(base, [tuned], None)["fell"])
    assert wrong / runs <= 0.025 + 3 * (0.025 * 0.975 / runs) ** 0.5  # falls are one side of a two-sided 0.05


def test_seeds_are_averaged_over_the_items_that_all_could_score():
    one, other = (answered(lambda labels: 0.5, seed, count=4) for seed in "ab")
    missing = next(iter(other.right))
    del other.right[missing]
    both = skills.mean([one, other])
    assert missing not in both.right
    assert all(value == (one.right[item] + other.right[item]) / 2 for item, value in both.right.items())
    assert skills.profile([one, one])["skills"] == skills.profile([one])["skills"]
    assert skills.profile([one, one])["twins"] == skills.profile([one])["twins"]


def test_scores_json_holds_the_profile_and_leaves_it_out_where_there_are_no_skills(half):
    whole = half | {key: ["right"] * len(half["item"]) for key in ("strict", "aware")}
    whole |= {"paper": [None] * len(half["item"]), "strategy": [""] * len(half["item"])}
    whole["truncated"] = [False] * len(half["item"])
    assert set(all_scores(whole)["skills"]["tiny"]) == {*skills.BY, "spread", "parts", "twins"}
    assert "skills" not in all_scores(whole | {"labels": ["{}"] * len(half["item"])})


# --- on the report ----------------------------------------------------------------------------------------------------


def write_suite(folder, chance):
    """The skills as a further suite, beside an evaluation."""
    own = columns(chance, count=10)
    rows = len(own["item"])
    own |= {"strict": list(own["outcome"]), "aware": ["right"] * rows}  # all of it known, in some form
    own |= {"paper": [None] * rows, "strategy": [""] * rows, "truncated": [False] * rows, "response": ["x"] * rows}
    folder.mkdir(parents=True)
    pq.write_table(pa.table(own), folder / "items.parquet")
    step = read_json(folder.parents[1] / "scores.json")["step"]
    write_json(folder / "scores.json", {"step": step, "label": "x", "settings": {}, **all_scores(own)})


def test_the_report_shows_profile_collapse_and_twins(tmp_path):
    root = write_experiment(tmp_path / "tiny", (0,))
    write_suite(root / "base" / "evaluation" / "suites" / "skills_tiny", lambda labels: 0.8)
    for arm, level in (("sft", 0.8), ("grpo", 0.2)):  # of the two, grpo's math rises clearly
        for step in (20, 40):
            write_suite(
                root / f"arms/{arm}/seed-0/evaluation/step-{step:06d}/suites/skills_tiny",
                lambda x, n=level: n if x["skill"] in FALLS else 0.8,
            )
    page = write_page(root)
    found = read_json(root / "report" / "results.json")["skills"]["tiny"]
    assert found["changes"]["grpo"]["collapsed"] == ["simulation"] and found["changes"]["sft"]["fell"] == []
    assert found["steps"]["sft"][0]["steps"] == [0, 20, 40]
    along = found["steps"]["grpo"][0]
    assert along["fell"] == along["collapsed"] == [[], ["simulation"], ["simulation"]]
    assert along["spread"][0] < along["spread"][1] and along["ability"]["simulation"] == [100.0] * 3
    assert (
        found["ability"]["grpo"]["simulation"]["score"]
        == 100
        > found["profiles"]["grpo"]["skills"]["simulation"]["score"]
    )
    assert "ability 100.0" in page and "Spread, and what fell, by checkpoint" in page
    assert "collapse of simulation" in page and 'id="skills"' in page
    assert len(figures.skills(read_json(root / "report" / "results.json")).axes) == 5
    assert "simulation" in (root / "report" / "tables" / "skills.csv").read_text()
    assert "kept_score" in (root / "report" / "tables" / "twins.csv").read_text()


@pytest.mark.slow
def test_the_report_names_an_arm_that_lacks_the_skills(tmp_path):
    root = write_experiment(tmp_path / "tiny", (0,))
    write_suite(root / "base" / "evaluation" / "suites" / "skills_tiny", lambda labels: 0.8)
    assert "no profile" in write_page(root)
    assert read_json(root / "report" / "results.json")["skills"]["tiny"]["lacking"] == ["sft", "grpo"]
