"""Which checkpoints stay: the last whole, every so many steps the model alone. Nothing goes before it is scored."""

import sys
from collections.abc import Callable
from pathlib import Path

from conf.files import write_json
from conf.schema import Train
from models import seal
from train import checkpoints


def thin(folder: Path, train: Train, scored: Callable[[int], bool], compared: int = 0) -> None:
    """Thin out the checkpoints under `folder` as `train` says; the newest must be sealed already.

    Older ones than the last `save_total_limit` lose what only a run going on needs; then those go that are `scored`
    and of no `keep_every`-th step, nor the `compared` one. What cannot be removed is told, and stays.
    """
    if not train.save_total_limit:
        return
    for checkpoint in sorted(folder.glob("step-*"))[: -train.save_total_limit]:
        step = checkpoints.step_of(checkpoint)
        try:
            strip(checkpoint)
            if not kept(step, train) and step != compared and scored(step):
                checkpoints.remove(checkpoint)
        except OSError as error:
            print(f"{checkpoint} could not be removed: {error.strerror}", file=sys.stderr, flush=True)


def kept(step: int, train: Train) -> bool:
    """Whether the model of this step stays for good, be it old or not."""
    return bool(train.keep_every) and step % train.keep_every == 0


def at_most(train: Train, total_steps: int = 0) -> tuple[int, int]:
    """(whole checkpoints, models alone) that one run of `total_steps` (train.steps, unless given) has on the disk at
    the most, scored as soon as they are saved: the new one is written before an old one goes."""
    total = max(train.steps, total_steps)
    steps = sorted({*range(train.save_steps, total, train.save_steps), train.steps, total})
    whole = train.save_total_limit + 1 if train.save_total_limit else len(steps)
    left = [step for step in steps[:-whole] if kept(step, train) or step == train.steps]
    return len(steps[-whole:]), len(left)


def strip(checkpoint: Path) -> None:
    """Leave the model alone: optimizer, random states, shards and a critic go. Cut in the middle, it is done again."""
    found = seal.read(checkpoint)
    if found is None:  # damaged, and no business of this
        return
    model = set(seal.of_model(checkpoint))
    if model != set(found["bytes"]):
        left = {key: {name: one for name, one in found[key].items() if name in model} for key in ("bytes", "sha256")}
        write_json(checkpoint / seal.SEAL, found | left | {"resumes": False})
    for file in sorted(checkpoint.rglob("*"), reverse=True):  # what lies in a folder before the folder
        if file.is_dir():
            file.rmdir()
        elif file.relative_to(checkpoint).as_posix() not in model | set(seal.LATER):
            file.unlink()
