"""A run that is asked to stop: by SIGUSR1, or by a file in its folder. It saves at the end of a step and ends with 75.

Slurm's warning before the time limit comes this way (launch/slurm.py). The file asks a run of many processes on several
machines, without a signal to each; any process's signal is all processes', too. No torch here.
"""

import os
import signal
import time
from pathlib import Path
from types import FrameType

from conf.files import read_json, write_json
from train import checkpoints, processes

CODE = 75  # EX_TEMPFAIL of sysexits.h: what was begun can be gone on with
ASKED = "stop"  # in a run's folder: it is asked to stop
STOPPED = "stopped.json"  # it did
_signals: list[int] = []


def listen() -> None:
    """From now on SIGUSR1 asks this process to stop, and does not end it."""

    def note(number: int, frame: FrameType | None) -> None:
        _signals.append(number)

    signal.signal(signal.SIGUSR1, note)


def ask(folder: Path) -> None:
    """Ask the run in `folder` to stop."""
    (folder / ASKED).touch()


def asked(folder: Path) -> bool:
    """Whether any process of the run in `folder` was asked; every process must come here."""
    here = bool(_signals) or processes.rank() == 0 and (folder / ASKED).exists()
    return any(own[0] for own in processes.gathered([int(here)]))


def forget(folder: Path) -> None:
    """Before a start: what was asked and noted before is no more."""
    for name in (ASKED, STOPPED):
        (folder / name).unlink(missing_ok=True)


def note(folder: Path) -> None:
    """Say that the run in `folder` stopped as it was asked to, and after which step."""
    saved = [checkpoints.step_of(path) for path in (folder / "checkpoints").glob("step-*")]
    write_json(folder / STOPPED, {"step": max(saved, default=0), "time": time.time()})
    (folder / ASKED).unlink(missing_ok=True)


def noted(folder: Path) -> int | None:
    """The step after which the run in `folder` stopped as it was asked to; None where it did not."""
    return int(read_json(folder / STOPPED)["step"]) if (folder / STOPPED).exists() else None


def code(folder: Path) -> int:
    """What a process of a run that did not fail ends with. torchrun takes anything but 0 for a failure, so there the
    note alone says it."""
    alone = "TORCHELASTIC_RUN_ID" not in os.environ
    return CODE if alone and noted(folder) is not None else 0
