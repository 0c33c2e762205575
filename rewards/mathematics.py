"""Verdicts on mathematical answers: an exact path in this process, everything else in a worker that can be killed."""

import re
from fractions import Fraction
from typing import Any

from rewards.extraction import Extraction, last_boxed, last_stated
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Outcome, Task, Verdict, compared

TIMEOUT = 5.0  # seconds one comparison may take
MAX_LENGTH = 1000  # characters of an answer; a longer one is no answer

_INTEGER = re.compile(r"[+-]?(?:[0-9]{1,1000}|[0-9]{1,3}(?:,[0-9]{3}){1,300})", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,300}\.[0-9]{0,300}|\.[0-9]{1,300})", re.ASCII)
_FRACTION = re.compile(
    r"([+-]?)(?:\\frac\{([0-9]{1,300})\}\{([0-9]{1,300})\}|\\frac([0-9])([0-9])|([0-9]{1,300})/([0-9]{1,300}))",
    re.ASCII,
)
_NOISE = re.compile(r"\\left(?![a-zA-Z])|\\right(?![a-zA-Z])|\\[!,;: ]|\$|\s+")


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
    clear statement. `timeout`: seconds that the comparison may take.
    """
    gold = _reference(reference)
    if gold is None:
        return BAD_REFERENCE
    answer = extract(response, extraction, final_answer)
    if answer is None or not normalise(answer):
        return NO_ANSWER
    if len(answer) > MAX_LENGTH:
        return Verdict("wrong", "too_long", answer[:MAX_LENGTH])
    equal = _same(normalise(gold), normalise(answer))
    return Task(compare, (gold, answer), timeout, answer, prepare) if equal is None else compared(equal, answer)


def _reference(reference: Any) -> str | None:
    r"""The reference's text, out of its `\boxed{}` where it has one; None where it cannot be used."""
    if isinstance(reference, bool) or not isinstance(reference, str | int | float):
        return None
    if isinstance(reference, int) and reference.bit_length() > 3000:  # more digits than Python will write
        return None
    text = str(reference)
    boxed = last_boxed(text)
    text = text if boxed is None else boxed
    return text if normalise(text) and len(text) <= MAX_LENGTH else None


def normalise(answer: str) -> str:
    """The answer without what does not change its meaning: dollars, white space, sizes of braces and fractions."""
    text = _NOISE.sub("", answer).replace("\u2212", "-").rstrip(".")
    return text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")


def _same(gold: str, answer: str) -> bool | None:
    """Equal, unequal, or None where only algebra can tell."""
    if gold == answer:
        return True
    a, b = number(gold), number(answer)
    if a is None or b is None:
        return None
    if a == b:
        return True
    exact = _DECIMAL.fullmatch(gold) is None and _DECIMAL.fullmatch(answer) is None
    far = abs(a - b) > Fraction(1, 1000) * max(
        Fraction(1), abs(a)
    )  # decimals nearer than this are math-verify's to round
    return False if exact or far else None


def number(text: str) -> Fraction | None:
    """The value of an integer, a plain decimal or a simple fraction; None for anything else."""
    if _INTEGER.fullmatch(text):
        return Fraction(int(text.replace(",", "")))
    if _DECIMAL.fullmatch(text):
        return Fraction(text if text[-1] != "." else text[:-1])
    found = _FRACTION.fullmatch(text)
    if found is None:
        return None
    above, below = (part for part in found.groups()[1:] if part is not None)
    if int(below) == 0:
        return None
    value = Fraction(int(above), int(below))
    return -value if found.group(1) == "-" else value


def prepare() -> None:
    """Load math-verify and parse once, so that no time limit counts it."""
    import math_verify

    math_verify.verify(*(math_verify.parse("$1$", parsing_timeout=None) for _ in range(2)), timeout_seconds=None)


def compare(gold: str, answer: str) -> tuple[Outcome, str]:
    """(outcome, reason) by math-verify, without its signals: call it only where the caller can be killed."""
    golds = _parse(gold)
    if not golds:
        return "unscorable", "bad_reference"
    answers = _parse(answer)
    if not answers:
        return "wrong", "unparsable"
    return _judge(golds, answers)


def _parse(answer: str) -> list[Any]:
    from math_verify import parse

    try:
        return parse(f"\\boxed{{{answer}}}", parsing_timeout=None, raise_on_error=True)
    except MemoryError:
        raise
    except Exception:  # the verifier's boundary: what its parser cannot read is not an answer
        return []


def _judge(golds: list[Any], answers: list[Any]) -> tuple[Outcome, str]:
    from math_verify import verify

    try:
        equal = verify(golds, answers, timeout_seconds=None, raise_on_error=True)
    except MemoryError:
        raise
    except Exception:  # the verifier's boundary: one reading failed, another may still agree; if none does, say so
        if not verify(golds, answers, timeout_seconds=None):
            return "unscorable", "error"
        equal = True
    return ("right", "match") if equal else ("wrong", "mismatch")
