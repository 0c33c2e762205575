"""One question of a benchmark, whatever collection it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

GROUPS = ("math", "other_reasoning", "non_reasoning")


@dataclass(frozen=True)
class Item:
    """One question. `options` go to the verifier of `kind`."""

    id: str
    benchmark: str
    group: str
    kind: str
    prompt: str
    reference: str
    options: dict[str, Any] = field(default_factory=dict)
    choices: tuple[str, ...] = ()  # texts to choose among, in order; `reference` is one's letter or its text
    shots: tuple[tuple[str, str], ...] = ()  # (prompt, response) pairs that may stand before the prompt
    labels: dict[str, str] = field(default_factory=dict)  # of the cell it belongs to: skill, domain, difficulty, ...
    twin: str = ""  # id of the item that this one repeats with other names, numbers or words


class Described(Protocol):
    """What a collection says of a benchmark."""

    @property
    def group(self) -> str:
        """One of GROUPS."""


class Collection(Protocol):
    """A module of `data/` that holds benchmarks; data/suite.py names them all."""

    @property
    def BENCHMARKS(self) -> Mapping[str, Described]:  # noqa: N802
        """Name -> description, in the order in which they are scored."""

    def items(self, benchmark: str, split: str, count: int) -> list[Item]:
        """The first `count` items of a split, fewer where there are no more; the same on every machine."""


class Missing(Exception):  # noqa: N818
    """A benchmark that cannot be had; raised by a collection's `items`, reported by name, never scored 0."""

    def __init__(self, benchmark: str, reason: str) -> None:
        super().__init__(f"{benchmark}: {reason}")
        self.benchmark, self.reason = benchmark, reason
