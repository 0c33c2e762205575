"""Near duplicates and overlap with the suite, beside a slow and obvious count of the same."""

import random
import string

import numpy as np
import pytest

from conf.schema import Suite
from data import decontaminate
from data.duplicates import Shingles
from data.ngrams import bare_words, ngrams, words
from data.suite import items


def texts(rng, count, vocabulary=30, longest=60):
    """Texts that share much: copies of earlier ones with words changed, dropped and added."""
    found = []
    for _ in range(count):
        if found and rng.random() < 0.6:
            new = rng.choice(found).split()
            for _ in range(rng.randrange(4)):
                place = rng.randrange(len(new) + 1)
                new[place : place + rng.randrange(2)] = [f"w{rng.randrange(vocabulary)}"] * rng.randrange(2)
        else:
            new = [f"w{rng.randrange(vocabulary)}" for _ in range(rng.randrange(longest))]
        found.append(" ".join(new))
    return found


def slow_duplicates(found, similarity):
    def shingles(text):
        split = text.lower().split()
        return {tuple(split[i : i + 5]) for i in range(len(split) - 4)} or {tuple(split)}

    kept, dropped = [], []
    for text in found:
        mine = shingles(text)
        dropped.append(any(len(mine & other) >= similarity * len(mine | other) for other in kept))
        if not dropped[-1]:
            kept.append(mine)
    return dropped


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_near_duplicates_are_those_of_a_comparison_of_all_pairs(similarity, tmp_path):
    rng = random.Random(similarity)
    found = texts(rng, 400) + texts(rng, 200, vocabulary=3, longest=12)
    shingles = Shingles(tmp_path / "shingles")
    for start in range(0, len(found), 37):
        shingles.add(found[start : start + 37])
    expected = slow_duplicates(found, similarity)
    assert shingles.duplicates(similarity).tolist() == expected
    assert 0.05 < np.mean(expected) < 0.95


def test_no_rows_and_rows_without_words(tmp_path):
    assert Shingles(tmp_path / "none").duplicates(0.5).tolist() == []
    shingles = Shingles(tmp_path / "few")
    shingles.add(["What is 3+4?", "what  is 3+4?", "What is 3-4?", "", ""])
    assert shingles.duplicates(0.5).tolist() == [False, True, False, False, True]


def test_ngrams_are_the_runs_of_words_and_never_cross_texts():
    rng = random.Random(0)
    found = texts(rng, 200, vocabulary=4, longest=9)
    numbers, owners = ngrams(found, 3, words)
    runs = [(i, tuple(text.split()[j : j + 3])) for i, text in enumerate(found) for j in range(len(text.split()) - 2)]
    assert owners.tolist() == [i for i, _ in runs]
    by_run = {}
    for number, (_, run) in zip(numbers.tolist(), runs, strict=True):
        assert by_run.setdefault(run, number) == number
    assert len(set(by_run.values())) == len(by_run)
    assert ngrams([], 3, words)[0].size == 0 == ngrams(["a b", "c"], 3, words)[0].size


def slow_overlap(prompts, suite, n):
    def runs(text):
        split = bare_words(text)
        return {tuple(split[i : i + n]) for i in range(len(split) - n + 1)}

    held = set().union(*map(runs, suite))
    return [" ".join(p.split()) in {" ".join(s.split()) for s in suite} or bool(runs(p) & held) for p in prompts]


@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_overlap_is_that_of_a_comparison_of_all_runs(n):
    rng = random.Random(n)
    everything = texts(rng, 300, vocabulary=400 if n < 5 else 8)
    suite, prompts = everything[:40], everything[40:] + [f" {everything[3]} ", "w1"]
    held = decontaminate.hold([("some", text) for text in suite], n)
    found = [name is not None for name in decontaminate.overlaps(held, prompts)]
    assert found == slow_overlap(prompts, suite, n) and 0 < sum(found) < len(found)


def test_thirteen_words_are_found_whatever_their_case_and_punctuation():
    question = "A train leaves at noon, and (by 5 pm) it has gone 300 km; how fast was it on average?"
    held = decontaminate.hold([("speed", question), ("short", "what is 2+2?")], 13)
    inside = question.upper().replace(",", " ,").replace("noon", "“noon”")
    for prompt, expected in {
        f"Listen well. {inside} Say why.": "speed",
        " ".join(question.split()[:12]): None,  # twelve words
        " ".join(question.split()[:13]): "speed",
        "what is  2+2?": "short",
        "tell me what is 2+2?": None,  # a short prompt counts only as a whole
        "what is 2-2?": None,
    }.items():
        assert decontaminate.overlaps(held, [prompt]) == [expected], prompt
    off = decontaminate.hold([("speed", question)], 0)
    assert decontaminate.overlaps(off, [question, inside]) == ["speed", None]


def test_every_prompt_of_the_suite_overlaps_it_and_nothing_else_does():
    suite = Suite(items=20)
    held = decontaminate.held_out([suite], 13)
    for split in ("validation", "test"):
        found = items(suite.model_copy(update={"split": split}))
        names = decontaminate.overlaps(held, [item.prompt for item in found])
        assert all(names) and set(names) == {item.benchmark for item in found}
    assert decontaminate.overlaps(held, list(string.ascii_letters)) == [None] * 52
