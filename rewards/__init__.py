"""Verdicts: right, wrong or unscorable. Nothing here knows a model, a configuration or torch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rewards import choice, mathematics, text
from rewards.verdict import Outcome, Request, Verdict

__all__ = ["Outcome", "Request", "Verdict", "verify", "verify_many"]

_JUDGES: dict[str, Callable[..., Verdict | tuple[str, str]]] = {
    "math": mathematics.quick,
    "choice": choice.verify,
    "text": text.verify,
}
KINDS = tuple(_JUDGES)


def verify(kind: str, response: str, reference: str, **options: Any) -> Verdict:
    """Judge one response. Never raises on any `response`, never outlives its time limit.

    Options. `math`: `final_answer` (a stated answer counts where nothing is boxed; False), `timeout` (seconds; 5).
    `text`: `mode` in `exact`, `normalised`, `contains`. Raises ValueError for an unknown `kind`.
    """
    return verify_many([Request(kind, response, reference, options)])[0]


def verify_many(requests: Sequence[Request], workers: int = 0) -> list[Verdict]:
    """The verdict of every request, in order. What needs algebra goes to `workers` processes (0: to one shared)."""
    found = [_quick(request) for request in requests]
    left = [i for i, verdict in enumerate(found) if not isinstance(verdict, Verdict)]
    done = iter(_compared([(found[i], requests[i].options) for i in left], workers) if left else [])
    return [verdict if isinstance(verdict, Verdict) else next(done) for verdict in found]


def _compared(pairs: list[tuple[Any, Mapping[str, Any]]], workers: int) -> list[Verdict]:
    """The verdicts on ((reference, answer), options), by worker processes."""
    from rewards.workers import run

    tasks = [(gold, answer, float(options.get("timeout", mathematics.TIMEOUT))) for (gold, answer), options in pairs]
    done = run(tasks, workers)
    return [Verdict(outcome, reason, task[1]) for task, (outcome, reason) in zip(tasks, done, strict=True)]


def _quick(request: Request) -> Verdict | tuple[str, str]:
    """The verdict, or the (reference, answer) that only a worker may compare."""
    if request.kind not in _JUDGES:
        raise ValueError(f"unknown kind {request.kind!r}; the verifiers are {', '.join(KINDS)}")
    response = request.response if isinstance(request.response, str) else ""
    return _JUDGES[request.kind](response, request.reference, **request.options)
