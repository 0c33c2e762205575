"""The exact path: whether two mathematical answers are equal, where that needs no algebra.

Most answers in training are numbers. These are read as fractions, so that nothing is rounded, in a few microseconds.
"""

import re
from fractions import Fraction

_SPACE = re.compile(r"(?<!\\)\\[,;: ]|\\q?quad(?![a-zA-Z])|~|\s+")
_NOISE = re.compile(r"\\(?:left|right|displaystyle)(?![a-zA-Z])|(?<!\\)\\!|\\?\$")
_LOOSE = re.compile(r"(?<![0-9]) +| +(?![0-9])")  # blanks, but not those between digits: "1 234", "3 1/2"
_SAME = {"\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\varnothing": "\\emptyset", "{,}": ",", "\u2212": "-"}
_SYNONYM = re.compile("|".join(map(re.escape, _SAME)))

_WHOLE = r"[0-9]{1,1000}|[0-9]{1,3}(?:,[0-9]{3}){1,300}|[0-9]{1,3}(?: [0-9]{3}){1,300}"
_NUMBER = re.compile(
    rf"([+-]?)({_WHOLE})?(?:(\.)([0-9]{{0,300}})(?:\\overline\{{([0-9]{{1,30}})\}})?)?(?:[eE]([+-]?[0-9]{{1,3}}))?",
    re.ASCII,
)
_PART = r"([+-]?[0-9]{1,300})"
_FRACTION = re.compile(
    rf"([+-]?)(?:([0-9]{{1,300}})(?: |(?=\\)))?"
    rf"(?:\\frac\{{{_PART}\}}\{{{_PART}\}}|\\frac([0-9])([0-9])|([0-9]{{1,300}})/([0-9]{{1,300}}))",
    re.ASCII,
)
_ROUNDING = Fraction(2, 10**6)  # math-verify compares decimals to six places; nearer than this they are its to judge


def normalise(answer: str) -> str:
    """The answer without what does not change its meaning: dollars, sizes, blanks that part no digits, a final dot."""
    if answer.isdigit() and answer.isascii():
        return answer
    text = _SYNONYM.sub(lambda found: _SAME[found.group()], _NOISE.sub("", answer))
    return _LOOSE.sub("", _SPACE.sub(" ", text)).rstrip(".")


def same(gold: str, answer: str) -> bool | None:
    """Whether two normalised answers are equal; None where only algebra can tell."""
    if gold == answer:
        return True
    a = number(gold)
    b = None if a is None else number(answer)
    if a is None or b is None:
        return None
    if a == b:
        return True
    return False if abs(a - b) > _ROUNDING or not _decimal(gold, answer) else None


def _decimal(*texts: str) -> bool:
    return any("." in text for text in texts)


def number(text: str) -> Fraction | None:
    r"""The value of an integer, a decimal (also `1e-3`, `0.\overline{3}`), a fraction or a mixed number; else None."""
    if text.isdigit() and text.isascii():
        return Fraction(int(text)) if len(text) <= 1000 else None
    found = _NUMBER.fullmatch(text)
    return _value(*found.groups()) if found else _fraction(text)


def _value(
    sign: str, whole: str | None, dot: str | None, part: str | None, repeated: str | None, exponent: str | None
) -> Fraction | None:
    """The number that these pieces of a decimal write."""
    if not (whole or part or repeated):
        return None
    part = part or ""
    value = Fraction(int((whole or "").replace(",", "").replace(" ", "") + part or "0"))
    if repeated:
        value += Fraction(int(repeated), 10 ** len(repeated) - 1)
    value *= Fraction(10) ** (int(exponent or 0) - len(part))
    return -value if sign == "-" else value


def _fraction(text: str) -> Fraction | None:
    found = _FRACTION.fullmatch(text)
    if found is None:
        return None
    sign, whole, *parts = found.groups()
    above, below = (int(part) for part in parts if part is not None)
    if below == 0 or (whole and not 0 < above < below):  # a whole number before no proper fraction may be a factor
        return None
    value = int(whole or 0) + Fraction(above, below)
    return -value if sign == "-" else value
