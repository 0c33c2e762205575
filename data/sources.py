"""Where training rows come from: the world, a file, a folder saved by `datasets`, or a hub. Nothing is dropped here."""

import difflib
import math
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from conf.errors import UserError
from conf.schema import Data

Row = dict[str, Any]  # id, kind, prompt, reference: str ("" where the source has none); solution: str or None

BUILDERS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}
TIMEOUT = 5  # seconds to wait for the hub's first answer
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load(data: Data, count: int, seed: int) -> list[Row]:
    """At most `count` rows of `data.source`, drawn without replacement by `seed` and kept in the source's own order.

    UserError for a source that does not exist, cannot be read, is empty, or lacks a column.
    """
    if data.source == "world":
        return _world(count, seed)
    rows = _open(data)
    _check_columns(data, rows.column_names)
    if len(rows) == 0:
        raise UserError(
            f"data.source={data.source}",
            "the data set is empty: there is nothing to train on",
            "set data.source to a data set with rows",
        )
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))[:count]
    return [_row(data, int(i), rows[int(i)]) for i in sorted(drawn)]


def _world(count: int, seed: int) -> list[Row]:
    """Math items of the world; their targets are the scripted teacher's and made at compile time, so none here."""
    from data import world

    items = world.training_items(count, seed, split="train")
    return [
        {
            "id": item.id,
            "kind": item.kind,
            "prompt": item.prompt,
            "reference": item.reference,
            "solution": None,
            "item": item,
        }
        for item in items
    ]


def _row(data: Data, index: int, row: dict[str, Any]) -> Row:
    return {
        "id": f"row-{index}",
        "kind": data.kind,
        "prompt": _text(row[data.problem]),
        "reference": _text(row[data.answer]),
        "solution": _text(row.get(data.solution)) or None,
    }


def _text(value: Any) -> str:
    """The text of a cell; nothing for an empty cell and for what is no single value."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) else repr(value)


def _open(data: Data) -> Any:
    """The source as a `datasets.Dataset`."""
    path = Path(data.source)
    if path.is_file():
        return _open_file(data, path)
    if path.is_dir():
        return _open_folder(data, path)
    if is_hub_id(data.source):
        return _open_hub(data)
    raise UserError(
        f"data.source={data.source}",
        f"there is no such file or folder{_near(path)}",
        "set data.source to `world`, a file, a folder or a hub id like org/name",
    )


def is_hub_id(source: str) -> bool:
    """Whether `source` can only name a data set on a hub: `org/name`, not a file's name, and no folder `org` here."""
    shape = _HUB_ID.fullmatch(source) and not source.startswith(".") and Path(source).suffix not in BUILDERS
    return bool(shape) and not Path(source).parent.exists()


def _near(path: Path) -> str:
    """The names in the same folder that the user may have meant."""
    if not path.parent.is_dir():
        return f", nor a folder {path.parent}"
    names = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=3, cutoff=0.5)
    return f"; near it: {', '.join(str(path.parent / name) for name in names)}" if names else ""


def _open_file(data: Data, path: Path) -> Any:
    import datasets

    builder = BUILDERS.get(path.suffix)
    if builder is None:
        raise UserError(
            f"data.source={data.source}",
            f"files of type {path.suffix or '(none)'} are not read",
            f"convert it to one of {', '.join(BUILDERS)}",
        )
    if path.stat().st_size == 0:
        raise UserError(
            f"data.source={data.source}",
            "the file is empty: there is nothing to train on",
            "set data.source to a file with rows",
        )
    # a cache that is thrown away: what is read is the file as it is now
    with _refused(data, "the file cannot be read"), _quiet(), tempfile.TemporaryDirectory() as cache:
        return datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=cache, keep_in_memory=True)


def _open_folder(data: Data, path: Path) -> Any:
    import datasets

    with _refused(data, "the folder was not saved by `datasets` (save_to_disk), is empty, or is damaged"):
        found = datasets.load_from_disk(str(path))
    return _split(data, found)


def _split(data: Data, found: Any) -> Any:
    import datasets

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
    if os.environ.get("HF_HUB_OFFLINE", "0") in ("0", "") and not _reachable():
        raise UserError(
            f"data.source={data.source}",
            "the hub cannot be reached from here, and no file or folder has this name",
            "set data.source to `world` or a local file; with a copy in the hub's local cache, set HF_HUB_OFFLINE=1",
        )
    import datasets

    with _refused(data, f"the hub has no such data set, or no split {data.split}"):
        return datasets.load_dataset(data.source, split=data.split)


def _reachable() -> bool:
    """Whether the hub answers at all, through the proxies of the environment."""
    try:
        urllib.request.urlopen(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


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
    """No progress bars for a file that is read in a moment."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _check_columns(data: Data, columns: list[str]) -> None:
    """The question and the answer are needed; the solution only where SFT takes its targets from the source."""
    for key in ("problem", "answer"):
        name = getattr(data, key)
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1, cutoff=0.4)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise UserError(
                f"data.{key}={name}",
                f"{data.source} has the columns {', '.join(columns)}{hint}",
                f"set data.{key} to the right column",
            )
