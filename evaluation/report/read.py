"""What the report reads: the files of an experiment's folder, and the sweep that chose its learning rates."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import conf
from conf import freeze
from conf.errors import UserError
from conf.files import read_json, read_jsonl
from conf.schema import Configuration
from data import skills as natural
from data.skills import tiny
from evaluation import skills
from evaluation.scores import GREEDY, ItemScores, item_scores

SCORED = ("benchmark", "group", "item", "sample", "outcome")
SHOWN = ("benchmark", "group", "item", "prompt", "reference", "response", "outcome")


@dataclass(frozen=True)
class Evaluation:
    """One scores.json and the items.parquet beside it."""

    folder: Path
    scores: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.scores["step"])

    @cached_property
    def cost(self) -> dict[str, Any]:
        """What the evaluation took, further suites and functions included, from the files beside the scores.

        Empty where there are none.
        """
        files = [self.folder / "ledger.json", *self.folder.glob("suites/*/ledger.json")]
        costs = [found for file in files if (found := _json(file))]
        results = [*self.folder.glob("functions/*/result.json"), *self.folder.glob("drift/*/result.json")]
        seconds = [float(read_json(file)["seconds"]) for file in results]
        if not costs:
            return {}
        keys = ("responses", "tokens_generated", "flops_generate")
        known = {key: [cost[key] for cost in costs if cost[key] is not None] for key in keys}
        return {key: sum(found) if found else None for key, found in known.items()} | {
            "seconds": sum(cost["seconds"] for cost in costs) + sum(seconds)
        }

    @cached_property
    def suites(self) -> dict[str, "Evaluation"]:
        """Further suites by name."""
        found = {path.name: _evaluation(path) for path in sorted(self.folder.glob("suites/*"))}
        return {name: one for name, one in found.items() if one is not None}

    @cached_property
    def few_shots(self) -> "Evaluation | None":
        """The same model with worked examples before each prompt, where that was evaluated."""
        return _evaluation(self.folder / "few_shots")

    @cached_property
    def functions(self) -> dict[str, dict[str, float]]:
        """What each function of hooks.functions returned, by its name."""
        return {
            path.parent.name: read_json(path)["values"] for path in sorted(self.folder.glob("functions/*/result.json"))
        }

    @cached_property
    def drift(self) -> dict[str, dict[str, Any]]:
        """What each measure of drift (evaluation/drift.py) found, by its name."""
        return {path.parent.name: read_json(path)["values"] for path in sorted(self.folder.glob("drift/*/result.json"))}

    def greedy_length(self, benchmarks: set[str]) -> float | None:
        """Mean tokens of the greedy responses to the items of `benchmarks`; None where there are none."""
        columns = ["benchmark", "sample", "completion_tokens"]
        table = pq.read_table(self.folder / "items.parquet", columns=columns, filters=[("sample", "=", GREEDY)])
        rows = zip(table["benchmark"].to_pylist(), table["completion_tokens"].to_pylist(), strict=True)
        found = [tokens for benchmark, tokens in rows if benchmark in benchmarks]
        return sum(found) / len(found) if found else None

    @cached_property
    def items(self) -> dict[str, ItemScores]:
        """Per benchmark, item by item."""
        return item_scores(pq.read_table(self.folder / "items.parquet", columns=list(SCORED)))

    @cached_property
    def skills(self) -> dict[str, skills.Answers]:
        """Answers to the skills' items by their form, of this suite and of further ones; empty where it has none."""
        found: dict[str, skills.Answers] = {}
        for one in (*self.suites.values(), self):
            names = [name for name in one.scores["benchmarks"] if name in natural.BENCHMARKS | tiny.BENCHMARKS]
            if names:
                only = [("benchmark", "in", names), ("sample", "=", GREEDY)]
                path = one.folder / "items.parquet"
                table = pq.read_table(path, columns=list(skills.COLUMNS), filters=only)
                found |= skills.answers(table.to_pydict())
        return found

    def greedy_responses(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(benchmark, item) -> the row of its greedy response."""
        rows = pq.read_table(
            self.folder / "items.parquet", columns=list(SHOWN), filters=[("sample", "=", GREEDY)]
        ).to_pylist()
        return {(row["benchmark"], row["item"]): row for row in rows}


@dataclass(frozen=True)
class Run:
    """One arm at one seed; evaluations in order of their steps, at least one."""

    arm: str
    seed: int
    configuration: Configuration
    manifest: dict[str, Any]
    ledger: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    evaluations: list[Evaluation]

    @property
    def last(self) -> Evaluation:
        return self.evaluations[-1]


@dataclass(frozen=True)
class Experiment:
    folder: Path
    name: str
    base: Evaluation
    runs: list[Run]  # arms in the order of experiment.arms, seeds ascending
    lock: dict[str, Any]
    data: dict[str, Any]  # data/manifest.json
    sweep: dict[str, Any] | None
    sweep_digest: str  # sha256 of its file
    audit: dict[str, Any]  # audit.json; empty where there is none
    unread: list[str] = field(default_factory=list)  # runs left out, and why
    failed: list[dict[str, Any]] = field(default_factory=list)  # measurements: where, and what failed.json says

    @property
    def arms(self) -> dict[str, list[Run]]:
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.arm, []).append(run)
        return found


def read_experiment(folder: Path) -> Experiment:
    """Everything under `folder` that the report speaks of; UserError where base or arms were never evaluated."""
    base = _evaluation(folder / "base" / "evaluation")
    if base is None:
        raise _nothing(folder, "base/evaluation/scores.json")
    runs, unread = [], []
    for path in sorted(folder.glob("arms/*/seed-*")):
        run = _run(path)
        if run is None:
            unread.append(f"{path.parent.name}, {path.name}: no finished evaluation or no config.yaml")
        else:
            runs.append(run)
    if not runs:
        raise _nothing(folder, "arms/*/seed-*/evaluation/step-*/scores.json")
    order = runs[0].configuration.experiment.arms
    runs.sort(key=lambda run: (order.index(run.arm) if run.arm in order else len(order), run.arm, run.seed))
    name = runs[0].configuration.experiment.name
    lock, data = _json(folder / "lock.json"), _json(folder / "data" / "manifest.json")
    chosen = _sweep(folder, name, runs[0].configuration.budget.match)
    sweep, digest = (dict(read_json(chosen)), freeze.digest(chosen)) if chosen else (None, "")
    audit = _json(folder / "audit.json")
    failed = _failed(folder)
    return Experiment(folder, name, base, runs, lock, data, sweep, digest, audit, unread, failed)


def _failed(folder: Path) -> list[dict[str, Any]]:
    """Measurements of the base and of runs that failed and were not made up for."""
    found = []
    for pattern in ("base/evaluation", "arms/*/seed-*/evaluation/step-*"):
        for place in sorted(folder.glob(pattern)):
            where = str(place.relative_to(folder)).partition("/evaluation")[0].removeprefix("arms/")
            found += [{"where": where, **read_json(file)} for file in sorted(place.rglob("failed.json"))]
    return found


def _nothing(folder: Path, missing: str) -> UserError:
    return UserError(
        f"{folder} has no {missing}",
        "a report compares the evaluated base with evaluated arms, and there is nothing to compare",
        "run `python -m launch.pair experiment=NAME` first, or name the folder runs/NAME of an experiment that has run",
    )


def _run(path: Path) -> Run | None:
    found = [_evaluation(step) for step in path.glob("evaluation/step-*")]
    evaluations = sorted((one for one in found if one is not None), key=lambda one: one.step)
    if not evaluations or not (path / "config.yaml").is_file():
        return None
    configuration = freeze.read(path / "config.yaml")
    ledger, metrics = (read_jsonl(path / f"{name}.jsonl") for name in ("ledger", "metrics"))
    seed = int(path.name.removeprefix("seed-"))
    return Run(path.parent.name, seed, configuration, _json(path / "manifest.json"), ledger, metrics, evaluations)


def _evaluation(folder: Path) -> Evaluation | None:
    """None where it is absent or was cut short: scores.json is written last."""
    if not ((folder / "scores.json").is_file() and (folder / "items.parquet").is_file()):
        return None
    return Evaluation(folder, read_json(folder / "scores.json"))


def _sweep(folder: Path, name: str, match: str) -> Path | None:
    """The sweep.json of the experiment, or of what it is with another match: embedded-flops has embedded's rates."""
    for one in dict.fromkeys((name, name.removesuffix(f"-{match}"))):
        beside = folder.parent / f"{one}-sweep" / "sweep.json"
        committed = Path(conf.__file__).parent / "experiment" / f"{one}.sweep.json"
        for path in (beside, committed):
            if path.is_file():
                return path
    return None


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}
