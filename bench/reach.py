"""How long the report takes to count reach among a million graded responses."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import Figure
from evaluation import exploration, reach
from evaluation.exploration import ANSWERED, FORMED, KEY

ITEMS, SAMPLES, BENCHMARKS = 651, 256, 6  # a million responses


def write(path: Path) -> None:
    """Responses of some forms, right by chance, as items.parquet has them."""
    rng, rows = np.random.default_rng(0), ITEMS * SAMPLES * BENCHMARKS
    item = np.repeat(np.arange(ITEMS * BENCHMARKS), SAMPLES)
    form = rng.zipf(1.5, rows) % 200
    named = {"benchmark": np.char.add("b", (item // ITEMS).astype(str)), "item": np.char.add("i", item.astype(str))}
    said = np.char.add("so we add it up and it must be, Number  ", form.astype(str))
    right = rng.random(rows) < rng.random(ITEMS * BENCHMARKS)[item]
    columns = named | {"response": said, "strategy": np.array(["direct", "steps"])[form % 2]}
    columns |= {"kind": np.full(rows, "math"), "reference": np.full(rows, "7"), "extracted": form.astype(str)}
    columns |= {"outcome": np.where(right, "right", "wrong")}
    pq.write_table(pa.table(columns | {"sample": np.tile(np.arange(1, SAMPLES + 1), ITEMS * BENCHMARKS)}), path)


def figures() -> Iterator[Figure]:
    """Seconds from the file to forms, effective numbers, guesses, curves, sets and a crossover's interval."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        write(path)
        start = time.process_time()
        right = pq.read_table(path, columns=list(FORMED), filters=[("outcome", "=", "right")])
        for own in exploration.forms(right)["forms"].values():
            exploration.distinct(own, {item: max(1, count // 2) for item, count in own.right.items()})
        exploration.guesses(pq.read_table(path, columns=list(ANSWERED)))
        columns = [*KEY, "outcome"]
        counted = pq.read_table(path, columns=columns).group_by(columns).aggregate([([], "count_all")])
        _measured(counted)
        yield Figure("a million responses, reach counted", time.process_time() - start, 15.0, "s", at_least=False)


def _measured(counted: pa.Table) -> None:
    right = counted.filter(pc.equal(counted["outcome"], "right"))["count_all"].to_numpy().astype(np.int64)
    own = reach.Counted(right, np.full(len(right), SAMPLES))
    both = reach.Counted(np.stack([right] * 3), np.full((3, len(right)), SAMPLES))
    ks = reach.powers_of_two(SAMPLES)
    reach.solvable(own, both, SAMPLES), reach.halves(own, SAMPLES // 2), reach.histogram(both)
    reach.crossover([reach.pass_at_ks(*both, ks) - reach.pass_at_ks(*own, ks)[None]], ks)
