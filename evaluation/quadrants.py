"""How likely each model holds the right answers of either: four perplexities, from each item's mean nats a token.

Yue et al. 2025 (arXiv 2504.13837, section 4.1) ask whether what the tuned model writes is something the base would have
written. Arrays are [S seeds, I items, COLUMNS].
"""

from collections.abc import Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.inference import difference
from evaluation.statistics import Array

FILE = "perplexity.parquet"
MATCHED = "matched.parquet"  # beside it, the graded responses at the base's entropy
QUADRANTS = ("base_by_base", "base_by_tuned", "tuned_by_base", "tuned_by_tuned")  # whose text, weighed by whom
LIKELIER = "tuned_likelier"  # share of pairs of responses of an item in which the base holds the tuned one likelier
KEYS = ("benchmark", "group", "item")
COLUMNS = (*QUADRANTS, LIKELIER)
SCHEMA = pa.schema([*((name, pa.string()) for name in KEYS), *((name, pa.float64()) for name in COLUMNS)])
EQUAL = 1e-5  # nats a token: one text weighed twice, in another batch
FEWEST = 2  # items of a benchmark, for an interval

Table = list[dict[str, Any]]


def read(folder: Path) -> Table:
    """The rows that the measure left in its folder, one an item; none where it left none."""
    path = folder / FILE
    rows: Table = pq.read_table(path, schema=SCHEMA).to_pylist() if path.is_file() else []
    return rows


def cells(seeds: Sequence[Table]) -> dict[str, dict[str, Any]]:
    """{groups, benchmarks: {name: cell}} of the items that every seed has: each perplexity, the exponential of the mean
    over items and seeds, then benchmarks, of nats a token, with its 95% interval (`inference.difference`); the ratio of
    the base's perplexities, of the tuned text over its own; and LIKELIER in percent."""
    tables = [{(row["benchmark"], row["item"]): row for row in own} for own in seeds]
    shared = [key for key in tables[0] if all(key in own for own in tables)]
    names: dict[str, list[str]] = {}
    for benchmark, item in shared:
        names.setdefault(benchmark, []).append(item)
    names = {benchmark: items for benchmark, items in names.items() if len(items) >= FEWEST}
    arrays = {
        b: np.array([[[own[b, item][c] for c in COLUMNS] for item in items] for own in tables])
        for b, items in names.items()
    }
    groups: dict[str, list[Array]] = {}
    for benchmark, array in arrays.items():
        groups.setdefault(tables[0][benchmark, names[benchmark][0]]["group"], []).append(array)
    return {
        "groups": {group: _cell(own) for group, own in groups.items()},
        "benchmarks": {benchmark: _cell([array]) for benchmark, array in arrays.items()},
    }


def _cell(benchmarks: Sequence[Array]) -> dict[str, Any]:
    place = {name: number for number, name in enumerate(COLUMNS)}

    def of(name: str) -> list[Array]:
        return [one[..., place[name]] for one in benchmarks]

    ratio = [one - other for one, other in zip(of("tuned_by_base"), of("base_by_base"), strict=True)]
    found: dict[str, Any] = {name: _perplexity(of(name)) for name in QUADRANTS}
    share = difference(of(LIKELIER))
    bounds = {"low": max(0.0, 100 * share.low), "high": min(100.0, 100 * share.high)}
    return {
        "items": sum(one.shape[1] for one in benchmarks),
        **found,
        "ratio": _perplexity(ratio),
        LIKELIER: {"value": 100 * share.difference, **bounds},
    }


def _perplexity(nats: Sequence[Array]) -> dict[str, float]:
    found = difference(nats)
    return {"value": exp(found.difference), "low": exp(found.low), "high": exp(found.high)}


def likelier(tuned: Sequence[float], base: Sequence[float]) -> float:
    """The chance that a tuned response has fewer nats a token than a base one; equals within rounding count half
    (Mann-Whitney)."""
    gaps = np.subtract.outer(np.asarray(base), np.asarray(tuned))
    return float(np.mean((gaps > EQUAL) + 0.5 * (abs(gaps) <= EQUAL)))


def summed(found: Mapping[str, Any]) -> dict[str, Any]:
    """A cell without its intervals, for one checkpoint among many."""
    return {name: own["value"] if isinstance(own, dict) else own for name, own in found.items()}
