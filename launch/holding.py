"""Who works in a folder: a lock that the system gives back when its holder ends, with a note of who that is.

Where several machines share the folder, and the file system does not carry locks from one to the other, the note's time
tells: the holder renews it, and a holder that was lost does not.
"""

import fcntl
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from conf.errors import UserError

FILE = ".lock"
BEAT_SECONDS = 10.0
LIFE_SECONDS = 45.0  # without a beat; then the holder is taken for lost
Note = dict[str, Any]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder` for this command; UserError while another command works in it, here or on another machine."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with path.open("a+", encoding="utf-8") as file:
        locked, before = _lock(file), _note(file)
        here = locked is True and before.get("host") == socket.gethostname()  # then its process has ended
        if locked is False or (before and not here and _lives(path, before)):
            raise _busy(folder, before)
        _write(file, {"host": socket.gethostname(), "process": os.getpid(), "since": _now()})
        try:
            with _beating(path):
                yield
        finally:
            _write(file, {})


def _lock(file: IO[str]) -> bool | None:
    """Whether the lock is ours now; None on a file system that knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _busy(folder: Path, note: Note) -> UserError:
    who = f" (process {note['process']} on {note['host']}, since {note['since']})" if len(note) == 3 else ""
    change = "wait for it, end it, or give this one its own experiment.name=NAME"
    return UserError(
        f"{folder} is in use by another command{who}", "two writers would mix their steps in one run", change
    )


def _note(file: IO[str]) -> Note:
    """What the holder wrote; nothing where it ended in order, or was cut while it wrote."""
    file.seek(0)
    try:
        found = json.loads(file.read() or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: IO[str], note: Note) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(note) if note else "")
    file.flush()


def _lives(path: Path, note: Note) -> bool:
    """Whether the holder on another machine renews its note; known at once, or after LIFE_SECONDS at the most."""
    seen = path.stat().st_mtime
    left = LIFE_SECONDS - (_clock(path.parent) - seen)
    if left > 0:
        print(f"{path} was left by {note.get('host')}: waiting up to {left:.0f} s for a sign of life", flush=True)
    deadline = time.monotonic() + left
    while time.monotonic() < deadline:
        time.sleep(min(1.0, BEAT_SECONDS / 4))
        if path.stat().st_mtime != seen:
            return True
    return False


def _clock(folder: Path) -> float:
    """The time as the folder's file system has it; machines may differ."""
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        return os.stat(probe.name).st_mtime


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    """Renew the time of `path` until the end of the block."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                os.utime(path)
            except OSError:  # the folder was removed, or its server is away: there is nothing to say it to
                continue

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
