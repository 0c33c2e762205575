"""The compiled data set as files: rows.parquet and order.npy, each whole or absent, and their digests."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from conf.errors import UserError

_TEXTS = ("id", "kind", "prompt", "reference")


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows.parquet: id, kind, prompt, reference, prompt_ids, targets, target_ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = pa.list_(pa.int64())
    schema = pa.schema(
        [
            *((name, pa.string()) for name in _TEXTS),
            ("prompt_ids", ids),
            ("targets", pa.list_(pa.string())),
            ("target_ids", pa.list_(ids)),
        ]
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    _write(folder / "rows.parquet", lambda file: pq.write_table(table, file))


def write_order(folder: Path, order: np.ndarray) -> None:
    """Write order.npy: int64[steps, prompts_per_step], row numbers."""
    _write(folder / "order.npy", lambda file: np.save(file, order, allow_pickle=False))


def read_rows(folder: Path) -> Any:
    """The rows as a `datasets.Dataset` in memory, past every cache. UserError for a damaged file."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(folder / "rows.parquet")
    except (OSError, pa.ArrowException) as error:
        raise damaged(folder) from error
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def read_order(folder: Path) -> np.ndarray:
    """The order as int64[steps, prompts_per_step]. UserError for a damaged file."""
    try:
        return np.load(folder / "order.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(folder) from error


def digests(rows: list[dict[str, Any]], order: np.ndarray) -> dict[str, str]:
    """SHA-256 of the values, not of the files: a parquet file's bytes change with the library's version."""
    return {
        "rows": _sha256(rows),
        "prompt_ids": _sha256([row["prompt_ids"] for row in rows]),
        "target_ids": _sha256([row["target_ids"] for row in rows]),
        "order": hashlib.sha256(
            f"{order.shape}".encode() + np.ascontiguousarray(order, dtype="<i8").tobytes()
        ).hexdigest(),
    }


def damaged(folder: Path) -> UserError:
    return UserError(
        f"{folder}",
        "the compiled data set is damaged: its files are not those the manifest describes",
        "delete the folder and start the run again",
    )


def _sha256(values: list[Any]) -> str:
    total = hashlib.sha256()
    for value in values:
        total.update(json.dumps(value, sort_keys=True).encode() + b"\n")
    return total.hexdigest()


def _write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside `path`, sync, rename: a reader sees the whole file or none."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
