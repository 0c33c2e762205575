"""A benchmark's rows: from a local copy, or from the hub where that is allowed. Nothing is fetched unasked."""

import csv
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from conf.errors import UserError
from conf.schema import Data
from data import readers
from data.items import Missing
from data.published.task import Cells, Task

SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")

Numbered = tuple[int, Cells]


def rows(task: Task, subset: str, count: int, local: str = "", download: bool = False) -> list[Numbered]:
    """The first `count` of the rows that the task uses, with their numbers in the split. Missing where there are none.

    `local`: a file, or a folder: saved by `datasets`, a copy of the hub's repository, or with a file or folder named
    like each subset. `download`: the hub may be asked (with HF_HUB_OFFLINE=1 its cache alone).
    """
    try:
        found = _local(task, subset, Path(local), count) if local else _hub(task, subset, count, download)
    except UserError as error:
        raise Missing(task.name, error.why) from error
    if not found:
        raise Missing(task.name, f"there are no rows in split {task.split}{_of(subset)}")
    return found


def _local(task: Task, subset: str, path: Path, count: int) -> list[Numbered]:
    own = [path / subset, *(path / f"{subset}{suffix}" for suffix in SUFFIXES)] if subset else []
    path = next((one for one in own if one.exists()), path)
    if not path.exists():
        raise Missing(task.name, f"there is no {path}, which suite.local names")
    files = [path / name for name in task.files if (path / name).is_file()]
    if len(files) not in (0, len(task.files)):
        raise Missing(task.name, f"{path} has not all of {', '.join(task.files)}")
    tables = (_file(task, subset, file, count) for file in files or [path])
    return _numbered(task, [cells for table in tables for cells in table], count)


def _file(task: Task, subset: str, path: Path, count: int) -> Iterator[Cells]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as opened:
            table = csv.DictReader(opened)
            yield from _renamed(task, subset, list(table.fieldnames or ()), table)
        return
    described = (path / "README.md").is_file()  # a copy of the hub's repository, which says what its subsets are
    yield from _read(task, subset, Data(source=str(path), subset=subset if described else "", split=task.split), count)


def _hub(task: Task, subset: str, count: int, download: bool) -> list[Numbered]:
    if not download:
        what = (
            f"split {task.split}{_of(subset)} of {task.hub}"
            if not task.files
            else f"{', '.join(task.files)} of {task.hub}"
        )
        why = f"it is not here, and nothing is fetched unasked ({what} would be read from the hub)"
        raise Missing(task.name, f"{why}: set suite.download=true, or suite.local={{{task.name}: FOLDER}}")
    if task.files:
        return _local(task, subset, _fetched(task), count)
    return _numbered(
        task, list(_read(task, subset, Data(source=task.hub, subset=subset, split=task.split), count)), count
    )


def _fetched(task: Task) -> Path:
    """The folder in the hub's cache with the files of a repository whose own loading script nobody runs any more."""
    if os.environ.get("HF_HUB_OFFLINE", "0") in ("0", "") and not readers.reachable():
        raise Missing(task.name, "the hub cannot be reached from here")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(task.hub, repo_type="dataset", allow_patterns=list(task.files)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise Missing(task.name, f"{task.hub} cannot be had: {reason[0]}") from error


def _read(task: Task, subset: str, data: Data, count: int) -> Iterator[Cells]:
    with readers.opened(data) as table:
        wanted = min(table.rows, count + task.first)
        yield from _renamed(
            task, subset, table.columns, (cells for _, cells in table.read(table.columns, np.arange(wanted)))
        )


def _renamed(task: Task, subset: str, columns: list[str], found: Iterator[Cells]) -> Iterator[Cells]:
    """The rows with the columns that the task needs under its own names; Missing where one is not there."""
    names = {}
    for column in task.columns[subset]:
        own, *others = column.split("|")
        there = [name for name in (own, *others) if name in columns]
        if not there:
            also = f" (nor {', '.join(others)})" if others else ""
            raise Missing(task.name, f"its schema has changed: there is no column {own}{also} in {', '.join(columns)}")
        names[own] = there[0]
    for cells in found:
        yield {own: cells[name] for own, name in names.items()}


def _numbered(task: Task, found: list[Cells], count: int) -> list[Numbered]:
    return list(islice(enumerate(found), task.first, min(task.last or len(found), task.first + count)))


def _of(subset: str) -> str:
    return f" of subset {subset}" if subset else ""
