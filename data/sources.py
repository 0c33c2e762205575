"""Where training rows come from: made here (MADE), a file, a folder, or a hub. Nothing is dropped here."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from conf.errors import UserError
from conf.schema import Data
from data import columns, readers
from data.columns import Row

MADE = ("world", "arithmetic", "reasoning_gym")  # sources that are made on this machine, not read


def load(data: Data, count: int, seed: int) -> Iterator[Row]:
    """At most `count` rows of `data.source`, drawn without replacement by `seed` and kept in the source's own order.

    One after another, so that a source may be larger than memory. UserError for a source that does not exist, cannot be
    read, is empty, or lacks a column.
    """
    if data.source == "world":
        yield from _world(data, count, seed)
    elif data.source == "arithmetic":
        from data import arithmetic

        yield from arithmetic.rows(data.tasks, count, seed)
    elif data.source == "reasoning_gym":
        from data import reasoning

        yield from reasoning.rows(data.tasks, count, seed)
    else:
        yield from _read(data, count, seed)


def _read(data: Data, count: int, seed: int) -> Iterator[Row]:
    with readers.opened(data) as table:
        if table.rows == 0:
            raise UserError(
                f"data.source={data.source}",
                "the data set is empty: there is nothing to train on",
                "set data.source to a data set with rows",
            )
        columns.check(data, table.columns)
        drawn = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(table.rows)[:count])
        names = [name for name in table.columns if name in columns.wanted(data)]
        for index, cells in table.read(names, drawn):
            yield columns.row(data, index, cells)


def _world(data: Data, count: int, seed: int) -> Iterator[Row]:
    """Items of the world, of math unless `data.tasks` names others; their targets are the scripted teacher's and made
    at compile time, so none here."""
    from data import world

    for item in world.training_items(count, seed, split="train", tasks=data.tasks):
        yield _made(item.id, item.kind, item.prompt, item.reference) | {"item": item}


def _made(name: str, kind: str, prompt: str, reference: str) -> dict[str, Any]:
    return {"id": name, "kind": kind, "prompt": prompt, "reference": reference, "solution": None}
