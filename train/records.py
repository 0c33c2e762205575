"""What a run leaves behind while it trains: metrics.jsonl, ledger.jsonl and samples.jsonl, one object a step."""

import resource
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conf.files import append_jsonl, read_jsonl, write_text

FILES = ("metrics.jsonl", "ledger.jsonl", "samples.jsonl")


@dataclass
class Totals:
    """Cumulative over the whole run, resumes included; tokens count every response, not the prompt's single reading."""

    prompts_shown: int = 0
    completions: int = 0
    tokens_prompted: int = 0  # prompt tokens, once a response
    tokens_generated: int = 0  # sampled by the policy; 0 for a teacher arm
    tokens_trained: int = 0  # response tokens with a loss, end tokens included
    optimizer_updates: int = 0
    seconds: float = 0.0  # of training and generating, evaluation left out

    def add(self, *, prompts: int, prompted: Iterable[int], responded: Iterable[int], generated: bool) -> None:
        """One batch: numbers of tokens of every prompt and response in it."""
        responses = list(responded)
        self.prompts_shown += prompts
        self.completions += len(responses)
        self.tokens_prompted += sum(prompted)
        self.tokens_generated += sum(responses) if generated else 0
        self.tokens_trained += sum(responses)


class Records:
    """The three files of one run, cut back to the checkpoint it goes on from."""

    def __init__(self, folder: Path, resumed_at: int) -> None:
        self.folder = folder
        self.resumed_at = resumed_at
        for file in FILES:
            rewind(folder / file, resumed_at)
        ledger = read_jsonl(folder / "ledger.jsonl")
        known = {key: value for key, value in (ledger[-1] if ledger else {}).items() if key in Totals.__annotations__}
        self.totals = Totals(**known)
        self._clock: float | None = None

    def start_clock(self) -> None:
        self._clock = time.monotonic()

    def stop_clock(self) -> None:
        """Book the seconds since the clock was started."""
        if self._clock is not None:
            self.totals.seconds += time.monotonic() - self._clock
            self._clock = None

    def step(self, step: int, updates: int, metrics: dict[str, Any]) -> None:
        """Book one finished step."""
        self.stop_clock()
        self.start_clock()
        self.totals.optimizer_updates = updates
        seconds = round(self.totals.seconds, 3)
        numbers = {key: value for key, value in metrics.items() if value == value}  # no NaN in JSON
        append_jsonl(self.folder / "metrics.jsonl", {"step": step, "seconds": seconds, **numbers})
        totals = asdict(self.totals) | {"seconds": seconds}
        append_jsonl(self.folder / "ledger.jsonl", {"step": step, **totals, "peak_memory_bytes": peak_memory()})

    def sample(self, row: dict[str, Any]) -> None:
        append_jsonl(self.folder / "samples.jsonl", row)


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
