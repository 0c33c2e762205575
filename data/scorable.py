"""Rows whose reference no verifier can use, whatever the response."""

import re
from collections.abc import Sequence

from data.columns import Row
from rewards import Request, verify_many

_PROBES = {"math": "\\boxed{0}", "choice": "a", "text": "0", "instruction": "0", "code": "```python\n```"}
_UNUSABLE = ("bad_reference", "timeout", "crash")

# Mathematics that math-verify reads in a moment, so that no worker has to show it: of the 935 different answers in
# MATH's test set that are no plain numbers all but 15 are of this form, and it reads every one of them.
_COMMANDS = (
    r"[dt]?frac|sqrt|pi|theta|alpha|beta|cdot|times|left|right|pm|infty|cup|in|text|mathrm|mbox|textbf|circ|degree"
    r"|q?quad|leq?|geq?|begin\{pmatrix\}|end\{pmatrix\}"
)
_EXPONENT = r"\^(?:[0-9A-Za-z]|\{-?[0-9A-Za-z]{1,2}\}|\{?\\circ\}?)"
_PLAIN = re.compile(
    rf"(?:[0-9A-Za-z+*=,.:;|()\[\]{{}}%$&\s-]|/(?=[1-9A-Za-z(\\])|{_EXPONENT}|\\(?:{_COMMANDS})(?![A-Za-z])"
    r"|\\[%$!,;: \\]|_(?:[0-9A-Za-z]|\{[0-9A-Za-z]{1,3}\}))+"
)
# but no division by zero, no difference of infinities, no huge number, no deep nesting, and something that is said
_ODD = re.compile(r"[0-9]{13}|\{0*\}|frac.?0|infty[^,]*infty|\{[^}]*\{[^}]*\{[^}]*\{[^}]*\{")
_SAID = re.compile(r"[0-9]|(?<![A-Za-z\\])[A-Za-z]|\\pi|\\infty")
_LONGEST = 200  # characters


def unusable(rows: Sequence[Row], known: dict[tuple[str, str], bool], workers: int) -> list[bool]:
    """Of every row whether its reference is of no use. `known` keeps what was found out, for rows to come."""
    keys = [(row["kind"], row["reference"]) for row in rows]
    asked = list(dict.fromkeys(key for key in keys if key not in known and not readable(*key)))
    verdicts = verify_many([Request(kind, _PROBES[kind], reference) for kind, reference in asked], workers)
    known |= {key: verdict.reason in _UNUSABLE for key, verdict in zip(asked, verdicts, strict=True)}
    return [known.get(key, False) for key in keys]


def readable(kind: str, reference: str) -> bool:
    """Whether a mathematical reference is plain enough to be used unseen. Where it is not, a verifier is asked."""
    return (
        kind == "math"
        and len(reference) <= _LONGEST
        and reference.count("{") == reference.count("}")
        and bool(_PLAIN.fullmatch(reference) and _SAID.search(reference) and not _ODD.search(reference))
    )
