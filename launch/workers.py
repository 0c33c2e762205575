"""Worker processes: started in groups of their own, watched, stopped cleanly; none outlives this command."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

import psutil

from conf.errors import full_disk
from conf.schema import Configuration
from launch import ranks
from launch.command import Stopped, WorkerFailed
from models.folder import is_hub_id
from train import stop

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 60.0  # for a worker to write its checkpoint after Ctrl-C
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")
RANK_PREFIXES = ("ACCELERATE_", "TORCHELASTIC_", "FSDP_")
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
COLLECTED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)


@dataclass
class Job:
    """One worker: `python -m MODULE ARGUMENTS`, its words going to `log`."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    stops: bool = False  # where it is asked to (train/stop.py); others are ended, and go on from what they have saved
    ended: bool = field(default=False, init=False)  # by this command, as it was asked to
    log_start: int = field(default=0, init=False)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it has ended early and well, as it was asked to."""
        ended = self.process is not None and not self.running
        return self.stops and ended and stop.noted(self.log.parent) is not None

    @property
    def failed(self) -> bool:
        """Whether it has ended badly."""
        badly = self.process is not None and self.process.poll() not in (None, 0)
        return badly and not self.stopped and not self.ended


class Display(Protocol):
    """Shows the state of jobs while they run."""

    def update(self, jobs: list[Job]) -> None:
        """Called a few times a second."""


@dataclass
class Usage:
    """Peak memory of all workers together, bytes."""

    peak_bytes: int = 0

    def see(self, jobs: list[Job]) -> None:
        """Add up what the running workers and their children hold now."""
        pids = [job.process.pid for job in jobs if job.process is not None and job.running]
        self.peak_bytes = max(self.peak_bytes, sum(_resident(pid) for pid in pids))


def python_job(name: str, module: str, arguments: list[str], folder: Path, configuration: Configuration) -> Job:
    """A job that runs a Python module and logs to folder/worker.log."""
    return Job(name, [sys.executable, "-m", module, *arguments], folder / "worker.log", environment(configuration))


def environment(configuration: Configuration) -> dict[str, str]:
    """The worker's environment: this command's, without the rank of an outer launcher, and `settings`."""
    foreign = {key for key in os.environ if key in RANK_VARIABLES or key.startswith(RANK_PREFIXES)}
    return {key: value for key, value in os.environ.items() if key not in foreign} | settings(configuration)


def settings(configuration: Configuration) -> dict[str, str]:
    """What a worker is told by its environment: threads as configured, and no network that it does not need."""
    threads = str(configuration.hardware.threads)
    variables = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
    variables |= {"PYTHONUNBUFFERED": "1"}
    if configuration.hardware.device == "cpu":
        variables["DS_ACCELERATOR"] = "cpu"  # else DeepSpeed looks for one, and says so
    if configuration.logger.name != "wandb":
        variables["WANDB_MODE"] = "disabled"
    source = configuration.data.source
    asks = any(one.download for one in (configuration.suite, *configuration.suites.values()))
    if not asks and not is_hub_id(configuration.model.path) and (source == "world" or Path(source).exists()):
        variables |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return variables


def run_pool(jobs: list[Job], workers: int, display: Display, usage: Usage) -> None:
    """Run `jobs`, `workers` at a time; KeyboardInterrupt on Ctrl-C.

    After a failure the running ones go on to their ends, no other starts, and WorkerFailed says what went wrong. On
    SIGUSR1, which is passed on, and on SIGALRM, no other starts either, and Stopped is raised once the running ones
    have ended.
    """
    waiting, started, told = list(jobs), list[Job](), False
    with _interruptible() as seen:
        while (waiting and not _closed(started, seen)) or any(job.running for job in started):
            while waiting and not _closed(started, seen) and sum(job.running for job in started) < workers:
                started.append(_start(waiting.pop(0)))
            time.sleep(POLL_SECONDS)
            usage.see(started)
            display.update(jobs)
            if {signal.SIGINT, signal.SIGTERM} & set(seen):
                _stop([job for job in started if job.running])
                raise KeyboardInterrupt
            if seen and not told:
                told = _ask([job for job in started if job.running])
    failed = [job for job in started if job.failed]
    if failed:
        raise _failure(failed)
    if seen or any(job.stopped for job in started):
        raise Stopped


def _closed(jobs: list[Job], seen: list[int]) -> bool:
    """Whether no other job starts: one failed or stopped, or this command was asked to."""
    return bool(seen) or any(job.failed or job.stopped for job in jobs)


def _ask(jobs: list[Job]) -> bool:
    """Ask those that can to stop after their present step, and end the others: they measure, and save as they go."""
    print("\nasked to stop: the runs save at the end of their step", file=sys.stderr, flush=True)
    for job in jobs:
        if job.stops:
            stop.ask(job.log.parent)
        else:
            job.ended = True
    _end([job for job in jobs if job.ended])
    return True


def _start(job: Job) -> Job:
    """Start the job in a process group of its own; on Linux it dies with this process."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    if job.stops:
        stop.forget(job.log.parent)
    job.log_start = job.log.stat().st_size if job.log.exists() else 0
    with job.log.open("ab") as log:
        job.process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=job.environment,
            process_group=0,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    return job


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM, SIGUSR1 and SIGALRM in a list instead of raising wherever we are."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before = {number: signal.signal(number, note) for number in COLLECTED}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(jobs: list[Job]) -> None:
    """End the workers, and say so."""
    print("\nstopping: waiting for the workers to save", file=sys.stderr, flush=True)
    _end(jobs)


def _end(jobs: list[Job]) -> None:
    """Ask the workers to end, wait for them to write what they have, then insist."""
    for number, patience in ((signal.SIGINT, PATIENCE_SECONDS), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        running = [job for job in jobs if job.running]
        for job in running:
            _signal(job, number)
        deadline = time.monotonic() + patience
        while any(job.running for job in running) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _signal(job: Job, number: int) -> None:
    try:
        os.killpg(job.process.pid, number)  # type: ignore[union-attr]
    except ProcessLookupError:
        return


def _failure(failed: list[Job]) -> WorkerFailed:
    """What went wrong: a worker's own message where it had one, else its log's last lines."""
    for job in failed:
        if first := ranks.first_failure(job.log.parent, log_tail(job, 200)):
            return WorkerFailed(f"{job.name}: {first[1]}\nits log is {job.log}", code=first[0])
    mistakes = [job for job in failed if job.process is not None and job.process.returncode == 2]
    if mistakes:
        text = log_tail(mistakes[0], 12)
        return WorkerFailed(text[text.rfind("error: ") + len("error: ") :] if "error: " in text else text, code=2)
    job = failed[0]
    full = full_disk(job.log.parent)  # then the log could not say so
    if full:
        return WorkerFailed(str(full), code=2)
    code = job.process.returncode if job.process is not None else None
    return WorkerFailed(f"{job.name} ended with code {code}; its log is {job.log}\n{log_tail(job, 15)}")


def log_tail(job: Job, lines: int) -> str:
    """The last `lines` that this start of the job wrote; a bar drawn over itself counts once."""
    if not job.log.exists():
        return ""
    with job.log.open("rb") as file:
        file.seek(max(job.log_start, job.log.stat().st_size - 20_000))
        text = file.read().decode("utf-8", errors="replace")
    drawn = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return "\n".join([line for line in drawn if line][-lines:])


def _resident(pid: int) -> int:
    """Resident bytes of a process and all its descendants."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total
