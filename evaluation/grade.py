"""One graded row a response: the columns of items.parquet."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from data import world
from data.items import Item
from rewards import Request, Verdict, canary, verify_many

_checked: set[str] = set()  # kinds whose verifier this process has tried

Wanted = tuple[Item, int]  # an item, and the number of its sample; 0 is greedy

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("benchmark", "group", "kind", "item", "prompt", "reference")),
        ("sample", pa.int32()),
        *((name, pa.string()) for name in ("response", "outcome", "reason", "extracted", "strategy")),
        ("completion_tokens", pa.int32()),
        ("truncated", pa.bool_()),
    ]
)


def grade(
    wanted: Sequence[Wanted], texts: Sequence[str], ids: Sequence[Sequence[int]], end_id: int, workers: int = 0
) -> list[dict[str, Any]]:
    """The rows of the responses to `wanted`, in order; `ids` still carry the end token where the model wrote one."""
    requests = [
        Request(item.kind, text, item.reference, {"extraction": "strict", **item.options})
        for (item, _), text in zip(wanted, texts, strict=True)
    ]
    graded = zip(wanted, texts, ids, verify_many(requests, workers), strict=True)
    return [_row(item, sample, text, own, verdict, end_id) for (item, sample), text, own, verdict in graded]


def _row(item: Item, sample: int, response: str, ids: Sequence[int], verdict: Verdict, end_id: int) -> dict[str, Any]:
    """One row of items.parquet; a response without its end token is truncated."""
    return {
        "benchmark": item.benchmark,
        "group": item.group,
        "kind": item.kind,
        "item": item.id,
        "prompt": item.prompt,
        "reference": item.reference,
        "sample": sample,
        "response": response,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "extracted": verdict.extracted,
        "strategy": strategy(item, response),
        "completion_tokens": len(ids),
        "truncated": end_id not in ids[-1:],
    }


def strategy(item: Item, response: str) -> str:
    """How a math item of the embedded world was answered; empty for everything else."""
    known = item.group == "math" and item.benchmark in world.BENCHMARKS
    return world.strategy(item.prompt, response) if known else ""


def write_items(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write items.parquet whole or not at all."""
    cut_short = path.with_name(path.name + ".part")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), cut_short)
    cut_short.replace(path)


def read_items(path: Path, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """The columns of items.parquet as lists."""
    return pq.read_table(path, columns=None if columns is None else list(columns)).to_pydict()


def check_verifiers(kinds: Iterable[str], workers: int = 0) -> None:
    """Judge the canary's known answers, once a process and kind; UserError where a verifier judges one otherwise."""
    new = set(kinds) - _checked
    failed = canary.failures(new, workers)
    if failed:
        raise UserError(
            f"the verifiers misjudge {len(failed)} known answers, the first: {failed[0]}",
            "rewards and scores from them would be wrong, silently",
            "repair the installation (`make` installs what constraints.txt says); a starved machine shows as timeout",
        )
    _checked.update(new)
