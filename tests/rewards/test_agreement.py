"""Our verdicts are math-verify's own, but for the cases listed in answers.jsonl, each with the reason."""

import random

import pytest

from bench import corpus
from bench.agreement import CLASSES, disagreements, listed, pairs
from rewards import Request, verify_many

NEAR = ["0.333333", "0.3333334", "0.333", "1.000001", "1.0000004", "1.00001", "2.5", "2.500", "12345.678901"]


def number(rng):
    """A number as people write it."""
    n, d = rng.randint(0, 9), rng.randint(1, 4)
    whole = [f"{n}", f"0{n}", f"{n}.0", f"{n},000", f"{n}{{,}}000", f"${n}$", f"\\${n}", f"({n})"]
    parts = [f"{n}.{d}", f"\\frac{{{n}}}{{{d}}}", f"{n}/{d}", f"\\frac{n}{d}", f"{n}\\frac{{{d}}}{{{d + 1}}}"]
    return rng.choice(["", "", "-"]) + rng.choice([*whole, *parts, rng.choice(NEAR), "\\frac13"])


def test_numbers_are_judged_alike():
    rng = random.Random(0)
    assert disagreements([(number(rng), number(rng)) for _ in range(200)]) == set()


def test_all_classes_are_judged_alike_but_for_the_listed_cases():
    assert disagreements(pairs(CLASSES)) == listed()


def test_what_is_listed_is_right_and_tells_why():
    found = [line for line in CLASSES if "why" in line]
    assert 0 < len(found) < 30
    assert all(len(line["why"]) > 20 and line["equal"] for line in found)


def test_a_sample_of_the_corpus_is_judged_alike():
    assert disagreements(pairs(corpus.load()[:40])) == set()


@pytest.mark.slow
def test_the_whole_corpus_is_judged_alike_as_it_is_and_shuffled():
    lines = corpus.load()
    others = random.Random(0).sample(lines, 500)
    mixed = [
        (a["reference"], b["answer"]) for a, b in zip(others, others[1:], strict=False) if a["class"] == b["class"]
    ]
    assert disagreements(pairs(lines) + mixed) == set()


def test_the_corpus_is_as_it_is_made_and_what_is_equal_in_it_is_known_apart_from_any_verifier():
    lines = corpus.load()
    assert lines == corpus.made()
    assert len(lines) == corpus.SIZE
    some = lines[:100]
    verdicts = verify_many([Request("math", f"\\boxed{{{line['answer']}}}", line["reference"]) for line in some], 2)
    assert [verdict.outcome == "right" for verdict in verdicts] == [line["equal"] for line in some]
