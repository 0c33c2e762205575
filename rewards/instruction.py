"""Verdicts on following verifiable instructions, by the IFEval checkers of lm-eval (arXiv:2311.07911)."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from rewards import ifeval
from rewards.extraction import Extraction
from rewards.ifeval import Mode
from rewards.verdict import BAD_REFERENCE, Outcome, Task, Verdict

TIMEOUT = 10.0  # seconds that all instructions of one response may take

Instruction = tuple[str, dict[str, Any]]  # its identifier and the arguments of its checker


def judge(
    response: str,
    reference: Any,
    *,
    mode: Mode | None = None,
    timeout: float = TIMEOUT,
    extraction: Extraction = "strict",
) -> Verdict | Task:
    """Right where every instruction of the reference is followed; the score is the share of them that is.

    `reference` is a row of IFEval, or its JSON text: a mapping with `instruction_id_list` and `kwargs`, of one length.
    `mode`: `strict`, or `loose` (the response counts as followed where one of eight variants does: without its first
    line, its last, its asterisks); where it is not given, `loose` with `extraction` aware. A reference with an unknown
    instruction, or without what its checker needs, is unscorable: lm-eval would draw the rest at random.
    """
    mode = mode or ("loose" if extraction == "aware" else "strict")
    _check(mode)
    instructions = _reference(reference)
    if instructions is None:
        return BAD_REFERENCE
    return Task(decide, (instructions, response, mode), timeout, None, prepare)


def followed(response: str, reference: Any, mode: Mode = "strict") -> list[bool]:
    """Which instructions are followed, in order: IFEval's instruction-level accuracy is the mean over all of them.

    In this process and without a time limit. Raises ValueError for a reference that cannot be used.
    """
    _check(mode)
    instructions = _reference(reference)
    if instructions is None or not _usable(instructions):
        raise ValueError("the reference is no list of IFEval instructions with all their arguments")
    return _followed(instructions, response, mode)


def prepare() -> None:
    """Load what the checkers need (about two seconds, once in a process), so that no time limit counts it.

    Raises ImportError where something is not installed.
    """
    for identifier, arguments in _FROM_OUTSIDE:
        ifeval.follows(identifier, arguments, "It is ready.", "strict")


def decide(instructions: list[Instruction], response: str, mode: Mode) -> tuple[Outcome, str, float | None]:
    """(outcome, reason, score), for a worker: regular expressions over a long response may take very long."""
    if not _usable(instructions):
        return "unscorable", "bad_reference", None
    if not response.strip():
        return "wrong", "no_answer", 0.0
    found = _followed(instructions, response, mode)
    score = sum(found) / len(found)
    return ("right", "match", score) if all(found) else ("wrong", "mismatch", score)


def _usable(instructions: list[Instruction]) -> bool:
    try:
        for identifier, arguments in instructions:
            ifeval.build(identifier, arguments)
    except (KeyError, TypeError, ValueError):  # a language without a name, for one
        return False
    return True


def _followed(instructions: list[Instruction], response: str, mode: Mode) -> list[bool]:
    return [_follows(identifier, arguments, response, mode) for identifier, arguments in instructions]


def _follows(identifier: str, arguments: dict[str, Any], response: str, mode: Mode) -> bool:
    try:
        return ifeval.follows(identifier, arguments, response, mode)
    except (MemoryError, ImportError):  # what is missing here is no fault of the response
        raise
    except Exception:  # the verifier's boundary: a response that breaks its checker does not follow the instruction
        return False


def _check(mode: str) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"unknown mode {mode!r} of the instruction verifier; use {' or '.join(get_args(Mode))}")


def _reference(reference: Any) -> list[Instruction] | None:
    """The instructions, each with exactly the arguments that its checker takes; None where something is amiss."""
    row = _row(reference)
    identifiers, arguments = row.get("instruction_id_list"), row.get("kwargs")
    if not isinstance(identifiers, list | tuple) or not isinstance(arguments, list | tuple):
        return None
    if not identifiers or len(identifiers) != len(arguments):
        return None
    found = [_instruction(*pair) for pair in zip(identifiers, arguments, strict=True)]
    instructions = [instruction for instruction in found if instruction is not None]
    return instructions if len(instructions) == len(found) else None


def _row(reference: Any) -> Mapping[str, Any]:
    if isinstance(reference, str):
        try:
            reference = json.loads(reference)
        except (ValueError, RecursionError):
            return {}
    return reference if isinstance(reference, Mapping) else {}


def _instruction(identifier: Any, arguments: Any) -> Instruction | None:
    if not isinstance(identifier, str) or identifier not in ARGUMENTS or not isinstance(arguments, Mapping):
        return None
    # as lm-eval does: the published rows name every argument of every checker, None where it is not this one's
    given = {name: value for name, value in arguments.items() if _given(value)}
    wanted = ARGUMENTS[identifier]
    if given.keys() != wanted.keys() or not all(valid(given[name]) for name, valid in wanted.items()):
        return None
    if identifier == _NTH_PARAGRAPH and given["nth_paragraph"] > given["num_paragraphs"]:
        return None
    return identifier, given


def _given(value: Any) -> bool:
    return isinstance(value, str | int | float | list | tuple) and bool(value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _relation(value: Any) -> bool:
    return value in ("less than", "at least")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _pattern(value: Any) -> bool:
    """The checkers read keywords and markers as regular expressions."""
    try:
        return _text(value) and bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


def _patterns(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_pattern(item) for item in value)


def _character(value: Any) -> bool:
    return isinstance(value, str) and len(value.strip().lower()) == 1


_FROM_OUTSIDE: list[Instruction] = [  # the checkers that need more than lm-eval's own files, as `prepare` tries them
    ("language:response_language", {"language": "en"}),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "at least"}),
    ("length_constraints:number_sentences", {"num_sentences": 1, "relation": "at least"}),
]
_NTH_PARAGRAPH = "length_constraints:nth_paragraph_first_word"

# The instructions, and what the reference must give each: a name, and whether its value is fit.
ARGUMENTS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "keywords:existence": {"keywords": _patterns},
    "keywords:frequency": {"keyword": _pattern, "frequency": _count, "relation": _relation},
    "keywords:forbidden_words": {"forbidden_words": _patterns},
    "keywords:letter_frequency": {"letter": _character, "let_frequency": _count, "let_relation": _relation},
    "language:response_language": {"language": _text},
    "length_constraints:number_sentences": {"num_sentences": _count, "relation": _relation},
    "length_constraints:number_paragraphs": {"num_paragraphs": _count},
    "length_constraints:number_words": {"num_words": _count, "relation": _relation},
    _NTH_PARAGRAPH: {"num_paragraphs": _count, "nth_paragraph": _count, "first_word": _text},
    "detectable_content:number_placeholders": {"num_placeholders": _count},
    "detectable_content:postscript": {"postscript_marker": _pattern},
    "detectable_format:number_bullet_lists": {"num_bullets": _count},
    "detectable_format:constrained_response": {},
    "detectable_format:number_highlighted_sections": {"num_highlights": _count},
    "detectable_format:multiple_sections": {"section_spliter": _pattern, "num_sections": _count},
    "detectable_format:json_format": {},
    "detectable_format:title": {},
    "combination:two_responses": {},
    "combination:repeat_prompt": {"prompt_to_repeat": _text},
    "startend:end_checker": {"end_phrase": _text},
    "startend:quotation": {},
    "change_case:capital_word_frequency": {"capital_frequency": _count, "capital_relation": _relation},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "punctuation:no_comma": {},
}
