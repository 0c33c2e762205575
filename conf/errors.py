"""The one error a user causes, in three parts; every command ends it with exit code 2 and no traceback."""

import errno
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

INTERRUPTED = "interrupted: the same command goes on from the last checkpoint"
_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
# how safetensors (Rust) and torch.save (C++) tell the same; under a quota the disk itself is not full
_TOLD = re.compile(
    rf"\(os error (?:{'|'.join(map(str, _REFUSED))})\)|PytorchStreamWriter|unexpected pos|iostream error"
)
_LEAST_BYTES = 2**20  # free; below this a disk is full


class UserError(Exception):
    """What was given, why it breaks the run or the comparison, and which key or command to change."""

    def __init__(self, given: str, why: str, change: str) -> None:
        super().__init__(f"{given}\n  why: {why}\n  do:  {change}")
        self.given, self.why, self.change = given, why, change


def ending(work: Callable[[], None], folder: Path) -> int:
    """The exit code of a worker that writes into `folder`: 2 for a user's mistake or a disk that takes no more."""
    try:
        work()
    except UserError as error:
        return _told(f"error: {error}", 2)
    except KeyboardInterrupt:
        return _told(INTERRUPTED, 130)
    except Exception as error:
        refused = unwritable(error, folder)
        if refused is None:
            raise
        return _told(f"error: {refused}", 2)
    return 0


def unwritable(error: BaseException, folder: Path) -> UserError | None:
    """The user's error behind `error` where `folder` cannot be written; libraries hide the cause behind their own."""
    cause: BaseException | None = error
    while cause is not None and not _refused(cause):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return full_disk(folder)
    why = cause.strerror if isinstance(cause, OSError) else str(cause).splitlines()[0]
    return _not_written(folder, f"writing failed: {why}")


def _refused(error: BaseException) -> bool:
    """Whether the system would not write."""
    if isinstance(error, OSError):
        return error.errno in _REFUSED
    return not isinstance(error, UserError) and bool(_TOLD.search(str(error)))


def full_disk(folder: Path) -> UserError | None:
    """The user's error where the disk of `folder` takes no more."""
    full = folder.exists() and shutil.disk_usage(folder).free < _LEAST_BYTES
    return _not_written(folder, "its disk is full") if full else None


def _not_written(folder: Path, why: str) -> UserError:
    change = "make room or allow writing, then start the same command: it goes on from the last whole checkpoint"
    return UserError(f"the output folder {folder}", why, change)


def _told(message: str, code: int) -> int:
    print(message, file=sys.stderr, flush=True)
    return code
