"""What a person sees while an evaluation runs: how many responses there are, and how long the others take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from conf.files import read_json
from data.suite import FEW_SHOTS
from launch.workers import Job

LINE_SECONDS = 15.0


@contextmanager
def responses(folder: Path) -> Iterator["Counted"]:
    """A display of the evaluation in `folder`: a bar on a terminal, a plain line now and then elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Counted(folder)
        return
    left = TextColumn("{task.fields[left]}", markup=False)
    with Progress(TextColumn("responses"), BarColumn(24), MofNCompleteColumn(), left, console=console) as bar:
        yield Counted(folder, bar)


class Counted:
    """The sum of what all processes have done, from their progress files."""

    def __init__(self, folder: Path, bar: Progress | None = None) -> None:
        self.folder, self.bar, self.last = folder, bar, time.monotonic()
        self.task = bar.add_task("", total=None, left="") if bar else None

    def update(self, jobs: list[Job]) -> None:
        """Show how far it is, if it is time."""
        found = list(self._read())
        if len(found) < len([job for job in jobs if job.running]) or not found:
            return
        done, total, known = (sum(own[key] for own in found) for key in ("done", "total", "known"))
        rest = left(done - known, total - done, max(own["seconds"] for own in found))
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done, total=total, left=rest)
        elif time.monotonic() - self.last > LINE_SECONDS:
            self.last = time.monotonic()
            print(f"{done} of {total} responses, {rest}", flush=True)

    def _read(self) -> Iterator[dict[str, float]]:
        """Every process's file; they go when the scores are made."""
        for where in (self.folder, self.folder / FEW_SHOTS):
            for file in where.glob("progress-*-of-*.json"):
                with suppress(FileNotFoundError):
                    yield read_json(file)


def left(made: float, missing: float, seconds: float) -> str:
    """How long the missing responses take where `made` took `seconds`."""
    if made <= 0:
        return "time left unknown"
    whole = round(seconds * missing / made)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02} left"
