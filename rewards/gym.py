"""Verdicts by reasoning-gym's own scorers (arXiv:2505.24760), for tasks with several right answers or forms of one."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from rewards.extraction import Extraction, last_boxed, last_stated
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Result, Task, Verdict

PACKAGE = "reasoning_gym"
# tasks whose scorers were read: none of them evaluates what a model wrote, and 1.0 is right and nothing else
TASKS = ("fraction_simplification", "knights_knaves", "sentence_reordering", "shortest_path")
TIMEOUT = 10.0  # seconds a scorer may take
MAX_LENGTH = 5000  # characters of an answer


def judge(
    response: str, reference: Any, *, extraction: Extraction = "aware", timeout: float = TIMEOUT
) -> Verdict | Task:
    """Right where the task's scorer gives 1.0: below that it gives credit for parts, and even for nonsense.

    `reference` is a mapping or its JSON text: `task` (one of TASKS), `config`, `question`, `answer`, `metadata`. The
    answer is what the last box holds, with `aware` what is clearly stated, else the whole response.
    """
    entry = _entry(reference)
    if entry is None:
        return BAD_REFERENCE
    answer = last_boxed(response)
    if answer is None and extraction == "aware":
        answer = last_stated(response)
    answer = (response if answer is None else answer).strip()
    if not answer:
        return NO_ANSWER
    if len(answer) > MAX_LENGTH:
        return Verdict("wrong", "too_long", answer[:MAX_LENGTH])
    if find_spec(PACKAGE) is None:
        return Verdict("unscorable", "error", answer)
    return Task(grade, (entry, answer), timeout, answer, prepare)


def _entry(reference: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(reference) if isinstance(reference, str) else reference
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping) or found.get("task") not in TASKS:
        return None
    texts = all(isinstance(found.get(name), str) and found[name] for name in ("question", "answer"))
    parts = all(isinstance(found.get(name), Mapping) for name in ("config", "metadata"))
    return dict(found) if texts and parts else None


def prepare() -> None:
    """Import the package, which no time limit should count."""
    import reasoning_gym  # noqa: F401


def grade(entry: dict[str, Any], answer: str) -> Result:
    """(outcome, reason) by the task's scorer: call it only where the caller can be killed."""
    from reasoning_gym import create_dataset

    scorer = create_dataset(entry["task"], seed=0, size=1, **entry["config"])
    try:
        score = scorer.score_answer(answer=answer, entry=entry)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
        return "wrong", "unparsable"
    return ("right", "match") if score == 1.0 else ("wrong", "mismatch")
