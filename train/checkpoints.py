"""Checkpoints as folders that are whole or absent: written aside, sealed with their digests, synced, renamed."""

import os
import re
import shutil
from pathlib import Path

from conf.files import sync_folder, write_json
from models import seal as seals
from train import processes

UNIVERSAL = ".universal"  # beside the checkpoints: one made of them for another number of processes
OF_RANK = re.compile(r"(?:zero_pp_rank|rng_state)_(\d+)[_.]")  # what each process writes, by DeepSpeed and transformers


def name(step: int) -> str:
    return f"step-{step:06d}"


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def own(names: list[str]) -> list[str]:
    """Those of a checkpoint's files that this process wrote, or, where fewer processes go on, its share of them."""
    count, rank = processes.count(), processes.rank()
    numbers = {name: OF_RANK.search(name.rpartition("/")[2]) for name in names}
    return [name for name, found in numbers.items() if (int(found[1]) if found else 0) % count == rank]


def seal(written: Path, final: Path) -> None:
    """Make a finished checkpoint visible: record every file's size and SHA-256, sync, rename. Every process comes here,
    and digests what it wrote, which is still in its machine's memory."""
    mine = seals.digests(written, own(seals.files(written)), sync=True)
    sizes = {name: (written / name).stat().st_size for name in mine}
    found = processes.collected((sizes, mine))
    if processes.rank() != 0:
        return
    parts = [dict(sorted(pair for own in one for pair in own.items())) for one in zip(*found, strict=True)]
    write_json(written / seals.SEAL, {"bytes": parts[0], "sha256": parts[1], "processes": processes.count()})
    for folder in {written, *((written / name).parent for name in parts[0])}:
        sync_folder(folder)
    if final.exists():
        remove(final)
    os.replace(written, final)
    sync_folder(final.parent)


def remove(checkpoint: Path) -> None:
    """Take a checkpoint away; one that is cut while it goes is none."""
    aside = _free(checkpoint.with_name(f".removed-{checkpoint.name}"))
    checkpoint.rename(aside)
    shutil.rmtree(aside)


def drop_between(folder: Path, step: int, save_steps: int, kept: int = 0) -> None:
    """Remove what runs that were asked to stop saved before `step`, which is sealed, between the steps that save; not
    that of step `kept`."""
    for checkpoint in folder.glob("step-*"):
        if step_of(checkpoint) < step and step_of(checkpoint) % save_steps and step_of(checkpoint) != kept:
            remove(checkpoint)


def clear(folder: Path) -> None:
    """Remove what a cut save and a cut removal left under `folder`; one process does it for all."""
    if processes.rank() == 0:
        for left in (folder / ".writing", folder / UNIVERSAL, *folder.glob(".removed-*")):
            shutil.rmtree(left, ignore_errors=True)


def processes_of(checkpoint: Path) -> int:
    """How many processes wrote it."""
    return int((seals.read(checkpoint) or {"processes": 1})["processes"])


def latest(folder: Path) -> tuple[int, Path] | None:
    """The last whole checkpoint under `folder`; damaged ones are named, set aside, and the one before is taken.

    Every process comes here and reads its share of the files; the first sets aside what any of them found damaged.
    """
    found = [path for path in sorted(folder.glob("step-*"), reverse=True) if _resumes(path)]
    for checkpoint in processes.collected(found)[0]:
        reason = _fault(checkpoint)
        if reason is None:
            return step_of(checkpoint), checkpoint
        if processes.rank() == 0:
            _set_aside(checkpoint, reason)
    return None


def _resumes(checkpoint: Path) -> bool:
    """Whether a run can go on from it, as far as its seal says; of an old one the model alone may be left."""
    return bool((seals.read(checkpoint) or {"resumes": True})["resumes"])


def _fault(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used, the same in every process; None where it is whole."""
    recorded = (seals.read(checkpoint) or {"bytes": {}})["bytes"]
    reason = seals.cut(checkpoint) or seals.changed(checkpoint, own(list(recorded)))
    return next((one for one in processes.collected(reason) if one), None)


def _set_aside(checkpoint: Path, reason: str) -> None:
    aside = _free(checkpoint.with_name(f"damaged-{checkpoint.name}"))
    print(f"checkpoint {checkpoint} is damaged ({reason}): set aside as {aside.name}, going on before it", flush=True)
    checkpoint.rename(aside)


def _free(path: Path) -> Path:
    """`path`, or with underscores at its end, where nothing is."""
    while path.exists():
        path = path.with_name(path.name + "_")
    return path
