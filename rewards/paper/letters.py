"""Letters of multiple choice, as they were read."""

import re
import string
from collections.abc import Mapping
from typing import Any

from rewards.paper.stops import cut
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Verdict, compared

_OF_FOUR = re.compile(r"\b[ABCD]\b")
_ACP_STOPS = ("\n\n\n\n", "**Question**:", "**Question:**", "Q:")
# any capital from A to D; or, where no such capital follows at once, the line after "**Final Answer**: " but its last
# character
_ACP = re.compile(r"[A-D]|(?:(?<=..Final Answer..: )|(?<=..answer..: )|(?<=..Answer..: )).*(?=.)")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_STATED = re.compile(r"answer is \(?([A-J])")


def gpqa(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    """GPQA-Diamond (Evalchemy): the last A, B, C or D that stands alone after all was made upper case, so "a" is A."""
    return _letter(_OF_FOUR.findall(response.upper()), -1, reference)


def acpbench(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    """ACPBench: the last capital from A to D anywhere, even inside a word, before the first stop string."""
    found = _ACP.findall(cut(response, _ACP_STOPS))
    return _letter([text.strip().translate(_PUNCTUATION) for text in found], -1, reference)


def mmlu_pro(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    """MMLU-Pro (lm-eval 0.4.13): the letter of the first "answer is (X)", before a first "Question:"."""
    return _letter(_STATED.findall(cut(response, ["Question:"])), 0, reference)


def _letter(found: list[str], place: int, reference: Any) -> Verdict:
    """The letter at `place` of those found, compared without case."""
    gold = reference.strip().strip("().").upper() if isinstance(reference, str) else ""
    if len(gold) != 1:
        return BAD_REFERENCE
    return compared(found[place].upper() == gold, found[place]) if found and found[place] else NO_ANSWER
