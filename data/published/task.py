"""What a benchmark of the published suites is: where its rows are, and how a row becomes an item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from data.items import Decoding, Item, Missing

Cells = Mapping[str, Any]  # a row by column
BROKEN = (KeyError, TypeError, ValueError, IndexError, AttributeError)  # what a row that is not as expected raises


@dataclass(frozen=True)
class Question:
    """What a row says. `options` are added to the task's."""

    prompt: str
    reference: str
    options: dict[str, Any] = field(default_factory=dict)
    choices: tuple[str, ...] = ()


# a benchmark of which a likelihood is published is answered, too, for the grades that need a response
BESIDE = Decoding(max_new_tokens=256)

Ask = Callable[[Cells, str], Question]  # a row, and the subset it stands in


@dataclass(frozen=True)
class Task:
    """One benchmark.

    `columns`: those that a row needs, by subset; other names that a column goes by follow its own after a bar.
    `paper` names its grader in rewards.paper; `likelihood`: its published score compares the log-likelihoods of its
    choices. `harness`: lm-eval's task files that it follows, below lm_eval/tasks.
    """

    name: str
    group: str
    hub: str  # its id on the hub
    split: str  # there
    columns: Mapping[str, tuple[str, ...]]
    ask: Ask
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    paper: str = ""
    likelihood: bool = False
    harness: tuple[str, ...] = ()
    decoding: Decoding = Decoding()  # of the published run; one without samples was greedy, or generated nothing
    size: int = 0  # items there are
    files: tuple[str, ...] = ()  # of the hub's repository, where its rows stand in these alone
    first: int = 0  # rows of the split that are used
    last: int | None = None

    @property
    def subsets(self) -> tuple[str, ...]:
        """Subsets of the data set, taken in turn; one without a name where it has none."""
        return tuple(self.columns)


def item(task: Task, subset: str, number: int, cells: Cells) -> Item:
    """Row `number` of a subset as an item; Missing where it is broken, for a test without it is another test."""
    where = f"row {number}" + (f" of {subset}" if subset else "")
    try:
        asked = task.ask(cells, subset)
    except BROKEN as error:
        raise Missing(task.name, f"{where} is broken ({type(error).__name__}: {error})") from error
    for name in ("prompt", "reference"):
        if not isinstance(getattr(asked, name), str) or not getattr(asked, name).strip():
            raise Missing(task.name, f"{where} is broken: its {name} is empty")
    published = {"paper": task.paper} if task.paper else {}
    return Item(
        id=f"{task.name}-{subset + '-' if subset else ''}{number}",
        benchmark=task.name,
        group=task.group,
        kind=task.kind,
        prompt=asked.prompt,
        reference=asked.reference,
        options=task.options | asked.options | published,
        choices=asked.choices,
        labels={"subset": subset} if subset else {},
    )
