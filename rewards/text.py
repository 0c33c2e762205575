"""Verdicts on plain text."""

import re
import string
from typing import Any, Literal

from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Verdict, compared

Mode = Literal["exact", "normalised", "contains"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """As SQuAD's evaluation does: lower case, no punctuation, no articles, single blanks (arXiv:1606.05250)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def judge(response: str, reference: Any, *, mode: Mode = "exact") -> Verdict:
    """Compare text: `exact` after stripping, `normalised`, or `contains` (the reference in it, both normalised)."""
    if mode not in ("exact", "normalised", "contains"):
        raise ValueError(f"unknown mode {mode!r} of the text verifier; use exact, normalised or contains")
    if not isinstance(reference, str) or not reference.strip():
        return BAD_REFERENCE
    answer = response.strip()
    if not answer:
        return NO_ANSWER
    if mode == "exact":
        return compared(answer == reference.strip(), answer)
    gold, given = normalise(reference), normalise(answer)
    if not gold:
        return BAD_REFERENCE
    return compared(given == gold if mode == "normalised" else f" {gold} " in f" {given} ", answer)
