"""Going on with another number of processes than saved: DDP's state is whole, ZeRO's is put together and cut anew.

DeepSpeed's universal checkpoint (deepspeed.checkpoint.ds_to_universal) makes files of whole parameters of its shards.
What each process drew from random streams of its own is not carried over; docs/checkpoints.md says what that touches.
"""

import io
import shutil
from argparse import Namespace
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from conf.errors import UserError
from conf.schema import Configuration
from train import checkpoints, processes

TAG = "latest"  # DeepSpeed's, in a checkpoint: the folder of its shards


def check(configuration: Configuration, wrote: int, now: int) -> None:
    """UserError where DeepSpeed would not restore what a checkpoint holds to another number of processes: in stage 3 it
    gives every group of parameters the rate and the weight decay of the first."""
    train, recipe = configuration.train, configuration.recipe
    rates = recipe.w == "critic_advantage" and recipe.value_learning_rate != recipe.learning_rate
    if wrote == now or configuration.hardware.zero_stage != 3 or not (train.weight_decay or rates):
        return
    given = f"{now} processes, and the checkpoint was written by {wrote} processes under hardware.zero_stage=3"
    cause = f"train.weight_decay={train.weight_decay:g}" if train.weight_decay else "the critic's own learning rate"
    why = f"DeepSpeed would go on with one rate and weight decay for all parameters, and {cause} makes them differ"
    raise UserError(given, why, f"set hardware.processes={wrote}, or begin anew under another experiment.name")


def readable(checkpoint: Path, trainer: Any) -> Path:
    """The folder to go on from: the checkpoint, or one made of it where another number of processes wrote it under
    ZeRO, which `checkpoints.clear` removes. Every process comes here."""
    if checkpoints.processes_of(checkpoint) == processes.count() or not trainer.is_deepspeed_enabled:
        return checkpoint
    made = checkpoint.parent / checkpoints.UNIVERSAL
    if processes.rank() == 0:
        shutil.rmtree(made, ignore_errors=True)
        _convert(checkpoint, made)
    processes.wait()
    trainer.accelerator.state.deepspeed_plugin.deepspeed_config["checkpoint"] = {"load_universal": True}
    return made


def _convert(checkpoint: Path, made: Path) -> None:
    """Whole parameters and their optimizer state of the shards in `checkpoint`; its other files as links."""
    from deepspeed.checkpoint import ds_to_universal

    tag = (checkpoint / TAG).read_text().strip()
    (made / tag).mkdir(parents=True)
    for file in checkpoint.iterdir():
        if file.name not in (tag, TAG):
            (made / file.name).symlink_to(file.absolute())
    (made / f"{TAG}_universal").write_text(tag)
    given = {"input_folder": str(checkpoint / tag), "output_folder": str(made / tag), "keep_temp_folder": False}
    given |= {"num_extract_workers": 1, "num_merge_workers": 1, "strict": True, "inject_missing_state": True}
    with redirect_stdout(io.StringIO()):
        ds_to_universal.main(Namespace(**given))
