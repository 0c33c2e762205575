"""What a person sees while workers run: one bar a job on a terminal, a plain line now and then elsewhere."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn

from launch.workers import Job, log_tail

LINE_SECONDS = 15.0
MANY = 8  # jobs of which those that have ended leave the screen, so that what runs stays on it
SHOWN = ("loss", "reward", "mean_token_accuracy")


@contextmanager
def progress(steps: int) -> Iterator["Bars | Lines"]:
    """A display of jobs that take `steps` steps each; 0 where a job tells no steps."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(steps)
        return
    with Progress(*columns(), console=console) as bars:
        yield Bars(bars, steps)


def columns() -> list[ProgressColumn]:
    """Name, bar, steps, time, and what the job says; none of it read as markup."""
    name, note = TextColumn("{task.description:<24}", markup=False), TextColumn("{task.fields[note]}", markup=False)
    return [name, BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), note]


class Bars:
    """One live bar a job."""

    def __init__(self, bars: Progress, steps: int) -> None:
        self.bars, self.steps = bars, steps
        self.tasks: dict[str, TaskID] = {}

    def update(self, jobs: list[Job]) -> None:
        """Redraw every job that has started."""
        for job in jobs:
            if job.process is None:
                continue
            if job.name not in self.tasks:
                self.tasks[job.name] = self.bars.add_task(job.name, total=self.steps or None, note="")
            step, note = state(job)
            ended = step if job.running or job.stopped else self.steps
            shown = job.running or len(jobs) <= MANY
            self.bars.update(self.tasks[job.name], completed=ended, note=note[:60], visible=shown)
            if not job.running:
                self.bars.stop_task(self.tasks[job.name])


class Lines:
    """A line a job every quarter of a minute, and one when it ends."""

    def __init__(self, steps: int) -> None:
        self.steps, self.last, self.ended = steps, time.monotonic(), set[str]()

    def update(self, jobs: list[Job]) -> None:
        """Print where the jobs stand, if it is time."""
        for job in jobs:
            if job.process is not None and not job.running and job.name not in self.ended:
                self.ended.add(job.name)
                print(
                    f"{job.name}: {'stopped' if job.stopped else 'ended badly' if job.failed else 'done'}", flush=True
                )
        if time.monotonic() - self.last < LINE_SECONDS:
            return
        self.last = time.monotonic()
        for job in jobs:
            if job.running:
                step, note = state(job)
                print(f"{job.name}: {f'step {step}/{self.steps}  ' if self.steps else ''}{note}", flush=True)


def state(job: Job) -> tuple[int, str]:
    """The last step a job logged, and a few numbers of it, or what its log said last."""
    row = last_row(job.log.parent / "metrics.jsonl")
    said = log_tail(job, 1).strip()
    if row is None:
        return 0, said
    numbers = [f"{key} {row[key]:.3g}" for key in SHOWN if isinstance(row.get(key), int | float)]
    return int(row.get("step", 0)), "  ".join(numbers) or said


def last_row(path: Path) -> dict[str, Any] | None:
    """The last complete line of a JSONL file, reading its end only."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        lines = file.read().rpartition(b"\n")[0].splitlines()
    try:
        return dict(json.loads(lines[-1])) if lines else None
    except json.JSONDecodeError:
        return None
