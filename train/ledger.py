"""What a run has cost, counted alike in every arm and over all its processes, cumulative across resumes. No torch here.

Trainers book what their process did; at the end of a step the bookings of all processes are added up. Each count is
defined in docs/budgets.md.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conf.errors import UserError
from conf.files import read_json, read_jsonl
from conf.schema import Configuration
from evaluation.spending import last_step, limit_reached, spent
from models import flops
from models.flops import Row, Shape

# added up over processes
COUNTS = (
    *("prompts_shown", "completions", "tokens_prompted", "tokens_generated", "tokens_trained"),
    *("flops_generate", "flops_score", "flops_train"),
)
FLOPS = COUNTS[-3:]
TIMES = ("seconds", "seconds_generate", "seconds_reward")  # of the slowest process
TICKS = 10**6  # a second; times are gathered as whole numbers
NO_TARGETS = {
    "targets_responses": 0,
    "targets_rejected": 0,
    "targets_tokens_prompted": 0,
    "targets_tokens_generated": 0,
    "targets_flops": 0,
    "targets_seconds": 0.0,
    "targets_device_seconds": 0.0,
}

FILE = "ledger.json"  # in a checkpoint
Entry = dict[str, Any]  # one object of ledger.jsonl
Gather = Callable[[list[int]], list[list[int]]]


class Ledger:
    """The cumulative entry of one run, and what this process has booked since."""

    recomputed = False  # whether training runs with gradient checkpointing

    def __init__(self, entry: Entry, shape: Shape | None) -> None:
        """`entry`: of the checkpoint to go on from, or what is known at the start; `shape` None leaves FLOPs null."""
        unknown = dict.fromkeys((*FLOPS, "flops")) if shape is None else {"flops": 0}
        zeros = dict.fromkeys((*COUNTS, "optimizer_updates", "peak_memory_bytes"), 0)
        times = dict.fromkeys((*TIMES, "device_seconds"), 0.0)
        self.entry: Entry = {"step": 0, **zeros, **unknown, **times, **NO_TARGETS, **entry}
        self.shape = shape
        self._booked: dict[str, float] = dict.fromkeys((*COUNTS, *TIMES), 0)
        self._clock: float | None = None

    def start_clock(self) -> None:
        """Count seconds from now; what was not closed is dropped."""
        self._clock = time.monotonic()

    def show(self, prompts: int, rows: Sequence[Row]) -> None:
        """Prompts drawn from the stored order (booked by one process), and this process's responses to them."""
        self._booked["prompts_shown"] += prompts
        self._booked["completions"] += len(rows)
        self._booked["tokens_prompted"] += sum(prompt for prompt, _ in rows)

    def generate(self, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> None:
        """Token ids of prompts and of the one response that was sampled for each."""
        self._booked["tokens_generated"] += sum(map(len, responses))
        if self.shape:
            self._booked["flops_generate"] += flops.generate(self.shape, prompts, responses)

    def score(self, rows: Iterable[Row]) -> None:
        """Rows sent through a model for log-probabilities alone."""
        if self.shape:
            self._booked["flops_score"] += flops.score(self.shape, rows)

    def train(self, rows: Sequence[Row], passes: int, learned: int) -> None:
        """Rows trained on, `passes` times; `learned` response tokens of them bear a loss."""
        self._booked["tokens_trained"] += passes * learned
        if self.shape:
            self._booked["flops_train"] += passes * flops.train(self.shape, rows, self.recomputed)

    def value(self, rows: Sequence[Row], passes: int, own_body: bool) -> None:
        """Rows whose values a critic gives once and learns `passes` times: with a body of its own it reads them alone,
        and on the policy's trunk the policy reads them once more for the first."""
        if self.shape:
            critic = flops.headless(self.shape)
            self._booked["flops_score"] += flops.score(critic, rows)
            self._booked["flops_train"] += passes * flops.train(critic, rows, self.recomputed) if own_body else 0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Book the seconds spent inside under `name`, one of TIMES."""
        start = time.monotonic()
        yield
        self._booked[name] += time.monotonic() - start

    def close(self, step: int, updates: int, peak_memory: int, gather: Gather) -> Entry:
        """The entry of a finished step, the same in every process; every process must call it."""
        now = time.monotonic()
        self._booked["seconds"] = now - (now if self._clock is None else self._clock)
        counts = [int(self._booked[name]) for name in COUNTS]
        times = [round(TICKS * self._booked[name]) for name in TIMES]
        self._add(gather([*counts, *times, peak_memory]))
        self.entry |= {"step": step, "optimizer_updates": updates}
        self._booked, self._clock = dict.fromkeys(self._booked, 0), now
        return dict(self.entry)

    def _add(self, processes: list[list[int]]) -> None:
        """Counts are added up; of times and of peak memory the greatest process's is the run's."""
        entry, columns = self.entry, dict(zip((*COUNTS, *TIMES, "peak"), zip(*processes, strict=True), strict=True))
        for name in COUNTS:
            entry[name] = None if entry[name] is None else entry[name] + sum(columns[name])
        for name in TIMES:
            entry[name] = round(entry[name] + max(columns[name]) / TICKS, 6)
        entry["device_seconds"] = round(entry["device_seconds"] + len(processes) * max(columns["seconds"]) / TICKS, 6)
        entry["peak_memory_bytes"] = max(entry["peak_memory_bytes"], *columns["peak"])
        if self.shape:
            entry["flops"] = sum(entry[name] for name in FLOPS)


def opening(configuration: Configuration, checkpoint: Path | None) -> Entry:
    """What the ledger begins with: the entry of the checkpoint that a run goes on from, or what its targets cost."""
    return dict(read_json(checkpoint / FILE)) if checkpoint else targets_cost(configuration)


def targets_cost(configuration: Configuration) -> Entry:
    """What it cost to make the targets of an arm that imitates them, as `make targets` has booked it; nulls where that
    does not know the teacher's size, or its devices."""
    if not configuration.imitates or not configuration.data.targets:
        return dict(NO_TARGETS)
    manifest = Path(configuration.data.targets) / "manifest.json"
    if not manifest.is_file():
        why = "there is no manifest.json in it, so what the targets cost is not known"
        raise UserError(
            f"data.targets={configuration.data.targets}", why, "set it to a folder that `make targets` made"
        )
    made: Mapping[str, Any] = read_json(manifest)["ledger"]
    cost, tokens = made["flops_generate"], made["tokens_prompted"] + made["tokens_generated"]
    if cost is None and made["teacher_parameters"]:
        cost = flops.of_parameters(made["teacher_parameters"], tokens)
    names = ("responses", "rejected", "tokens_prompted", "tokens_generated", "seconds", "device_seconds")
    return {**{f"targets_{name}": made[name] for name in names}, "targets_flops": cost}


def reached(entry: Mapping[str, Any], configuration: Configuration) -> bool:
    """Whether the budget's limit is spent."""
    return limit_reached(entry, configuration.budget)


def over(entry: Mapping[str, Any], configuration: Configuration) -> bool:
    """Whether the run ends: with its budget, or as far beyond as budget.overrun says."""
    steps = configuration.total_steps
    return entry["step"] >= steps or limit_reached(entry, configuration.budget, configuration.budget.overrun)


def compared(folder: Path, configuration: Configuration) -> int:
    """The step of the run in `folder` whose checkpoint is compared with others: the last within the budget."""
    path = folder / "ledger.jsonl"
    return last_step(read_jsonl(path) if path.exists() else [], configuration)


def check(entry: Mapping[str, Any], configuration: Configuration) -> None:
    """UserError where the budget's limit cannot be counted, or is spent before the first step."""
    budget = configuration.budget
    given = f"budget.match={budget.match} budget.limit={budget.limit:g} budget.count_targets={budget.count_targets}"
    if budget.limit and spent(entry, budget.match, False) is None:
        why = f"FLOPs of {configuration.model.path} cannot be counted: models/flops.py does not know its model_type"
        raise UserError(given, why, "set budget.match to prompts, trained_tokens or device_seconds")
    if budget.limit and spent(entry, budget.match, budget.count_targets) is None:
        why = f"what {configuration.data.targets} cost in {budget.match} is not known"
        change = "set targets.parameters for `make targets` where FLOPs count, or budget.count_targets=false"
        raise UserError(given, why, change)
    if entry["step"] == 0 and reached(entry, configuration):
        why = f"making {configuration.data.targets} alone has spent it, and nothing is left to train on"
        raise UserError(given, why, "raise budget.limit, or set budget.count_targets=false")
