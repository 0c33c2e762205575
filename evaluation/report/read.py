"""What the report reads: the files of an experiment's folder, and the sweep that chose its learning rates."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import conf
from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from data import skills as natural
from data.skills import tiny
from evaluation import skills
from evaluation.modes import AWARE
from evaluation.report import alike, intact
from evaluation.report.intact import Told
from evaluation.scores import GREEDY, ItemScores, item_scores
from evaluation.skills import Answers
from evaluation.spending import last_step

SCORED = ("benchmark", "group", "item", "sample", "outcome")
SHOWN = ("benchmark", "group", "item", "prompt", "reference", "response", "outcome")


@dataclass(frozen=True)
class Evaluation:
    """One scores.json and the items.parquet beside it."""

    folder: Path
    scores: dict[str, Any]
    root: Path = Path()  # of the experiment
    told: Told = field(default_factory=list)  # what could not be read, for the whole experiment
    dropped: frozenset[tuple[str, str]] = frozenset()  # (benchmark, item) that not every model has
    doubled: bool = False  # whether rows of items.parquet stand twice

    @property
    def step(self) -> int:
        return int(self.scores["step"])

    @cached_property
    def cost(self) -> dict[str, Any]:
        """What the evaluation took, further suites and functions included, from the files beside the scores.

        Empty where there are none.
        """
        files = [self.folder / "ledger.json", *self.folder.glob("suites/*/ledger.json")]
        costs = [found for file in files if "seconds" in (found := self._json(file))]
        results = [*self.folder.glob("functions/*/result.json"), *self.folder.glob("drift/*/result.json")]
        seconds = [float(self._json(file).get("seconds", 0.0)) for file in results]
        if not costs:
            return {}
        keys = ("responses", "tokens_generated", "flops_generate")
        known = {key: [cost[key] for cost in costs if cost.get(key) is not None] for key in keys}
        return {key: sum(found) if found else None for key, found in known.items()} | {
            "seconds": sum(cost["seconds"] for cost in costs) + sum(seconds)
        }

    @cached_property
    def suites(self) -> dict[str, "Evaluation"]:
        """Further suites by name."""
        found = {path.name: self._beside(path) for path in sorted(self.folder.glob("suites/*"))}
        return {name: one for name, one in found.items() if one is not None}

    @cached_property
    def few_shots(self) -> "Evaluation | None":
        """The same model with worked examples before each prompt, where that was evaluated."""
        return self._beside(self.folder / "few_shots")

    @cached_property
    def functions(self) -> dict[str, dict[str, float]]:
        """What each function of hooks.functions returned, by its name."""
        return self._results("functions")

    @cached_property
    def drift(self) -> dict[str, dict[str, Any]]:
        """What each measure of drift (evaluation/drift.py) found, by its name."""
        return self._results("drift")

    def table(self, columns: Sequence[str], filters: Any = None) -> pa.Table:
        """Columns of items.parquet, without what not every model was asked; `filters` as pyarrow has them."""
        path, clean = self.folder / "items.parquet", not (self.dropped or self.doubled)
        if clean:
            return pq.read_table(path, columns=list(columns), filters=filters)
        wanted = list(dict.fromkeys((*columns, *intact.KEY)))
        found = pq.read_table(path, columns=wanted, filters=filters)
        return intact.without(found, self.dropped).select(list(columns))

    def greedy_length(self, benchmarks: set[str]) -> float | None:
        """Mean tokens of the greedy responses to the items of `benchmarks`; None where there are none."""
        if "completion_tokens" not in pq.read_schema(self.folder / "items.parquet").names:
            return None
        table = self.table(("benchmark", "sample", "completion_tokens"), [("sample", "=", GREEDY)])
        rows = zip(table["benchmark"].to_pylist(), table["completion_tokens"].to_pylist(), strict=True)
        found = [tokens for benchmark, tokens in rows if benchmark in benchmarks and tokens is not None]
        return sum(found) / len(found) if found else None

    @cached_property
    def items(self) -> dict[str, ItemScores]:
        """Per benchmark, item by item."""
        return item_scores(self.table(SCORED))

    @cached_property
    def skills(self) -> dict[str, Answers]:
        """Answers to the skills' items by their form, of this suite and of further ones; empty where it has none."""
        return self._answers("outcome")

    @cached_property
    def abilities(self) -> dict[str, Answers]:
        """The same by the grade that reads any clear statement of the answer; without what has no such grade."""
        return self._answers(AWARE)

    def _answers(self, grade: str) -> dict[str, Answers]:
        found: dict[str, Answers] = {}
        columns = [*(name for name in skills.COLUMNS if name != "outcome"), grade]
        for one in (*self.suites.values(), self):
            names = [name for name in one.scores["benchmarks"] if name in natural.BENCHMARKS | tiny.BENCHMARKS]
            if names and grade in pq.read_schema(one.folder / "items.parquet").names:
                only = [("benchmark", "in", names), ("sample", "=", GREEDY)]
                found |= skills.answers(one.table(columns, only).to_pydict(), grade)
        return found

    def greedy_responses(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(benchmark, item) -> the row of its greedy response."""
        rows = self.table(SHOWN, [("sample", "=", GREEDY)]).to_pylist()
        return {(row["benchmark"], row["item"]): row for row in rows}

    def _beside(self, folder: Path) -> "Evaluation | None":
        return evaluation(folder, self.root, self.told)

    def _json(self, file: Path) -> dict[str, Any]:
        return intact.json_of(file, self.root, self.told)

    def _results(self, kind: str) -> dict[str, dict[str, Any]]:
        files = {path.parent.name: self._json(path) for path in sorted(self.folder.glob(f"{kind}/*/result.json"))}
        return {name: own["values"] for name, own in files.items() if isinstance(own.get("values"), dict)}


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

    @cached_property
    def end(self) -> int:
        """The last step of the budget; what was trained beyond (budget.overrun) is shown and never compared."""
        return last_step(self.ledger, self.configuration)

    @property
    def last(self) -> Evaluation:
        """The compared one: the last within the budget."""
        within = [one for one in self.evaluations if one.step <= self.end]
        return within[-1] if within else self.evaluations[0]


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
    told: Told = field(default_factory=list)  # what is damaged or not alike, and what became of it
    compared: dict[str, Any] = field(default_factory=dict)  # compare.json of models that were not trained here

    @property
    def arms(self) -> dict[str, list[Run]]:
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.arm, []).append(run)
        return found


def read_experiment(folder: Path) -> Experiment:
    """Everything under `folder` that the report speaks of; UserError where base or arms were never evaluated."""
    told: Told = []
    base = evaluation(folder / "base" / "evaluation", folder, told)
    if base is None:
        raise _nothing(folder, "base/evaluation/scores.json", told)
    compared = intact.json_of(folder / "compare.json", folder, told)
    runs, unread = _compared(folder, compared, told) if compared else _trained(folder, told)
    base, runs = alike.aligned(base, runs, told)
    if not runs:
        raise _nothing(folder, "arms/*/seed-*/evaluation/step-*/scores.json", told)
    name = runs[0].configuration.experiment.name
    lock, data, audit = (
        intact.json_of(folder / file, folder, told) for file in ("lock.json", "data/manifest.json", "audit.json")
    )
    chosen = None if compared else _sweep(folder, name, runs[0].configuration.budget.match)
    sweep = intact.json_of(chosen, folder, told) if chosen else {}
    digest = freeze.digest(chosen) if chosen and sweep else ""
    audit = audit if "differences" in audit else {}
    found = (lock, data, sweep or None, digest, audit, unread, _failed(folder, told), told, compared)
    return Experiment(folder, name, base, runs, *found)


def _trained(folder: Path, told: Told) -> tuple[list["Run"], list[str]]:
    """The runs of an experiment, arms in its order, and those left out."""
    runs, unread = [], []
    for path in sorted(folder.glob("arms/*/seed-*")):
        run = _run(path, folder, told)
        if run is None:
            unread.append(f"{path.parent.name}, {path.name}: no finished evaluation or no config.yaml")
        else:
            runs.append(run)
    order = runs[0].configuration.experiment.arms if runs else []
    runs.sort(key=lambda run: (order.index(run.arm) if run.arm in order else len(order), run.arm, run.seed))
    return runs, unread


def _compared(folder: Path, compared: dict[str, Any], told: Told) -> tuple[list["Run"], list[str]]:
    """The models that were compared with the base, in the order in which they were given; each at step 1."""
    runs, unread = [], []
    for label in compared.get("models", {}):
        place = folder / "models" / label / "evaluation"
        found = evaluation(place, folder, told)
        configuration = intact.configuration_of(place / "config.yaml", folder, told) if found else None
        if found is None or configuration is None:
            unread.append(f"{label}: no finished evaluation or no config.yaml")
        else:
            at_one = replace(found, scores=found.scores | {"step": 1})
            runs.append(Run(label, 0, configuration, {}, [], [], [at_one]))
    return runs, unread


def _failed(folder: Path, told: Told) -> list[dict[str, Any]]:
    """Measurements of the base and of runs that failed and were not made up for."""
    found = []
    for pattern in ("base/evaluation", "arms/*/seed-*/evaluation/step-*", "models/*/evaluation"):
        for place in sorted(folder.glob(pattern)):
            where = str(place.relative_to(folder)).partition("/evaluation")[0]
            where = where.removeprefix("arms/").removeprefix("models/")
            for file in sorted(place.rglob("failed.json")):
                about = {"what": file.parent.name, "step": 0, "error": "failed.json cannot be read"}
                found.append({"where": where, **about, **intact.json_of(file, folder, told)})
    return found


def _nothing(folder: Path, missing: str, told: Told) -> UserError:
    found = f" that can be read ({'; '.join(told)})" if told else ""
    return UserError(
        f"{folder} has no {missing}{found}",
        "a report compares the evaluated base with evaluated arms, and there is nothing to compare",
        "run `python -m launch.pair experiment=NAME` first, or name the folder runs/NAME of an experiment that has run",
    )


def _run(path: Path, root: Path, told: Told) -> Run | None:
    found = [evaluation(step, root, told) for step in sorted(path.glob("evaluation/step-*"))]
    evaluations = sorted((one for one in found if one is not None), key=lambda one: one.step)
    seed = path.name.removeprefix("seed-")
    if not evaluations or not seed.isdigit():
        return None
    configuration = intact.configuration_of(path / "config.yaml", root, told)
    if configuration is None:
        return None
    ledger, metrics = (intact.rows_of(path / f"{name}.jsonl", root, told) for name in ("ledger", "metrics"))
    manifest = intact.json_of(path / "manifest.json", root, told)
    return Run(path.parent.name, int(seed), configuration, manifest, ledger, metrics, evaluations)


def evaluation(folder: Path, root: Path, told: Told) -> Evaluation | None:
    """None where it is absent, was cut short (scores.json is written last), or cannot be read, which is told."""
    scores = intact.scores_of(folder, root, told)
    return None if scores is None else Evaluation(folder, scores, root, told)


def _sweep(folder: Path, name: str, match: str) -> Path | None:
    """The sweep.json of the experiment, or of what it is with another match: embedded-flops has embedded's rates."""
    for one in dict.fromkeys((name, name.removesuffix(f"-{match}"))):
        beside = folder.parent / f"{one}-sweep" / "sweep.json"
        committed = Path(conf.__file__).parent / "experiment" / f"{one}.sweep.json"
        for path in (beside, committed):
            if path.is_file():
                return path
    return None
