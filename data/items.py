"""One question of a benchmark, whatever collection it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

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


class Decoding(NamedTuple):
    """How the responses to a benchmark's items are generated. Each has a greedy one, and `samples` more."""

    samples: int = 0
    temperature: float = 1.0  # of the samples, as the next
    top_p: float = 1.0
    max_new_tokens: int = 32768


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


def gold(item: Item) -> int | None:
    """Which of the item's choices is the right one: the one that is the reference, in whatever case, or has its letter;
    None where no choice, or more than one, is."""
    for same in (str, str.lower):
        places = [place for place, choice in enumerate(item.choices) if same(choice) == same(item.reference)]
        if places:
            return places[0] if len(places) == 1 else None
    place = ord(item.reference.upper()) - ord("A") if len(item.reference) == 1 else -1
    return place if 0 <= place < len(item.choices) else None


def worked(item: Item) -> str | None:
    """A right response in the asked form; None where the reference is none, as for code and instructions."""
    if item.kind == "math":
        return item.reference if "\\boxed" in item.reference else f"\\boxed{{{item.reference}}}"
    return item.reference if item.kind in ("choice", "text") else None
