"""What an evaluation has made so far: part files, each whole or absent, joined into one file in the end.

A part is written beside its place, synced and renamed, so a killed evaluation loses what it was writing and nothing
else. Parts stand in a folder named after the settings: those of other settings are never read.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[dict[str, Any]]


def folder(evaluation: Path, settings: dict[str, Any]) -> Path:
    """Where the parts of the evaluation of these settings stand."""
    return evaluation / f"parts-{settings['digest'][:16]}"


def add(parts: Path, name: str, rows: Rows, schema: pa.Schema) -> None:
    """Append `rows`; `name` is that of no other part."""
    if rows:
        parts.mkdir(parents=True, exist_ok=True)
        write(pa.Table.from_pylist(list(rows), schema=schema), parts / f"{name}.parquet")


def keep(parts: Path, kind: str, joined: Path) -> None:
    """Make a part of what was joined before, if it is there."""
    if not joined.is_file():
        return
    parts.mkdir(parents=True, exist_ok=True)
    aside = parts / f".{kind}.{os.getpid()}"
    shutil.copyfile(joined, aside)
    aside.replace(parts / f"{kind}-before.parquet")


def read(parts: Path, kind: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of all parts whose names begin with `kind`, in no order; null in a column that an old part lacks."""
    wanted = list(columns) if columns else schema.names
    found = [pq.read_table(path, columns=wanted, schema=schema) for path in sorted(parts.glob(f"{kind}-*.parquet"))]
    return pa.concat_tables(found) if found else schema.empty_table().select(wanted)


def keys(parts: Path, kind: str, schema: pa.Schema, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    """What the parts hold already, as the values of `columns`."""
    table = read(parts, kind, schema, columns)
    return set(zip(*(table[name].to_pylist() for name in columns), strict=True))


def ordered(table: pa.Table, columns: Sequence[str], order: Iterable[tuple[Any, ...]]) -> pa.Table:
    """The rows whose values of `columns` are those of `order`, in that order; KeyError where one is not there."""
    found = zip(*(table[name].to_pylist() for name in columns), strict=True)
    places = {key: place for place, key in enumerate(found)}
    return table.take(pa.array([places[key] for key in order], pa.int64()))


def write(table: pa.Table, path: Path) -> None:
    """Write a Parquet file whole or not at all; it is on the disk when this returns."""
    cut_short = path.with_name(f".{path.name}.{os.getpid()}")
    with cut_short.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    cut_short.replace(path)


def clear(evaluation: Path) -> None:
    """Remove the parts of all settings, once they are joined."""
    for parts in evaluation.glob("parts-*"):
        shutil.rmtree(parts)
