"""Runs in several processes through the real launchers, for tests: started, killed, and started again."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil

from conf.schema import Configuration
from launch.progress import Lines
from launch.training import training_job
from launch.workers import Job, Usage, run_pool

SECONDS = 240  # after which a run hangs


def launched(configuration: Configuration, folder: Path) -> None:
    """Train the run in `folder` as the command line does; WorkerFailed where it ends badly."""
    run_pool([training_job(folder, configuration)], 1, Lines(0), Usage())


def killed_at(configuration: Configuration, folder: Path, step: int) -> list[psutil.Process]:
    """`launched`, but process 1 is killed as soon as the checkpoint of `step` stands; the processes there were."""
    started, found = training_job(folder, configuration), list[psutil.Process]()
    checkpoint = folder / "checkpoints" / f"step-{step:06d}"
    killer = threading.Thread(target=_kill, args=(started, checkpoint, found), daemon=True)
    killer.start()
    try:
        run_pool([started], 1, Lines(0), Usage())
    finally:
        killer.join(SECONDS)
    return found


def _kill(started: Job, checkpoint: Path, found: list[psutil.Process]) -> None:
    deadline = time.monotonic() + SECONDS
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if started.process is None or not started.running:
        return
    found += psutil.Process(started.process.pid).children(recursive=True)
    second = next(one for one in found if one.environ().get("RANK") == "1")
    os.kill(second.pid, signal.SIGKILL)
