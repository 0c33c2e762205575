"""Verdicts: right, wrong or unscorable. Nothing here knows a model, a configuration or torch."""

from collections.abc import Callable, Sequence
from typing import Any

from rewards import choice, mathematics, text
from rewards.verdict import Outcome, Request, Task, Verdict

__all__ = ["Outcome", "Request", "Verdict", "verify", "verify_many"]

_JUDGES: dict[str, Callable[..., Verdict | Task]] = {
    "math": mathematics.judge,
    "choice": choice.judge,
    "text": text.judge,
}
KINDS = tuple(_JUDGES)


def verify(kind: str, response: str, reference: Any, **options: Any) -> Verdict:
    """Judge one response. Never raises on any `response`, never outlives its time limit.

    Options. `math`: `final_answer` (a stated answer counts where nothing is boxed; False), `timeout` (seconds; 5).
    `text`: `mode` in `exact`, `normalised`, `contains`. Raises ValueError for an unknown `kind`.
    """
    return verify_many([Request(kind, response, reference, options)])[0]


def verify_many(requests: Sequence[Request], workers: int = 0) -> list[Verdict]:
    """The verdict of every request, in order. What may take long goes to `workers` processes (0: to one shared)."""
    found = [_judge(request) for request in requests]
    tasks = [task for task in found if isinstance(task, Task)]
    done = iter(_run(tasks, workers) if tasks else [])
    return [next(done) if isinstance(verdict, Task) else verdict for verdict in found]


def _judge(request: Request) -> Verdict | Task:
    """The verdict, or the task that only a worker may do."""
    if request.kind not in _JUDGES:
        raise ValueError(f"unknown kind {request.kind!r}; the verifiers are {', '.join(KINDS)}")
    response = request.response if isinstance(request.response, str) else ""
    return _JUDGES[request.kind](response, request.reference, **request.options)


def _run(tasks: Sequence[Task], workers: int) -> list[Verdict]:
    from rewards.workers import run

    done = zip(tasks, run(tasks, workers), strict=True)
    return [Verdict(outcome, reason, task.extracted) for task, (outcome, reason) in done]
