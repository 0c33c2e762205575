"""From graded responses to scores: per item, per benchmark, per group. Scores are percent with 95% intervals."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.statistics import Array, group_draws, interval, mean_interval, pass_at_k, wilson

Columns = Mapping[str, Sequence[Any]]
GREEDY = 0  # number of the greedy response; sampled ones count from 1
EVERY_K = 16  # pass@k at every k up to here, then at powers of two and at the number of samples


@dataclass(frozen=True)
class ItemScores:
    """One benchmark, item by item; what has no scorable response is nan."""

    group: str
    ids: list[str]
    greedy: Array  # 1 right, 0 wrong
    right: Array  # sampled responses that are right
    total: Array  # sampled responses that could be scored

    @property
    def sampled(self) -> Array:
        """Share of an item's scorable samples that are right, 0..1."""
        return np.divide(self.right, self.total, out=np.full(len(self.ids), np.nan), where=self.total > 0)


def item_scores(columns: Columns | pa.Table) -> dict[str, ItemScores]:
    """Per benchmark, benchmarks and items in order of first appearance, from the columns of items.parquet."""
    names, benchmark = _coded(columns["benchmark"])
    groups, group = _coded(columns["group"])
    items, item = _coded(columns["item"])
    outcomes, outcome = _coded(columns["outcome"])
    sample = np.asarray(columns["sample"], dtype=np.int64)
    kinds = {name: code for code, name in enumerate(outcomes)}
    scorable, right = outcome != kinds.get("unscorable", -1), outcome == kinds.get("right", -1)
    found = {}
    for code, name in enumerate(names):
        own = benchmark == code
        ids, place = _coded(pa.array(item[own]))
        right_own, scored, first = right[own], scorable[own], sample[own] == GREEDY
        greedy = np.full(len(ids), np.nan)
        greedy[place[scored & first]] = right_own[scored & first]
        drawn = scored & ~first
        total = np.bincount(place[drawn], minlength=len(ids)).astype(np.float64)
        hits = np.bincount(place[drawn & right_own], minlength=len(ids)).astype(np.float64)
        found[name] = ItemScores(groups[group[own][0]], [items[i] for i in ids], greedy, hits, total)
    return found


def _coded(values: Any) -> tuple[list[Any], NDArray[np.int64]]:
    """Distinct values in order of first appearance, and the number of each row's."""
    array = pa.chunked_array([pa.array(values)]) if not isinstance(values, pa.ChunkedArray) else values
    found = array.combine_chunks().dictionary_encode()
    return found.dictionary.to_pylist(), found.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def by_group(items: Mapping[str, ItemScores]) -> dict[str, list[str]]:
    """Group -> its benchmarks, in order."""
    groups: dict[str, list[str]] = {}
    for name, own in items.items():
        groups.setdefault(own.group, []).append(name)
    return groups


def benchmark_scores(items: ItemScores) -> dict[str, Any]:
    """Greedy share with Wilson's interval, mean over samples with a bootstrap interval over items, and pass@k."""
    return {
        "group": items.group,
        "items": len(items.ids),
        **cells(items),
        "pass_at_k": {str(k): _pass(items, k) for k in steps_of_k(int(items.total.max()))},
    }


def cells(items: ItemScores) -> dict[str, dict[str, float | None]]:
    """`greedy` and `sampled` of one benchmark, each with its interval."""
    greedy, sampled = items.greedy[~np.isnan(items.greedy)], items.sampled[~np.isnan(items.sampled)]
    return {"greedy": share(greedy), "sampled": mean(sampled)}


def group_scores(items: Sequence[ItemScores], benchmarks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Plain means over the group's benchmarks; intervals by drawing items within each benchmark."""
    found = {}
    for key in ("greedy", "sampled"):
        values = [own[~np.isnan(own)] for own in (getattr(one, key) for one in items)]
        values = [own for own in values if len(own)]
        score = mean_of([one[key]["score"] for one in benchmarks])
        low, high = interval(100 * group_draws(values)) if values else (None, None)
        found[key] = {"score": score, "low": low, "high": high}
    shared = [k for k in benchmarks[0]["pass_at_k"] if all(k in one["pass_at_k"] for one in benchmarks)]
    return found | {"pass_at_k": {k: mean_of([one["pass_at_k"][k] for one in benchmarks]) for k in shared}}


def steps_of_k(samples: int) -> list[int]:
    """The k at which pass@k is given: 1..16, then powers of two, and the number of samples."""
    powers = [2**p for p in range(5, 31) if 2**p <= samples]
    return sorted({*range(1, min(samples, EVERY_K) + 1), *powers, *([samples] if samples else [])})


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of what is there; None when nothing is."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def share(values: Array) -> dict[str, float | None]:
    """The share of 0s and 1s that are 1, in percent, with Wilson's interval."""
    if not len(values):
        return {"score": None, "low": None, "high": None}
    low, high = wilson(int(values.sum()), len(values))
    return {"score": 100 * float(values.mean()), "low": 100 * low, "high": 100 * high}


def mean(values: Array) -> dict[str, float | None]:
    """The mean of shares in 0..1, in percent, with a bootstrap interval over them."""
    if not len(values):
        return {"score": None, "low": None, "high": None}
    low, high = mean_interval(values)
    return {"score": 100 * float(values.mean()), "low": 100 * low, "high": 100 * high}


def _pass(items: ItemScores, k: int) -> float | None:
    """Over the items with at least k scorable samples."""
    pairs = [(int(n), int(c)) for n, c in zip(items.total, items.right, strict=True) if n >= k]
    return 100 * float(np.mean([pass_at_k(n, c, k) for n, c in pairs])) if pairs else None


def counts(benchmark: str, columns: Columns) -> dict[str, Any]:
    """Responses that could not be scored, responses cut at the limit, and the mix of strategies among samples."""
    own = [row for row, name in enumerate(columns["benchmark"]) if name == benchmark]
    sampled = [row for row in own if columns["sample"][row] != GREEDY] or own
    mix = Counter(columns["strategy"][row] for row in sampled if columns["strategy"][row])
    return {
        "unscorable": sum(columns["outcome"][row] == "unscorable" for row in own),
        "truncated": sum(bool(columns["truncated"][row]) for row in own),
        "responses": len(own),
        "strategies": {name: count / sum(mix.values()) for name, count in sorted(mix.items())},
    }
