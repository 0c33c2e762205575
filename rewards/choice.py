"""Verdicts on a letter chosen among options."""

import re
from collections.abc import Callable
from typing import Any

from rewards.extraction import Extraction, last_boxed
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Verdict, compared

_WRAPPED = re.compile(
    r"[ \t]*(?:\\(?:text|textbf|mathrm|mathbf)[ \t]*\{)?[ \t$*]*\(?([A-Za-z])\)?[ \t$*]*\}?[.:]?[ \t]*"
)
_STATED = re.compile(
    r"\b(?:answer|choice|option)(?:[ \t]{1,8}is\b(?:[ \t]{0,8}:)?|[ \t*]{0,8}[:=])[ \t*$]{0,8}\(?([A-Za-z])\b\)?(?!')",
    re.IGNORECASE,
)
_STANDALONE = re.compile(r"(?<![A-Za-z0-9])[A-Z](?![A-Za-z0-9])")
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
# a capital that stands alone, but neither "I" nor the article "A" (as in "A cat")
_CAPITAL = re.compile(r"(?<![\w'\\-])([B-HJ-Z]|A(?! (?!or\b|and\b|is\b)[a-z]))(?![\w'-])")


def judge(response: str, reference: Any, *, extraction: Extraction = "aware") -> Verdict:
    """Compare letters without case. A response that names several where one was asked is wrong, `ambiguous`.

    `strict` takes a boxed letter, a letter alone, or a stated one ("Answer: B"); `aware` the other usual forms too;
    `paper` the last capital that stands alone, as the published scorers of multiple choice do.
    """
    gold = _WRAPPED.fullmatch(last_boxed(reference) or reference) if isinstance(reference, str) else None
    if gold is None:
        return BAD_REFERENCE
    letters = _FORMS[extraction](response)
    if not letters:
        return NO_ANSWER
    if len(letters) > 1:
        return Verdict("wrong", "ambiguous", ",".join(sorted(letters)))
    letter = letters.pop()
    return compared(letter == gold.group(1).lower(), letter)


def _paper(response: str) -> set[str]:
    found = _STANDALONE.findall(response)
    return {found[-1].lower()} if found else set()


def _strict(response: str) -> set[str]:
    boxed = last_boxed(response)
    if boxed is not None:
        return _lone(boxed)
    alone = _lone(response.strip()) if len(response) < 1000 else set()
    return alone or _found(_STATED, response)


def _aware(response: str) -> set[str]:
    """The letters of the most explicit form the response uses: boxed, alone, stated, bracketed, a lone capital."""
    boxed = last_boxed(response)
    if boxed is not None:
        return _lone(boxed) or _found(_BRACKETED, boxed) or _found(_CAPITAL, boxed)
    return _strict(response) or _found(_BRACKETED, response) or _leading(response) or _found(_CAPITAL, response)


_FORMS: dict[Extraction, Callable[[str], set[str]]] = {"paper": _paper, "strict": _strict, "aware": _aware}


def _lone(text: str) -> set[str]:
    found = _WRAPPED.fullmatch(text)
    return {found.group(1).lower()} if found else set()


def _leading(response: str) -> set[str]:
    """A letter set off at the very start: "b) because ...", "B. Paris"."""
    found = re.match(r"\s{0,8}([A-Za-z])[.):]\s", response)
    return {found.group(1).lower()} if found else set()


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    return {letter.lower() for letter in pattern.findall(text)}
