"""Graders that read one line of a response, or its last number."""

import re
from collections.abc import Mapping
from typing import Any

from rewards.extraction import END_THINK
from rewards.paper.stops import cut
from rewards.text import normalise
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Verdict, compared

_NUMBER = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")
_GSM8K_STOPS = ("Question:", "</s>", "<|im_end|>")
_SAID = ("Yes", "No")


def coqa(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    r"""CoQA: the first line, after a thought that was closed and before a first "\nQ:", compared as SQuAD does.

    `options["also"]` holds the other references. The score is lm-eval's `em`, in which each reference is left out once,
    so that an answer equal to one of n has (n-1)/n of the point; the outcome is right where it equals any of them.
    """
    golds = [gold for gold in (reference, *options.get("also", ())) if isinstance(gold, str)]
    if not any(map(normalise, golds)):
        return BAD_REFERENCE
    line = cut(response, ["\nQ:"]).rpartition(END_THINK)[2].strip().partition("\n")[0]
    if not line:
        return NO_ANSWER
    same = [normalise(gold) == normalise(line) for gold in golds]
    others = [any(same[:i] + same[i + 1 :]) for i in range(len(same))] if len(same) > 1 else same
    verdict = compared(any(same), line)
    return Verdict(verdict.outcome, verdict.reason, line, sum(others) / len(others))


def halueval(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    r"""HaluEval: exactly one of "Yes" and "No", as written, in the first line of what stands before a first empty line.

    The stop string "\n\n" is lm-eval's for tasks that name none: a response that begins with it is empty.
    """
    if reference not in _SAID:
        return BAD_REFERENCE
    line = cut(response, ["\n\n"]).strip().partition("\n")[0]
    named = [word for word in _SAID if word in line]
    if len(named) != 1:
        return Verdict("wrong", "ambiguous", ",".join(named)) if named else NO_ANSWER
    return compared(named[0] == reference, named[0])


def gsm8k(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict:
    """GSM8K (lm-eval 0.4.13, filter `flexible-extract`): the last number, without commas, dollars and a final dot."""
    if not isinstance(reference, str) or not _plain(reference):
        return BAD_REFERENCE
    found = _NUMBER.findall(cut(response, _GSM8K_STOPS))
    return compared(_plain(found[-1]) == _plain(reference), found[-1]) if found else NO_ANSWER


def _plain(number: str) -> str:
    return number.strip().replace(",", "").replace("$", "").removesuffix(".")
