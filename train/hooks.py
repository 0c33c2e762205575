"""What happens beside training, the same in every arm: records, sealed checkpoints, an evaluation of each."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from conf.files import write_json
from train import checkpoints, ledger, lock, processes, stop
from train.records import Records, forget_peak


class Hooks(TrainerCallback):
    """Records each step, saves a checkpoint where `spent` says that the budget ends, and ends the run where `over` says
    so; at each save seals the checkpoint under its final name and has it measured. `beyond`: the budget has ended."""

    def __init__(
        self,
        records: Records,
        folder: Path,
        updates_per_step: int,
        evaluate: Callable[[Any, int, bool], None],
        spent: Callable[[ledger.Entry], bool],
        over: Callable[[ledger.Entry], bool],
        beyond: bool,
    ) -> None:
        self.records, self.folder, self.updates = records, folder, updates_per_step
        self.evaluate, self.spent, self.over, self.beyond = evaluate, spent, over, beyond

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.records.ledger.start_clock()

    def on_step_end(self, args, state, control, optimizer=None, **kwargs) -> None:
        if state.global_step == 1:
            lock.keep_optimizer(self.folder, optimizer, write=state.is_world_process_zero)

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if logs is None or "train_runtime" in logs or state.global_step % self.updates:
            return
        numbers = {k: v for k, v in logs.items() if isinstance(v, int | float) and math.isfinite(v)}
        entry = self.records.step(state.global_step // self.updates, state.global_step, numbers)
        if self.spent(entry) and not self.beyond:
            control.should_save = True
        if self.over(entry):
            control.should_save = control.should_training_stop = True

    def on_save(self, args, state, control, model=None, **kwargs) -> None:
        processes.wait()  # each process writes its random state into the checkpoint
        step = state.global_step // self.updates
        self._seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", step)
        processes.wait()  # for the one that renames it
        last = self.spent(self.records.ledger.entry) and not self.beyond
        self.beyond = self.beyond or last
        self.evaluate(model, step, last)
        processes.wait()  # for those that still measure, off the clock
        forget_peak()
        self.records.ledger.start_clock()  # neither saving nor evaluating is training

    def _seal(self, written: Path, step: int) -> None:
        """Every process comes here once all have written."""
        if processes.rank() == 0:
            write_json(written / ledger.FILE, self.records.ledger.entry)
        processes.wait()
        checkpoints.seal(written, self.folder / "checkpoints" / checkpoints.name(step))


class Stop(TrainerCallback):
    """Saves at the end of the step in which the run was asked to stop, and ends the training there."""

    def __init__(self, folder: Path, updates_per_step: int) -> None:
        self.folder, self.updates, self.now = folder, updates_per_step, False

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.global_step % self.updates == 0 and stop.asked(self.folder):
            self.now = control.should_save = control.should_training_stop = True
