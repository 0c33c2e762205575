"""What a verifier answers, and what it is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["right", "wrong", "unscorable"]


@dataclass(frozen=True)
class Verdict:
    """The judgement of one response.

    `reason` is one short word for machines: `match` or `mismatch` where an answer was compared, else why it was not:
    `no_answer`, `truncated_thought`, `ambiguous`, `too_long`, `unparsable`, `bad_reference`, `timeout`, `memory`,
    `crash`, `error`; of code also `exception`, `syntax`, `no_entry_point`, `not_plain`, `output_limit`, `sandbox`.
    `extracted` is the answer as found in the response, None where there was none.
    """

    outcome: Outcome
    reason: str
    extracted: str | None = None
    score: float | None = None  # from 0 to 1, where the verifier knows more than right or wrong


@dataclass(frozen=True)
class Request:
    """One response to judge: the arguments of `rewards.verify`."""

    kind: str
    response: str
    reference: Any
    options: Mapping[str, Any] = field(default_factory=dict)


Result = tuple[Outcome, str] | tuple[Outcome, str, float | None]  # outcome, reason, and a score where there is one


@dataclass(frozen=True)
class Task:
    """What only a process that can be killed may decide: `function(*arguments)`."""

    function: Callable[..., Result]  # at the top level of a module, so that a worker can import it
    arguments: tuple[Any, ...]
    timeout: float  # seconds of wall-clock time
    extracted: str | None  # of the verdict
    prepare: Callable[[], None] | None = None  # called once in a worker before its first task; no limit counts it


def compared(equal: bool, extracted: str) -> Verdict:
    """The verdict of a comparison that took place."""
    return Verdict("right", "match", extracted) if equal else Verdict("wrong", "mismatch", extracted)


BAD_REFERENCE = Verdict("unscorable", "bad_reference")
NO_ANSWER = Verdict("wrong", "no_answer")
TRUNCATED = Verdict("wrong", "truncated_thought")
