"""What happens beside training, the same in every arm: records, sealed checkpoints, an evaluation of each."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from train import checkpoints
from train.records import Records


class Hooks(TrainerCallback):
    """Records each step; at each save seals the checkpoint under its final name and has it evaluated."""

    def __init__(
        self, records: Records, folder: Path, updates_per_step: int, evaluate: Callable[[Any, int], None]
    ) -> None:
        self.records, self.folder, self.updates, self.evaluate = records, folder, updates_per_step, evaluate

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.records.start_clock()

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if logs is None or "train_runtime" in logs or state.global_step % self.updates:
            return
        numbers = {k: v for k, v in logs.items() if isinstance(v, int | float) and math.isfinite(v)}
        self.records.step(state.global_step // self.updates, state.global_step, numbers)

    def on_save(self, args, state, control, model=None, **kwargs) -> None:
        self.records.stop_clock()
        step = state.global_step // self.updates
        if state.is_world_process_zero:
            final = self.folder / "checkpoints" / checkpoints.name(step)
            if final.exists():
                shutil.rmtree(final)
            checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", final)
            self.evaluate(model, step)
        self.records.start_clock()
