"""The procedural suite: splits that share nothing with each other or with training, answers that its verifiers take."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.schema import Data, Suite
from data import procedural, reasoning, sources, suite
from data.items import GROUPS, Missing
from rewards import verify, verify_many
from rewards.verdict import Request

ROOT = Path(__file__).parents[2]
pytest.importorskip("reasoning_gym", reason="pip install -e '.[reasoning]'")
FIRST = 25


def request(item, response):
    return Request(item.kind, response, item.reference, {"extraction": "strict"} | item.options)


def answer(item):
    if item.kind == "reasoning_gym":
        return json.loads(item.reference)["answer"]
    return f"\\boxed{{{item.reference}}}" if item.kind == "math" else item.reference


def test_every_group_has_benchmarks_and_every_item_is_solved_by_its_answer_alone():
    found = suite.found(Suite(collections=["procedural"], items=8))
    assert not found[1] and {item.benchmark for item in found[0]} == set(procedural.BENCHMARKS)
    groups = [one.group for one in procedural.TABLE]
    assert all(groups.count(group) >= 3 for group in GROUPS)
    right = verify_many([request(item, answer(item)) for item in found[0]], 1)
    assert [(item.id, v.reason) for item, v in zip(found[0], right, strict=True) if v.outcome != "right"] == []
    wrong = verify_many([request(item, "-77777") for item in found[0]], 1)
    assert {verdict.outcome for verdict in wrong} == {"wrong"}


@pytest.mark.parametrize("name", sorted(procedural.BENCHMARKS))
def test_splits_share_no_question_and_ids_differ(name):
    found = {split: procedural.items(name, split, FIRST) for split in ("train", "validation", "test")}
    prompts = [item.prompt for items in found.values() for item in items]
    assert len(prompts) == len(set(prompts)) == 3 * FIRST
    assert len({item.id for items in found.values() for item in items}) == 3 * FIRST
    assert procedural.items(name, "test", FIRST - 5) == found["test"][:-5]
    shown = found["test"][0].shots
    assert len(shown) == procedural.SHOTS and all(reasoning.split_of(question) == "train" for question, _ in shown)


def test_training_never_sees_a_question_of_the_suite():
    rows = sources.load(Data(source="reasoning_gym", tasks={"gcd": 1, "count_bits": 1, "syllogism": 1}), 600, 5)
    assert {reasoning.split_of(row["prompt"]) for row in rows} == {"train"}


def test_items_are_the_same_in_every_process():
    program = (
        "from data import procedural; import hashlib\n"
        "made = [procedural.items(name, 'test', 3) for name in procedural.BENCHMARKS]\n"
        "print(hashlib.sha256(repr(made).encode()).hexdigest())"
    )
    own = repr([procedural.items(name, "test", 3) for name in procedural.BENCHMARKS])
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == hashlib.sha256(own.encode()).hexdigest()


@pytest.mark.parametrize(
    ("task", "said", "outcome"),
    [
        ("shortest_path", "so \\boxed{right}", "wrong"),  # a valid way that is not the shortest has half a point
        ("fraction_simplification", "\\frac{17}{28}", "right"),
        ("fraction_simplification", "34/56", "wrong"),  # a tenth of a point
        ("fraction_simplification", "The answer is 17/28.", "right"),
        ("fraction_simplification", "foo bar", "wrong"),
        ("fraction_simplification", "<think> 17/28", "wrong"),
    ],
)
def test_part_of_a_point_is_wrong(task, said, outcome):
    item = next(item for item in procedural.items("shortest_path" if "path" in task else "fraction", "test", 50))
    reference = json.loads(item.reference)
    if task == "fraction_simplification":
        reference["metadata"] = {
            "numerator": 34,
            "denominator": 56,
            "simplified_numerator": 17,
            "simplified_denominator": 28,
        }
    else:
        reference |= {"answer": "right down left"}
        reference["metadata"] = {"matrix": [["*", "O"], ["#", "O"]], "solution": []}
    assert verify("reasoning_gym", said, json.dumps(reference)).outcome == outcome


def test_every_shortest_way_is_right():
    reference = json.loads(procedural.items("shortest_path", "test", 1)[0].reference)
    reference |= {"answer": "right down", "metadata": {"matrix": [["*", "O"], ["O", "#"]], "solution": []}}
    for said in ("right down", "down right", "so \\boxed{down right}"):
        assert verify("reasoning_gym", said, reference).outcome == "right"


def test_without_the_package_the_benchmarks_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    procedural._shots.cache_clear()
    with pytest.raises(Missing, match="reasoning-gym is not installed") as caught:
        procedural.items("gcd", "test", 5)
    assert caught.value.benchmark == "gcd"
    procedural._shots.cache_clear()
