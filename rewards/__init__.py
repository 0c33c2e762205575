"""Verdicts: right, wrong or unscorable. Nothing here knows a model, a configuration or torch."""

from collections.abc import Sequence
from typing import Any

from rewards import choice, mathematics, text
from rewards.verdict import Outcome, Request, Verdict

__all__ = ["Outcome", "Request", "Verdict", "verify", "verify_many"]

KINDS = ("math", "choice", "text")


def verify(kind: str, response: str, reference: str, **options: Any) -> Verdict:
    """Judge one response. Never raises on any `response`, never outlives its time limit.

    Options. `math`: `final_answer` (a stated answer counts where nothing is boxed; False), `timeout` (seconds; 5).
    `text`: `mode` in `exact`, `normalised`, `contains`. Raises ValueError for an unknown `kind`.
    """
    return verify_many([Request(kind, response, reference, options)])[0]


def verify_many(requests: Sequence[Request], workers: int = 0) -> list[Verdict]:
    """The verdict of every request, in order. What needs algebra goes to `workers` processes (0: to one shared)."""
    verdicts = [_quick(request) for request in requests]
    open_ = [(i, found) for i, found in enumerate(verdicts) if not isinstance(found, Verdict)]
    if open_:
        from rewards.workers import run

        limits = [float(requests[i].options.get("timeout", mathematics.TIMEOUT)) for i, _ in open_]
        done = run([(*pair, limit) for (_, pair), limit in zip(open_, limits, strict=True)], workers)
        for (i, (_, answer)), (outcome, reason) in zip(open_, done, strict=True):
            verdicts[i] = Verdict(outcome, reason, answer)
    return verdicts


def _quick(request: Request) -> Verdict | tuple[str, str]:
    """The verdict, or the (reference, answer) that only a worker may compare."""
    if request.kind not in KINDS:
        raise ValueError(f"unknown kind {request.kind!r}; the verifiers are {', '.join(KINDS)}")
    response = request.response if isinstance(request.response, str) else ""
    judge = {"math": mathematics.quick, "choice": choice.verify, "text": text.verify}[request.kind]
    return judge(response, request.reference, **request.options)
