"""How far an evaluation is: a bar on a terminal, and a file that the launcher reads."""

import sys
import time
from pathlib import Path
from typing import Any

from conf.files import write_json

PATIENCE = 2.0  # seconds before a bar appears
EVERY = 1.0  # seconds between two writings of the file


class Bar:
    """`done` of `total` responses; `known` of them were there before this began, and tell nothing of the speed."""

    def __init__(self, title: str, total: int, known: int = 0, file: Path | None = None) -> None:
        self.title, self.total, self.known, self.file = title, total, known, file
        self.before = known
        self.start = self.written = time.monotonic()
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def within(self, done: int, _total: int) -> None:
        """Responses that have ended in the generator's present call."""
        self._show(self.before + done)

    def finish(self, responses: int) -> None:
        """A call of the generator has ended."""
        self.before += responses
        self._show(self.before)

    def _show(self, done: int) -> None:
        now = time.monotonic()
        if self.file is not None and now - self.written > EVERY:
            self.written = now
            write_json(self.file, {"done": done, "total": self.total, "known": self.known, "seconds": now - self.start})
        if self.bar is None and sys.stdout.isatty() and now - self.start > PATIENCE:
            self._open()
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def _open(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        title = TextColumn("{task.description}", markup=False)
        self.bar = Progress(title, BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
        self.task = self.bar.add_task(self.title, total=self.total, completed=self.known)
        self.bar.start()
