"""Verdicts: right, wrong or unscorable. Nothing here knows a model, a configuration or torch."""

from collections.abc import Callable, Sequence
from typing import Any

from rewards import choice, code, gym, instruction, mathematics, text
from rewards.extraction import END_THINK, THINK, part
from rewards.verdict import BAD_REFERENCE, TRUNCATED, Outcome, Request, Task, Verdict

__all__ = ["Outcome", "Request", "Verdict", "verify", "verify_many"]

_JUDGES: dict[str, Callable[..., Verdict | Task]] = {
    "math": mathematics.judge,
    "choice": choice.judge,
    "text": text.judge,
    "instruction": instruction.judge,
    "code": code.judge,
    "reasoning_gym": gym.judge,
}
KINDS = tuple(_JUDGES)
_WHERE = ("thinking", "first_line", "strip_thought")


def verify(kind: str, response: str, reference: Any, **options: Any) -> Verdict:
    """Judge one response. Never raises on any `response`, never outlives its time limit.

    Options of every kind: `extraction`, where the answer is looked for, in `paper`, `strict`, `aware` (the default),
    and what belongs to it: see `rewards.extraction`. Of one kind: see its `judge`.
    Raises ValueError for an unknown `kind` or an impossible option.
    """
    return verify_many([Request(kind, response, reference, options)])[0]


def verify_many(requests: Sequence[Request], workers: int = 0) -> list[Verdict]:
    """The verdict of every request, in order. What may take long goes to `workers` processes (0: to one shared)."""
    found = [_judge(request) for request in requests]
    tasks = [task for task in found if isinstance(task, Task)]
    done = iter(run_tasks(tasks, workers) if tasks else [])
    return [next(done) if isinstance(verdict, Task) else verdict for verdict in found]


def _judge(request: Request) -> Verdict | Task:
    """The verdict, or the task that only a worker may do."""
    if request.kind not in _JUDGES:
        raise ValueError(f"unknown kind {request.kind!r}; the verifiers are {', '.join(KINDS)}")
    if isinstance(request.reference, str) and (THINK in request.reference or END_THINK in request.reference):
        return BAD_REFERENCE
    options = dict(request.options)
    where = {name: options.pop(name) for name in _WHERE if name in options}
    options["extraction"] = options.get("extraction", "aware")
    response = request.response if isinstance(request.response, str) else ""
    answer = part(response, extraction=options["extraction"], **where)
    found = _JUDGES[request.kind](answer or "", request.reference, **options)
    return TRUNCATED if answer is None and found != BAD_REFERENCE else found


def run_tasks(tasks: Sequence[Task], workers: int = 0) -> list[Verdict]:
    """The verdict of every task, in order, each under its hard time limit in one of `workers` processes."""
    from rewards.workers import run

    done = zip(tasks, run(tasks, workers), strict=True)
    return [Verdict(outcome, reason, task.extracted, *score) for task, (outcome, reason, *score) in done]
