"""Reading a file, a folder or a hub's data set row by row, so that it may be larger than memory."""

import difflib
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from conf.errors import UserError
from conf.schema import Data
from data import jsonfiles

SUFFIXES = (".json", ".jsonl", ".parquet")
BATCH = 1024  # rows read at a time
TIMEOUT = 5  # seconds to wait for the hub's first answer
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_BUFFER = 2**20  # bytes of a Parquet column held at a time; a writer may have put all rows into one group

Numbered = tuple[int, dict[str, Any]]  # a row's number in its source, and its cells by column


class Table(NamedTuple):
    """An open source: its columns, how many rows it has, and `read(columns, row numbers ascending)`."""

    columns: list[str]
    rows: int
    read: Callable[[list[str], np.ndarray], Iterator[Numbered]]


@contextmanager
def opened(data: Data) -> Iterator[Table]:
    """The source, open for reading. UserError where there is none, or where it cannot be read, then or later."""
    path = Path(data.source)
    with tempfile.TemporaryDirectory() as cache:  # thrown away: what is read is the source as it is now
        if path.is_file():
            yield _file(data, path)
        elif path.is_dir():
            yield _dataset(data, _open_folder(data, path, cache))
        elif is_hub_id(data.source):
            yield _dataset(data, _open_hub(data))
        else:
            raise UserError(
                f"data.source={data.source}",
                f"there is no such file or folder{_near(path)}",
                "set data.source to `world`, a file, a folder or a hub id like org/name",
            )


def is_hub_id(source: str) -> bool:
    """Whether `source` can only name a data set on a hub: `org/name`, not a file's name, and no folder `org` here."""
    shape = _HUB_ID.fullmatch(source) and not source.startswith(".") and Path(source).suffix not in SUFFIXES
    return bool(shape) and not Path(source).parent.exists()


def _near(path: Path) -> str:
    """The names in the same folder that the user may have meant."""
    if not path.parent.is_dir():
        return f", nor a folder {path.parent}"
    names = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=3, cutoff=0.5)
    return f"; near it: {', '.join(str(path.parent / name) for name in names)}" if names else ""


# --- files ------------------------------------------------------------------------------------------------------------


def _file(data: Data, path: Path) -> Table:
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"data.source={data.source}",
            f"files of type {path.suffix or '(none)'} are not read",
            f"convert it to one of {', '.join(SUFFIXES)}",
        )
    if path.stat().st_size == 0:
        raise UserError(
            f"data.source={data.source}",
            "the file is empty: there is nothing to train on",
            "set data.source to a file with rows",
        )
    with _refused(data, _UNREADABLE):
        return _parquet(data, path) if path.suffix == ".parquet" else _json(data, path)


def _parquet(data: Data, path: Path) -> Table:
    import pyarrow.parquet as pq

    # neither whole row groups nor a memory map, which would count as memory of this process
    file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)

    def read(names: list[str], drawn: np.ndarray) -> Iterator[Numbered]:
        batches = file.iter_batches(batch_size=BATCH, columns=names, use_threads=False)
        yield from _guarded(data, _picked(batches, drawn))

    return Table(list(file.schema_arrow.names), file.metadata.num_rows, read)


def _json(data: Data, path: Path) -> Table:
    """Read twice: once to count and to know every column, once for the rows."""
    names: dict[str, None] = {}
    count = 0
    for cells in jsonfiles.rows(path):
        names.update(dict.fromkeys(cells))
        count += 1

    def read(_: list[str], drawn: np.ndarray) -> Iterator[Numbered]:
        wanted = set(drawn.tolist())
        numbered = ((i, cells) for i, cells in enumerate(jsonfiles.rows(path)) if i in wanted)
        yield from _guarded(data, numbered)

    return Table(list(names), count, read)


def _picked(batches: Iterable[Any], drawn: np.ndarray) -> Iterator[Numbered]:
    """The drawn rows of Arrow tables or record batches that follow one another."""
    start = 0
    for batch in batches:
        here = drawn[np.searchsorted(drawn, start) : np.searchsorted(drawn, start + len(batch))]
        if len(here):
            yield from zip(here.tolist(), batch.take(here - start).to_pylist(), strict=True)
        start += len(batch)


# --- folders and hubs, through `datasets` -----------------------------------------------------------------------------


def _dataset(data: Data, found: Any) -> Table:
    """A `datasets.Dataset`, which maps its files instead of loading them."""

    def read(names: list[str], drawn: np.ndarray) -> Iterator[Numbered]:
        chosen = found.select_columns(names).select(drawn).with_format("arrow")
        rows = (cells for batch in chosen.iter(batch_size=BATCH) for cells in batch.to_pylist())
        yield from _guarded(data, zip(drawn.tolist(), rows, strict=True))

    return Table(list(found.column_names), len(found), read)


def _open_folder(data: Data, path: Path, cache: str) -> Any:
    """A folder written by `save_to_disk`, or one of data files, as a hub's repository is when it is downloaded."""
    import datasets

    saved = any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))
    with _refused(data, "the folder is empty, damaged, or not saved by `datasets` and without data files"), _quiet():
        if not saved:
            return datasets.load_dataset(str(path), data.subset or None, split=data.split, cache_dir=cache)
        found = datasets.load_from_disk(str(path))
    if isinstance(found, datasets.Dataset):
        return found
    if data.split not in found:
        raise UserError(
            f"data.split={data.split}",
            f"{data.source} has only the splits {', '.join(found)}",
            "set data.split to one of them",
        )
    return found[data.split]


def _open_hub(data: Data) -> Any:
    """A hub data set. Without a network: a clear error within seconds, not the client's minutes of retries."""
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(TIMEOUT))
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    if os.environ.get("HF_HUB_OFFLINE", "0") in ("0", "") and not reachable():
        raise UserError(
            f"data.source={data.source}",
            "the hub cannot be reached from here, and no file or folder has this name",
            "set data.source to `world` or a local file; with a copy in the hub's local cache, set HF_HUB_OFFLINE=1",
        )
    import datasets

    where = f"split {data.split}" + (f" of subset {data.subset}" if data.subset else "")
    with _refused(data, f"the hub has no such data set, or no {where}"):
        return datasets.load_dataset(data.source, data.subset or None, split=data.split)


def reachable() -> bool:
    """Whether the hub answers at all, through the proxies of the environment."""
    try:
        urllib.request.urlopen(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


# --- what the libraries raise -----------------------------------------------------------------------------------------

_UNREADABLE = "it cannot be read"


def _guarded(data: Data, rows: Iterable[Numbered]) -> Iterator[Numbered]:
    """`rows`; what goes wrong in reading them is the user's error, what goes wrong with them afterwards is not."""
    with _refused(data, _UNREADABLE):
        yield from rows


@contextmanager
def _refused(data: Data, why: str) -> Iterator[None]:
    """Turn what the reading libraries raise about a bad source into the user's error."""
    import httpx2
    import pyarrow
    from datasets.exceptions import DatasetGenerationError, DatasetsError

    try:
        yield
    except (
        DatasetsError,
        DatasetGenerationError,
        pyarrow.ArrowException,
        httpx2.HTTPError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
    ) as error:
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"data.source={data.source}",
            f"{why}: {reason[0][:300]}",
            "repair or replace it, or set data.source to another data set",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars for files that are read in a moment."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
