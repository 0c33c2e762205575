"""Whether our verdicts are math-verify's own: on every class of answers, and on the corpus.

`tests/rewards/answers.jsonl` holds the classes, and lists the cases in which ours is better, each with the reason.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import math_verify

from bench import Figure, corpus
from rewards import Request, verify_many

CLASSES: list[dict[str, Any]] = [
    json.loads(line) for line in (corpus.FILE.parent / "answers.jsonl").read_text(encoding="utf-8").splitlines()
]
_OUTCOME = {True: "right", False: "wrong", None: "unscorable"}

Pair = tuple[str, str]  # reference and answer


def figures() -> Iterator[Figure]:
    """How often the verdicts differ, listed cases apart."""
    lines = CLASSES + corpus.load()
    found = disagreements(pairs(lines)) - listed()
    yield Figure(f"disagreements with math-verify on {len(lines):,} answers", len(found), 0, "verdicts", False)


def pairs(lines: Iterable[dict[str, Any]]) -> list[Pair]:
    """Reference and answer of each line."""
    return [(line["reference"], line["answer"]) for line in lines]


def listed() -> set[Pair]:
    """The cases in which our verdict is meant to be another."""
    return set(pairs(line for line in CLASSES if "why" in line))


def stock(reference: str, answer: str) -> bool | None:
    """What math-verify says, with its own time limits; None where it cannot judge, for an error ends its comparison."""
    gold, given = (math_verify.parse(f"\\boxed{{{text}}}") for text in (reference, answer))
    try:
        return math_verify.verify(gold, given, raise_on_error=True)
    except Exception:  # whatever sympy raises
        return True if math_verify.verify(gold, given) else None


def disagreements(asked: list[Pair]) -> set[Pair]:
    """Those on which our verdict is another than math-verify's."""
    requests = [Request("math", f"\\boxed{{{answer}}}", reference, {"timeout": 30}) for reference, answer in asked]
    ours = verify_many(requests, 2)
    return {pair for pair, verdict in zip(asked, ours, strict=True) if verdict.outcome != _OUTCOME[stock(*pair)]}
