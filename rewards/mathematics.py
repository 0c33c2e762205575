"""Verdicts on mathematical answers: an exact path in this process, everything else in a worker that can be killed."""

import math
import os
import re
from numbers import Real
from typing import Any

from rewards.exact import normalise, same
from rewards.extraction import Extraction, last_boxed, last_stated
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Outcome, Task, Verdict, compared

TIMEOUT = 5.0  # seconds one comparison may take
MAX_LENGTH = 1000  # characters of an answer; a longer one is no answer
ALONE = 200  # characters of a response without a stated answer that algebra still looks at; prose costs it seconds

_ENDLESS = re.compile(  # what may keep sympy busy for ever; most of it takes milliseconds
    r"\^\{?-?[0-9]{5}|\^\{[^{}]*\^|(?:[0-9]{4}|[)}])!|\\(?:sum|prod|int|lim|[dt]?binom|choose)(?![a-zA-Z])|\{{9}"
)


def extract(response: str, extraction: Extraction = "aware", final_answer: bool = False) -> str | None:
    r"""The answer of a response: the last `\boxed{}`; else, with `aware` or `final_answer`, a stated one; else None.

    With `aware` a response that states nothing is taken whole where it is short enough to be an answer.
    """
    boxed = last_boxed(response)
    if boxed is not None or not (final_answer or extraction == "aware"):
        return boxed
    stated = last_stated(response)
    if stated is not None or extraction != "aware":
        return stated
    return response if len(response) <= MAX_LENGTH else None


def judge(
    response: str,
    reference: Any,
    *,
    extraction: Extraction = "aware",
    final_answer: bool = False,
    timeout: float = TIMEOUT,
) -> Verdict | Task:
    r"""The verdict where it needs no algebra, else the comparison that a worker has to make.

    `strict` and `paper` take the last `\boxed{}`, with `final_answer` a stated answer where there is none; `aware` any
    clear statement. `timeout`: seconds that the comparison may take. `reference`: text or a real number.
    """
    if not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
        raise ValueError(f"timeout={timeout!r}: the math verifier needs seconds above 0")
    gold = _reference(reference)
    if gold is None:
        return BAD_REFERENCE
    answer = extract(response, extraction, final_answer)
    plain = normalise(answer) if answer and len(answer) <= MAX_LENGTH else answer
    if not answer or not plain:
        return NO_ANSWER
    if len(answer) > MAX_LENGTH:
        return Verdict("wrong", "too_long", answer[:MAX_LENGTH])
    equal = same(normalise(gold), plain)
    if equal is not None:
        return compared(equal, answer)
    if answer is response and len(response) > ALONE:
        return NO_ANSWER
    endless = _ENDLESS.search(answer) or _ENDLESS.search(gold)
    return Task(compare, (gold, answer), timeout, answer, prepare_aside if endless else prepare)


def _reference(reference: Any) -> str | None:
    r"""The reference's text, out of its `\boxed{}` where it has one; None where it cannot be used."""
    if isinstance(reference, Real) and not isinstance(reference, bool):
        reference = _written(reference)
    if not isinstance(reference, str):
        return None
    boxed = last_boxed(reference)
    if boxed is None and "\\boxed" in reference:  # it was cut off
        return None
    text = reference if boxed is None else boxed
    return text if len(text) <= MAX_LENGTH and normalise(text) else None


def _written(reference: Real) -> str | None:
    try:
        text = str(reference)
    except ValueError:  # more digits than Python will write
        return None
    return None if text.lstrip("-") in ("inf", "nan") else text


def prepare() -> None:
    """Load math-verify, so that no time limit counts it."""
    from rewards import algebra  # noqa: F401


def prepare_aside() -> None:
    """The same for answers that look endless: these workers give way to the others."""
    prepare()
    os.nice(10)


def compare(gold: str, answer: str) -> tuple[Outcome, str]:
    """(outcome, reason) by math-verify, without its signals: call it only where the caller can be killed."""
    from rewards import algebra

    return algebra.compare(gold, answer)
