"""Verdicts on plain text."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from rewards.extraction import Extraction, last_boxed, last_stated
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Verdict, compared

Mode = Literal["exact", "normalised", "contains", "one_of", "label", "f1", "list", "set"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_TEX = re.compile(r"\\(?:text|texttt|textbf|mathrm|mathtt|mathbf)\s?\{([^{}]*)\}")  # a word set in type
_SET = re.compile(r"\\[{},;! ]|[\[\](){}$\"'`]|\\(?:left|right|quad)(?![a-zA-Z])")  # what a list may stand in
_BETWEEN = re.compile(r"[,;\s]+(?:and\s+)?")


def normalise(text: str) -> str:
    """As SQuAD's evaluation does: lower case, no punctuation, no articles, single blanks (arXiv:1606.05250)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def f1(response: str, references: str | Sequence[str], leave_one_out: bool = False) -> float:
    """Token F1, 0 to 1, of normalised text, as the official evaluations of SQuAD 2.0 and CoQA compute it.

    With several references the highest F1 over them (SQuAD). `leave_one_out` instead averages, over the references,
    the highest F1 over the others, so that a model is scored as each human was (CoQA, arXiv:1808.07042; lm-eval's
    `coqa`). A text without tokens agrees only with another one (SQuAD 2.0). Raises ValueError without a reference.
    """
    golds = [references] if isinstance(references, str) else references
    if not golds:
        raise ValueError("f1 compares a response with at least one reference, and was given none")
    answer = normalise(response).split()
    scores = sorted((_overlap(answer, normalise(gold).split()) for gold in golds), reverse=True)
    if not leave_one_out or len(scores) == 1:
        return scores[0]
    # without the best reference the second best counts, without any other one the best
    return (scores[1] + scores[0] * (len(scores) - 1)) / len(scores)


def _overlap(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    return 2 * (Counter(answer) & Counter(gold)).total() / (len(answer) + len(gold))


def words(text: str) -> list[str]:
    """The words of a list, in order: what commas, semicolons, blanks and a last "and" part; brackets are no part."""
    plain = _SET.sub(" ", _TEX.sub(r" \1 ", text)).replace("\u2212", "-").strip(" \n.,;")
    return [word for word in _BETWEEN.split(plain) if word]


def judge(
    response: str,
    reference: Any,
    *,
    extraction: Extraction = "aware",
    mode: Mode = "exact",
    threshold: float = 1.0,
    leave_one_out: bool = False,
    among: Sequence[str] = (),
    asked: Literal["whole", "boxed"] = "whole",
    also: Sequence[str] = (),
) -> Verdict:
    """Compare text with a reference, or with a list of them, any of which may match.

    `exact` after stripping, `normalised`, `contains` (the reference in it, both normalised), `one_of` (of the texts
    `among`, as written, the response names the reference and no other: HaluEval's "Yes" and "No"), `label` (the same by
    whole words, whatever their case: with `aware` the label that a statement, the last line or the first begins with or
    holds alone; else the response is the label and nothing else), `list` (the same words in the same order, however
    parted and bracketed), `set` (the same in any order), or `f1`: right where `f1`, which is also the verdict's
    `score`, reaches `threshold`. `threshold` and `leave_one_out` concern `f1` alone. `also` are further references, any
    of which may match.
    The whole response is compared; with `aware` also what it clearly states: boxed, "the answer is ...", its last line.
    Where the prompt `asked` for a box, `strict` and `paper` compare what stands in the last one, and nothing else.
    """
    _check(mode, threshold, among, asked)
    golds = _references([*_listed(reference), *also], mode)
    if golds is None:
        return BAD_REFERENCE
    answers = [_plain(last_boxed(response) or "")] if asked == "boxed" else []
    if extraction == "aware" or asked == "whole":
        answers = [answer for answer in answers if answer] or _answers(response, extraction)
    if mode == "f1":
        score, answer = max((f1(answer, golds, leave_one_out), answer) for answer in answers)
        return replace(compared(score >= threshold, answer) if answer else NO_ANSWER, score=score)
    if not answers[0]:
        return NO_ANSWER
    if mode == "one_of":
        return _one_of(answers[0], golds, among)
    if mode == "label":
        return _label(answers, golds, among, extraction)
    for answer in answers:
        if any(_match(answer, gold, mode) for gold in golds):
            return compared(True, answer)
    return compared(False, answers[-1])


def _answers(response: str, extraction: Extraction) -> list[str]:
    """The whole response, and with `aware` the answer it states where that is another text."""
    whole = response.strip()
    if extraction != "aware" or not whole:
        return [whole]
    stated = (last_boxed(whole) or last_stated(whole) or whole.splitlines()[-1]).strip()
    return [whole] if stated in ("", whole) else [whole, stated]


def _plain(boxed: str) -> str:
    """What stands in a box, without the commands that set it in type."""
    return _TEX.sub(r"\1", boxed).strip().strip("$").strip()


def _one_of(answer: str, golds: Sequence[str], among: Sequence[str]) -> Verdict:
    named = [text for text in among if text in answer]
    if len(named) != 1:
        return Verdict("wrong", "ambiguous", ",".join(named)) if named else NO_ANSWER
    return compared(named[0] in golds, named[0])


def _label(answers: Sequence[str], golds: Sequence[str], among: Sequence[str], extraction: Extraction) -> Verdict:
    """The label that is named, compared with the references; `ambiguous` where two are and none is stated."""
    labels = {normalise(label) for label in among}
    whole = normalise(answers[0])
    if whole in labels or extraction != "aware":
        return compared(whole in map(normalise, golds), answers[0]) if whole in labels else NO_ANSWER
    lines = answers[0].splitlines()
    for part in (answers[-1], lines[-1], lines[0]):
        words = normalise(part).split()
        named = sorted(labels & set(words))
        if len(named) == 1 or words[:1] and words[0] in labels:
            label = words[0] if words[0] in labels else named[0]
            return compared(label in map(normalise, golds), label)
    named = sorted(labels & set(whole.split()))
    if len(named) == 1:
        return compared(named[0] in map(normalise, golds), named[0])
    return Verdict("wrong", "ambiguous", ",".join(named)) if named else NO_ANSWER


def _check(mode: str, threshold: float, among: Sequence[str], asked: str) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"unknown mode {mode!r} of the text verifier; use {', '.join(get_args(Mode))}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold!r} of the text verifier; use a number above 0 and at most 1")
    if mode in ("one_of", "label") and len(among) < 2:
        raise ValueError(f"mode {mode} of the text verifier chooses among two texts or more; name them in `among`")
    if asked not in ("whole", "boxed"):
        raise ValueError(f"asked {asked!r} of the text verifier; use whole or boxed")


def _listed(reference: Any) -> list[Any]:
    return list(reference) if isinstance(reference, list | tuple) else [reference]


def _references(golds: Sequence[Any], mode: str) -> list[str] | None:
    """Every reference, or None where one is no text or none has anything to compare."""
    if not all(isinstance(gold, str) for gold in golds):
        return None
    usable = [gold for gold in golds if (words if mode in ("list", "set") else normalise)(gold)]
    if mode == "exact":
        usable = [gold for gold in golds if gold.strip()]
    if not usable:
        return None
    return list(golds) if mode == "f1" else usable


def _match(answer: str, gold: str, mode: str) -> bool:
    if mode == "exact":
        return answer == gold.strip()
    if mode in ("list", "set"):
        ordered = list if mode == "list" else sorted
        return ordered(words(answer)) == ordered(words(gold))
    given, wanted = normalise(answer), normalise(gold)
    return given == wanted if mode == "normalised" else f" {wanted} " in f" {given} "
