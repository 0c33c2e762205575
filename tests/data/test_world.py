"""The world: answers checked by a second method, disjoint splits, strategies told apart."""

import re
from itertools import pairwise

import pytest

from data import world
from data.items import GROUPS, Item
from rewards import verify

SPLITS = list(world.SPLITS)


def test_at_least_three_benchmarks_in_each_group():
    for group in GROUPS:
        assert sum(b.group == group for b in world.BENCHMARKS.values()) >= 3


@pytest.mark.parametrize("name", world.BENCHMARKS)
def test_splits_are_disjoint_and_items_distinct(name):
    found = {split: {item.prompt for item in world.items(name, split, 300)} for split in SPLITS}
    assert all(found.values())
    if not world.BENCHMARKS[name].recalled:
        for a in SPLITS:
            for b in SPLITS:
                assert a == b or not found[a] & found[b]


@pytest.mark.parametrize("name", world.BENCHMARKS)
def test_items_are_the_same_on_every_call_and_enough_for_the_suite(name):
    assert world.items(name, "test", 100) == world.items(name, "test", 100)
    assert len(world.items(name, "test", 100)) == 100


@pytest.mark.parametrize("name", world.BENCHMARKS)
def test_the_reference_is_right_and_another_answer_is_not(name):
    for item in world.items(name, "test", 50):
        given = world.boxed(item.reference) if item.kind == "math" else item.reference
        assert verify(item.kind, given, item.reference, **item.options).outcome == "right"
        assert (
            verify(item.kind, given.replace(item.reference, "zzz"), item.reference, **item.options).outcome == "wrong"
        )


def test_training_draws_from_math_alone_and_never_from_unseen_ranges():
    items = world.training_items(600)
    assert {item.group for item in items} == {"math"}
    assert {item.benchmark for item in items} == {"arithmetic_3", "arithmetic_4"}
    assert max(int(n) for item in items for n in re.findall(r"\d+", item.prompt)) < 20
    assert all(world.split_of(item.prompt) == "train" for item in items)


@pytest.mark.parametrize("name", [n for n, b in world.BENCHMARKS.items() if b.group == "math"])
def test_sums_by_a_second_method(name):
    for item in world.items(name, "test", 100):
        total = sum(int(part) for part in re.findall(r"[+-]?\d+", item.prompt))
        assert total == int(item.reference)


def test_reasoning_answers_by_a_second_method():
    second = {
        "sorting": lambda p: "".join(sorted(p.split()[1])),
        "counting": lambda p: str(len(re.findall(p.split()[1], p.split()[3]))),
        "reversing": lambda p: "".join(reversed(p.split()[1])),
        "sequences": lambda p: str(2 * int(p.split()[4]) - int(p.split()[3])),
        "comparing": _compare,
        "planning": _walk,
    }
    for name, solve in second.items():
        for item in world.items(name, "test", 100):
            assert solve(item.prompt) == item.reference, item.prompt


def _compare(prompt):
    a, b = map(int, re.findall(r"\d+", prompt))
    return "a" if (a > b) == ("more" in prompt) else "b"


def _walk(prompt):
    """Breadth-first search for the shortest path."""
    start, goal = re.search(r"path (\w) to (\w)", prompt).groups()
    edges = prompt.split(": ")[1].split()
    paths = [start]
    for path in paths:
        if path[-1] == goal:
            return path
        for a, b in [*edges, *(e[::-1] for e in edges)]:
            if a == path[-1] and b not in path:
                paths.append(path + b)


@pytest.mark.parametrize("distance", ["near", "medium", "far"])
def test_the_teacher_is_right_and_writes_in_a_style_of_its_own(distance):
    for item in world.training_items(200):
        text = world.teacher(item, distance)
        assert verify("math", text, item.reference).outcome == "right"
        assert world.strategy(item.prompt, text) == ("steps" if distance == "near" else "teacher")
    assert distance == "near" or len({world.teacher(item, distance, seed) for seed in range(20)}) == 3


@pytest.mark.parametrize("distance", ["near", "medium", "far"])
def test_a_teacher_that_makes_mistakes_slips_once_and_goes_on_from_there(distance):
    wrong, total = 0, 0
    for item in world.training_items(100):
        for seed in range(8):
            text = world.attempt(item, distance, 0.25, seed)
            right = verify("math", text, item.reference).outcome == "right"
            assert right == (text == world.teacher(item, distance, seed))
            assert world.strategy(item.prompt, text) == world.strategy(item.prompt, world.teacher(item, distance, seed))
            assert _slips(text) == 1 - right
            wrong, total = wrong + (not right), total + 1
    assert 0.2 < wrong / total < 0.3


def _slips(text):
    """Steps whose own sum is wrong; every step goes on from the result before it."""
    text = text.replace(" plus ", "+").replace(" minus ", "-").replace(" makes ", "=")
    steps = [tuple(map(int, one)) for one in re.findall(r"(-?\d+)([+-]\d+)=(-?\d+)", text)]
    assert all(before[2] == after[0] for before, after in pairwise(steps))
    assert text.endswith(f"{{{steps[-1][2]}}}")
    return sum(a + b != c for a, b, c in steps)


def test_a_teacher_without_mistakes_writes_what_it_always_wrote():
    item = Item("x", "arithmetic_3", "math", "math", "12+7-3", "16")
    assert world.teacher(item, "near") == world.write_steps(item.prompt)
    assert all(world.attempt(item, d, 0.0, k) == world.teacher(item, d, k) for d in ("medium", "far") for k in range(9))


def test_strategies_are_told_apart():
    import random

    prompt = "12+7-3"
    assert world.strategy(prompt, world.write_direct(prompt)) == "direct"
    assert world.strategy(prompt, world.write_steps(prompt)) == "steps"
    assert world.strategy(prompt, world.write_careless(prompt, random.Random(0))) == "careless"
    assert world.strategy(prompt, "hello") == "other"


def test_careless_slips_in_the_stated_share():
    import random

    rng, prompt = random.Random(0), "12+7-3+8"
    right = sum(verify("math", world.write_careless(prompt, rng, 0.6), "24").outcome == "right" for _ in range(500))
    assert 0.33 < right / 500 < 0.47
