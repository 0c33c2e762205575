r"""Answers in `\boxed{}`, compared as strings by the rules of the MATH data set (arXiv:2103.03874, its evaluation),
as Evalchemy takes them over from lm-eval's `hendrycks_math`, and as the fork's task `olympiad` changed them.

Two answers are equal where their normal forms are the same string. So `0.5` is `\frac{1}{2}`, but `0.25` is not
`\frac{1}{4}`, `1,000` not `1000`, `\frac{1}{\sqrt{2}}` not `\frac{\sqrt{2}}{2}`; and $2$ with its dollars is not 2.
"""

import re
from collections.abc import Mapping
from typing import Any

from rewards.paper.stops import cut
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Verdict, compared

_BOXED, _FBOX, _BARE = "\\boxed", "\\fbox", "\\boxed "
_BRACE = re.compile(r"[{}]")
_ROOT = re.compile(r"\\sqrt([^{])")
_UNIT = "\\text{ "


class _Unreadable(Exception):
    """Where the published normalisation itself fails, and the answers are compared as they are."""


def evalchemy(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    r"""MATH500, AIME24, AIME25: the last `\boxed{...}`, anywhere in the response."""
    if not isinstance(reference, str | int) or not str(reference).strip():
        return BAD_REFERENCE
    answer = content(response)
    return compared(equal(str(reference), answer), answer) if answer else NO_ANSWER


def olympiad(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    r"""OlympiadBench: the same, or the last `\fbox{...}`, before a first "Problem:"; leading zeros and `.0` go."""
    if not isinstance(reference, str) or not reference.strip():
        return BAD_REFERENCE
    found = last_box(cut(response, ["Problem:"]))
    if found is None:
        return NO_ANSWER
    answer = found[len(_FBOX) + 1 : -1] if found.startswith(_FBOX + "{") else _unboxed(found)
    return compared(equal(_trimmed(answer), _trimmed(reference)), answer)


def _unboxed(box: str) -> str:
    return box[len(_BARE) :] if _BARE in box else box[len(_BOXED) + 1 : -1]


def _trimmed(text: str) -> str:
    """Without leading zeros, and without decimals that are all zero."""
    text = text.lstrip("0")
    parts = text.split(".")
    return parts[0] if len(parts) > 1 and not parts[1].rstrip("0") else text


def content(response: str) -> str:
    r"""What stands in the last box, "" where there is none or it does not begin with `\boxed{` or `\boxed `."""
    box = last_box(response)
    if box is None or not (_BARE in box or (box.startswith(_BOXED + "{") and box.endswith("}"))):
        return ""
    return _unboxed(box)


def last_box(response: str) -> str | None:
    r"""The last `\boxed` with its braces, counted without regard to escapes; after a `\boxed ` all up to a dollar."""
    if _BARE in response:
        return _BARE + response.rpartition(_BARE)[2].partition("$")[0]
    start = next((place for place in map(response.rfind, (_BOXED, _FBOX)) if place >= 0), len(response))
    depth = 0
    for brace in _BRACE.finditer(response, start):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0 and brace.group() == "}":
            return response[start : brace.end()]
    return None


def equal(one: str, other: str) -> bool:
    """Whether two answers have the same normal form; where one has none, whether they are the same string."""
    try:
        return normal(one) == normal(other)
    except _Unreadable:
        return one == other


def normal(answer: str) -> str:
    """The normal form of an answer."""
    text = answer
    for noise in ("\n", "\\!"):
        text = text.replace(noise, "")
    text = text.replace("\\\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac")
    for noise in ("\\left", "\\right", "^{\\circ}", "^\\circ", "\\$"):
        text = text.replace(noise, "")
    text = _without_unit(text).replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if text.startswith("."):
        text = "0" + text
    name, equals, value = text.partition("=")
    text = value if equals and "=" not in value and len(name) <= 2 else text
    text = _fractions(_roots(text).replace(" ", ""))
    return _ratio("\\frac{1}{2}" if text == "0.5" else text)


def _without_unit(text: str) -> str:
    if text.count(_UNIT) > 1:
        raise _Unreadable
    return text.partition(_UNIT)[0]


def _roots(text: str) -> str:
    r"""`\sqrt3` as `\sqrt{3}`."""
    if any(not part for part in text.split("\\sqrt")[1:]):
        raise _Unreadable
    return _ROOT.sub(r"\\sqrt{\1}", text)


def _fractions(text: str) -> str:
    r"""`\frac12` and `\frac1{2}` as `\frac{1}{2}`; a text with a `\frac` before a last single character stays."""
    head, *parts = text.split("\\frac")
    found = [head]
    for part in parts:
        if not part:
            raise _Unreadable
        if part[0] != "{" and len(part) < 2:
            return text
        if part[0] != "{":
            below = part[1:] if part[1] == "{" else f"{{{part[1]}}}{part[2:]}"
            part = f"{{{part[0]}}}{below}"
        found.append(part)
    return "\\frac".join(found)


def _ratio(text: str) -> str:
    r"""`3/4` as `\frac{3}{4}`; other text with one slash cannot be read, unless both its sides are whole numbers."""
    above, slash, below = text.partition("/")
    if not slash or "/" in below:
        return text
    try:
        plain = f"{int(above)}/{int(below)}" == text
    except ValueError:  # also of numbers with more digits than Python reads
        raise _Unreadable from None
    return f"\\frac{{{int(above)}}}{{{int(below)}}}" if plain else text
