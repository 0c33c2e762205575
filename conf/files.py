"""Files that are whole or absent: written beside their place, synced, renamed; JSON lines that survive a cut."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` so that a reader, or a crash, sees the old file or the new one, never a part."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Have the disk hold the names in `folder`, renamed ones too; nothing where the system cannot sync a folder."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused, for no other language can read it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """The JSON in `path`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def append_jsonl(path: Path | str, row: Mapping[str, Any]) -> None:
    """Append one object as one line, and flush it; a line that a crash left unfinished is removed first."""
    path = Path(path)
    line = json.dumps(row, ensure_ascii=False) + "\n"
    with path.open("ab+") as file:
        _drop_cut_line(file)
        file.write(line.encode("utf-8"))
        file.flush()


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """Every complete line of `path`, in order; none where there is no file. A last line cut short is left out."""
    path = Path(path)
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.split(b"\n") if line.strip()]


def _drop_cut_line(file: Any) -> None:
    """Cut the open file back to the end of its last complete line."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def _umask() -> int:
    """The process's umask, which the system only tells by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
