"""The compiled data set as files: rows.parquet and order.npy, each whole or absent, and their digests."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from conf.errors import UserError

_TEXTS = ("id", "kind", "prompt", "reference")
_BUFFER = 2**20  # bytes of a column held at a time

Row = dict[str, Any]
Hashes = defaultdict[str, Any]


def schema(attempts: bool = False) -> Any:
    """Of rows.parquet: id, kind, prompt, reference, prompt_ids, targets, target_ids; attempts, attempt_ids if asked."""
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    fields = [*((name, pa.string()) for name in _TEXTS), ("prompt_ids", ids)]
    for kind in ("target", "attempt")[: 1 + attempts]:
        fields += [(f"{kind}s", pa.list_(pa.string())), (f"{kind}_ids", pa.list_(ids))]
    return pa.schema(fields)


@contextmanager
def writing(path: Path, attempts: bool = False) -> Iterator[Callable[[list[Row]], None]]:
    """A function that appends rows to the Parquet file `path`; on disk when this is left."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = schema(attempts)

    def write(rows: list[Row]) -> None:
        if not rows:
            return
        columns = [pa.array([row[field.name] for row in rows], field.type) for field in fields]
        writer.write_table(pa.table(columns, schema=fields))

    with path.open("wb") as file:
        with pq.ParquetWriter(file, fields) as writer:
            yield write
        file.flush()
        os.fsync(file.fileno())


def scan(path: Path) -> Iterator[Any]:
    """The rows as Arrow record batches, one after another."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            yield from file.iter_batches(row_groups=[group], use_threads=False)


def write_order(path: Path, order: np.ndarray) -> None:
    """Write int64[steps, prompts_per_step], row numbers; on disk when this returns."""
    with path.open("wb") as file:
        np.save(file, order, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def read_rows(folder: Path) -> Any:
    """The rows as a `datasets.Dataset` of one Arrow table, past every cache. UserError for a damaged file."""
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


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the values, not of the files: a parquet file's bytes change with the library's version.

    `rows` is of everything in rows.parquet; the rows are read once, and never all in memory. UserError where damaged.
    """
    import pyarrow as pa

    hashes: Hashes = defaultdict(hashlib.sha256)
    try:
        for batch in scan(folder / "rows.parquet"):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                _feed(hashes, name, column)
    except (OSError, pa.ArrowException) as error:
        raise damaged(folder) from error
    order = np.ascontiguousarray(read_order(folder), dtype="<i8")
    return {
        "rows": _joined(hashes, ""),
        "prompt_ids": _joined(hashes, "prompt_ids"),
        "target_ids": _joined(hashes, "target_ids"),
        "order": hashlib.sha256(f"{order.shape}".encode() + order.tobytes()).hexdigest(),
    }


def _feed(hashes: Hashes, name: str, column: Any) -> None:
    """Add an Arrow column to the hashes of its lengths and of its values, however it was cut into batches."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(column.type):
        hashes[f"{name}/lengths"].update(_bytes(pc.list_value_length(column), "<i4"))
        _feed(hashes, f"{name}/values", column.flatten())
    elif pa.types.is_string(column.type):
        hashes[f"{name}/lengths"].update(_bytes(pc.binary_length(column), "<i4"))
        hashes[f"{name}/text"].update("".join(column.to_pylist()).encode())
    else:
        hashes[f"{name}/numbers"].update(_bytes(column, "<i8"))


def _bytes(numbers: Any, kind: str) -> bytes:
    return numbers.to_numpy(zero_copy_only=False).astype(kind).tobytes()


def _joined(hashes: Hashes, head: str) -> str:
    """One digest of those whose name begins with `head`."""
    parts = [f"{name} {hashes[name].hexdigest()}\n" for name in sorted(hashes) if name.startswith(head)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def damaged(folder: Path) -> UserError:
    return UserError(
        f"{folder}",
        "the compiled data set is damaged: its files are not those the manifest describes",
        "delete the folder and start the run again",
    )
