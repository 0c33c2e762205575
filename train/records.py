"""What a run leaves behind while it trains: metrics.jsonl, ledger.jsonl and samples.jsonl, one object a step."""

import resource
from pathlib import Path
from typing import Any

from conf.files import append_jsonl, read_jsonl, write_text
from train import processes
from train.ledger import Entry, Ledger
from train.trackers import Mirror

FILES = ("metrics.jsonl", "ledger.jsonl", "samples.jsonl")


class Records:
    """The three files of one run, cut back to the checkpoint it goes on from. Process 0 alone writes them."""

    def __init__(
        self, folder: Path, resumed_at: int, ledger: Ledger | None = None, mirror: Mirror | None = None
    ) -> None:
        """Without a `ledger` it begins at nothing, and counts no FLOPs; without a `mirror` no tracker is told."""
        self.folder = folder
        self.resumed_at = resumed_at
        self.ledger = ledger or Ledger({}, None)
        self.mirror = mirror or Mirror(folder)
        self.writes = processes.rank() == 0
        for file in FILES if self.writes else ():
            rewind(folder / file, resumed_at)

    def step(self, step: int, updates: int, metrics: dict[str, Any]) -> Entry:
        """Book one finished step, in every process; its ledger entry."""
        entry = self.ledger.close(step, updates, peak_memory(), processes.gathered)
        numbers = {key: value for key, value in metrics.items() if value == value}  # no NaN in JSON
        row = {"step": step, "seconds": round(entry["seconds"], 3), **numbers}
        self._append("metrics.jsonl", row)
        self._append("ledger.jsonl", entry)
        self.mirror.step(step, row, entry)
        return entry

    def sample(self, row: dict[str, Any]) -> None:
        self._append("samples.jsonl", row)

    def _append(self, file: str, row: dict[str, Any]) -> None:
        if self.writes:
            append_jsonl(self.folder / file, row)


def rewind(path: Path, step: int) -> None:
    """Drop what was written after `step`."""
    rows = read_jsonl(path)
    if any(row["step"] > step for row in rows):
        write_text(path, "")
        for row in rows:
            if row["step"] <= step:
                append_jsonl(path, row)


def peak_memory() -> int:
    """Bytes: of the device where there is one, of this process otherwise."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Measure the device's peak anew, so that an evaluation's is not taken for training's."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
