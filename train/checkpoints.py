"""Checkpoints as folders that are whole or absent: written aside, sealed with their sizes, synced, renamed."""

import os
from pathlib import Path

from conf.errors import UserError
from conf.files import read_json, write_json
from train import processes

SEAL = "complete.json"


def name(step: int) -> str:
    return f"step-{step:06d}"


def seal(written: Path, final: Path) -> None:
    """Make a finished checkpoint visible: record every file's size and the number of processes, sync, rename."""
    files = {
        str(f.relative_to(written)): f.stat().st_size
        for f in sorted(written.rglob("*"))
        if f.is_file() and f.name != SEAL
    }
    for file in files:
        with (written / file).open("rb") as opened:
            os.fsync(opened.fileno())
    write_json(written / SEAL, {"bytes": files, "processes": processes.count()})
    os.replace(written, final)


def fault(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used, or None."""
    if not (checkpoint / SEAL).is_file():
        return f"{SEAL} is missing"
    for file, size in read_json(checkpoint / SEAL)["bytes"].items():
        path = checkpoint / file
        if not path.is_file():
            return f"{file} is missing"
        if path.stat().st_size != size:
            return f"{file} has {path.stat().st_size} of {size} bytes"
    return None


def check_processes(checkpoint: Path) -> None:
    """UserError where another number of processes wrote it than go on from it now."""
    wrote = read_json(checkpoint / SEAL).get("processes", 1)
    if wrote != processes.count():
        given = f"{processes.count()} processes, and {checkpoint} was written by {wrote}"
        why = "each process goes on from its own random state and, under ZeRO, its own shard of the optimizer"
        raise UserError(given, why, f"set hardware.processes={wrote}, or begin anew under another experiment.name")


def latest(folder: Path) -> tuple[int, Path] | None:
    """The last whole checkpoint under `folder`; damaged ones are named, set aside, and the one before is taken.

    Of several processes the first sets them aside, and the others pass them over.
    """
    for checkpoint in sorted(folder.glob("step-*"), reverse=True):
        reason = fault(checkpoint)
        if reason is None:
            return int(checkpoint.name.removeprefix("step-")), checkpoint
        if processes.rank() != 0:
            continue
        aside = checkpoint.with_name(f"damaged-{checkpoint.name}")
        print(
            f"checkpoint {checkpoint} is damaged ({reason}): set aside as {aside.name}, going on before it",
            flush=True,
        )
        while aside.exists():
            aside = aside.with_name(aside.name + "_")
        checkpoint.rename(aside)
    return None
