"""From the rows of a benchmark to its items."""

from collections.abc import Callable, Mapping
from itertools import chain, zip_longest

from conf.schema import Suite
from data.items import Item, Missing
from data.published.load import rows
from data.published.task import Task, item

Read = Callable[[str, Suite], list[Item]]
Items = Callable[[str, str, int], list[Item]]


def reader(tasks: Mapping[str, Task]) -> tuple[Read, Items]:
    """A collection's `read`, by the keys of a suite, and its `items`, of what lies in the hub's cache."""

    def read(benchmark: str, suite: Suite) -> list[Item]:
        return items_of(tasks[benchmark], suite)

    def items(benchmark: str, split: str, count: int) -> list[Item]:
        return items_of(tasks[benchmark], Suite.model_validate({"split": split, "items": count}))

    return read, items


def items_of(task: Task, suite: Suite) -> list[Item]:
    """The first `suite.items` items of a benchmark, its subsets in turn. Missing where it cannot be had.

    These benchmarks have one split, a test: nothing may be chosen on them.
    """
    if suite.split != "test":
        raise Missing(task.name, f"it is a test and has no {suite.split} split")
    each = -(-suite.items // len(task.subsets))
    local = suite.local.get(task.name, "")
    found = [
        [item(task, subset, number, cells) for number, cells in rows(task, subset, each, local, suite.download)]
        for subset in task.subsets
    ]
    return [one for one in chain.from_iterable(zip_longest(*found)) if one is not None][: suite.items]
