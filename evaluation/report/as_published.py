"""What of an experiment can stand beside a published number: taken as the papers take it, and why where it cannot.

Scores are graded by the published extractors where a benchmark has one. Intervals are 95%: over seeds and items where
items are known, otherwise over seeds, with t quantiles; one seed has none then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from evaluation import gradients
from evaluation.inference import LEVEL, difference
from evaluation.likelihood import REFERENCE
from evaluation.published import tables
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.report.transfer import UNBOUNDED, forms, shares
from evaluation.scores import ItemScores, item_scores, mean_of
from evaluation.statistics import Array, pass_at_k

BASE = "base"
PUBLISHED_SUITE = "published"
WEIGHED = ("headqa", "mc_taco")  # published as comparisons of likelihoods
COLUMNS = ("benchmark", "group", "item", "sample", "outcome")
GROUPS = ("math", "other_reasoning", "non_reasoning")


@dataclass(frozen=True)
class Measured:
    """A value of ours with its interval, or None and the reason."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    instead: str = ""  # what it is of, where it is not of the same as the published number


@dataclass(frozen=True)
class Ours:
    """An experiment's compared checkpoints, on the published suite where all have it, else on their own."""

    experiment: Experiment

    @cached_property
    def on_published(self) -> bool:
        every = [self.experiment.base, *(run.last for run in self.experiment.runs)]
        return all(PUBLISHED_SUITE in one.suites for one in every)

    @cached_property
    def models(self) -> dict[str, list[Evaluation]]:
        """Label -> evaluations, one a seed; the base once."""
        found = {BASE: [self.experiment.base]}
        found |= {arm: [run.last for run in runs] for arm, runs in self.experiment.arms.items()}
        pick = self.on_published
        return {label: [one.suites[PUBLISHED_SUITE] if pick else one for one in own] for label, own in found.items()}

    @cached_property
    def benchmarks(self) -> dict[str, str]:
        """Benchmark -> group, of those that every model has."""
        own = [one.scores["benchmarks"] for every in self.models.values() for one in every]
        return {
            name: cell["group"]
            for name, cell in own[0].items()
            if all(name in scores and scores[name]["greedy"]["score"] is not None for scores in own)
        }

    @cached_property
    def shares(self) -> dict[str, Any]:
        """Arm -> the base's and its own share right by item, as `report.transfer.shares`."""
        base = self.models[BASE][0]
        arms = {label: own for label, own in self.models.items() if label != BASE}
        return {arm: shares(base, own, self.benchmarks, self._values) for arm, own in arms.items()}

    @cached_property
    def transfer(self) -> dict[str, Any]:
        """Arm -> form -> TI, as the report has it."""
        return {arm: forms(left, right, len(self.models[arm])) for arm, (left, right) in self.shares.items()}

    @cached_property
    def _read(self) -> dict[Any, dict[str, dict[str, float]]]:
        return {}

    def _values(self, one: Evaluation, name: str) -> Mapping[str, float]:
        found = self._read.setdefault(one.folder, {})
        if name not in found:
            found |= as_graded(one)
        return found[name]


def as_graded(one: Evaluation) -> dict[str, dict[str, float]]:
    """Benchmark -> {item: share right} as published: by the published extractor where there is one, the mean of samples
    where the published run has samples, choices by likelihood where it weighs them; else greedy, as the report."""
    published = set(tables()["scores"].columns)
    found = {}
    for name, own in _graded(one).items():
        values = own.sampled if name in published and own.total.max() > 0 else own.greedy
        found[name] = {item: float(v) for item, v in zip(own.ids, values, strict=True) if not np.isnan(v)}
    return found | {name: own for name, own in _weighed(one).items() if own}


def _graded(one: Evaluation) -> dict[str, ItemScores]:
    if "paper" not in pq.read_schema(one.folder / "items.parquet").names:
        return one.items
    columns = one.table((*COLUMNS, "paper")).to_pydict()
    graded = zip(columns["outcome"], columns["paper"], strict=True)
    known = set(tables()["scores"].columns)
    outcome = [
        (paper if paper is not None and name in known else given)
        for name, (given, paper) in zip(columns["benchmark"], graded, strict=True)
    ]
    return item_scores({**columns, "outcome": outcome})


def _weighed(one: Evaluation) -> dict[str, dict[str, float]]:
    path = one.folder / "likelihood.parquet"
    if not path.is_file():
        return {}
    best: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in WEIGHED}
    for row in pq.read_table(path, filters=[("benchmark", "in", WEIGHED), ("choice", "!=", REFERENCE)]).to_pylist():
        own = best[row["benchmark"]]
        if row["item"] not in own or row["logp"] > own[row["item"]][0]:
            own[row["item"]] = (row["logp"], float(row["right"]))
    return {name: {item: right for item, (_, right) in own.items()} for name, own in best.items()}


# --- one number each ------------------------------------------------------------------------------------------------


def score(ours: Ours, label: str, column: str) -> Measured:
    """Percent right on a benchmark."""
    if column not in ours.benchmarks:
        return Measured(reason=f"our suite has no {column}")
    return _percent([_rows(ours, label, column)])


def group_score(ours: Ours, label: str, column: str) -> Measured:
    """Percent right, mean over a group's benchmarks."""
    names = [name for name, group in ours.benchmarks.items() if group == column]
    if not names:
        return Measured(reason=f"our suite has no group {column}")
    return _percent([_rows(ours, label, name) for name in names])


def gain(ours: Ours, label: str, column: str) -> Measured:
    """Points over the base, mean over a group's benchmarks, paired by item."""
    left, right = (side.get(column, {}) for side in ours.shares[label])
    if not left:
        return Measured(reason=f"our suite has no group {column}")
    return _mean([right[name] - left[name] for name in left])


def retained(ours: Ours, label: str, column: str) -> Measured:
    """Gain on math, or the mean loss of the other groups."""
    if column.endswith("_gain"):
        return gain(ours, label, "math")
    left, right = ours.shares[label]
    gaps = [left[group][name] - right[group][name] for group in left if group != "math" for name in left[group]]
    return _mean(gaps) if gaps else Measured(reason="our suite has math alone")


def ti(form: str) -> Callable[[Ours, str, str], Measured]:
    """TI in one of the report's forms."""

    def measured(ours: Ours, label: str, column: str) -> Measured:
        found = ours.transfer[label].get(form)
        if found is None or column not in found["point"]:
            return Measured(reason="our suite has no such groups")
        if found["ti"][column] is None:
            return Measured(reason=found["reason"][column].removeprefix(UNBOUNDED))
        return Measured(found["ti"][column], *(found["interval"]["ti"][column][end] for end in ("low", "high")))

    return measured


def drift(name: str, *path: str) -> Callable[[Ours, str, str], Measured]:
    """A number of a measure of drift: of the benchmark, else of our group that the benchmark is of."""

    def measured(ours: Ours, label: str, column: str) -> Measured:
        found = [run.last.drift.get(name) for run in ours.experiment.arms.get(label, [])]
        if not found or None in found:
            return Measured(reason=f"not measured (drift.measures=[{name}])")
        cells = [_walk(one, path[:-1]) for one in found]
        if None in cells:
            return Measured(reason=f"not measured (drift.{name}_as_published=true)")
        where, instead = _place(cells, column)
        if not where:
            return Measured(reason=f"measured neither on {column} nor on its group")
        return _over_seeds([_walk(one, (*where, *path[-1].split("/"))) for one in cells], instead)

    return measured


def unchanged(ours: Ours, label: str, column: str) -> Measured:
    """Percent of parameters that training left as they were, by the published criterion."""
    found = [run.last.drift.get("weights") for run in ours.experiment.arms.get(label, [])]
    if not found or None in found:
        return Measured(reason="not measured (drift.measures=[weights])")
    shares = [_walk(one, ("total", "unchanged", "relative")) for one in found]
    return _over_seeds([None if share is None else 100 * share for share in shares])


def rank_mean(ours: Ours, label: str, column: str) -> Measured:
    """Mean rank shift over benchmarks."""
    found = [run.last.drift.get("tokens") for run in ours.experiment.arms.get(label, [])]
    if not found or None in found:
        return Measured(reason="not measured (drift.measures=[tokens])")
    own = [_walk(one, ("texts", "own", "benchmarks")) or {} for one in found]
    every = [mean_of([cell["rank_shift"]["responses"] for cell in one.values()]) for one in own]
    return _over_seeds(every, "all our benchmarks")


def gradient(ours: Ours, label: str, column: str) -> Measured:
    """An indicator of the gradient norms of the first steps."""
    return _over_seeds([_indicator(run, column) for run in ours.experiment.arms.get(label, [])])


def reach(ours: Ours, label: str, column: str) -> Measured:
    """pass@1, or pass@k at the largest k that all have, on math."""
    names = [name for name, group in ours.benchmarks.items() if group == "math"]
    most = min((_most(one, name) for own in ours.models.values() for one in own for name in names), default=0)
    if most < 2:
        return Measured(reason="no sampled responses on math")
    k = 1 if column.endswith("@1") else most
    rows = [np.array([_passes(one.items[name], k) for one in ours.models[label]]) for name in names]
    return _percent(rows, f"pass@{k} on our math")


def _passes(own: ItemScores, k: int) -> list[float]:
    return [pass_at_k(int(n), int(c), k) for n, c in zip(own.total, own.right, strict=True)]


def _most(one: Evaluation, name: str) -> int:
    return int(one.items[name].total.min())


def _indicator(run: Run, column: str) -> float | None:
    norms = [row["grad_norm"] for row in run.metrics if row.get("grad_norm") is not None]
    return gradients.indicators(norms)[column] if len(norms) >= gradients.LEAST else None


def _place(cells: Sequence[Any], column: str) -> tuple[tuple[str, ...], str]:
    """Where in a cell the benchmark's number is, or its group's in its place."""
    group = next((name for name, own in tables()["scores"].groups.items() if column in own), column)
    if all(column in cell.get("benchmarks", {}) for cell in cells):
        return ("benchmarks", column), ""
    if all(group in cell.get("groups", {}) for cell in cells):
        return ("groups", group), "" if group == column else f"our group {group}"
    return (), ""


def _walk(cell: Any, path: Sequence[str]) -> Any:
    for key in path:
        cell = cell.get(key) if isinstance(cell, dict) else None
    return cell


def _rows(ours: Ours, label: str, name: str) -> Array:
    """Share right by item, [seeds, items]."""
    side = 0 if label == BASE else 1
    own = ours.shares[next(iter(ours.shares)) if label == BASE else label]
    return np.atleast_2d(own[side][ours.benchmarks[name]][name])


def _mean(rows: Sequence[Array], instead: str = "") -> Measured:
    """The mean over benchmarks of [seeds, items] in percent, with its interval over seeds and items."""
    if any(own.shape[1] < 2 for own in rows):
        return Measured(100 * float(np.mean([own.mean() for own in rows])), instead=instead)
    found = difference(rows, graded=True)
    return Measured(100 * found.difference, 100 * found.low, 100 * found.high, instead=instead)


def _percent(rows: Sequence[Array], instead: str = "") -> Measured:
    """As `_mean`, of what lies between 0 and 100."""
    found = _mean(rows, instead)
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(0.0, found.low), high=min(100.0, found.high))


def _over_seeds(values: Sequence[float | None], instead: str = "") -> Measured:
    """The mean over seeds with its t interval; None of one seed."""
    there = [value for value in values if value is not None]
    if not values or len(there) < len(values):
        return Measured(reason="not measured, or undefined, in a seed")
    mean = float(np.mean(there))
    if len(there) < 3:
        return Measured(mean, instead=instead)
    half = stats.t.ppf((1 + LEVEL) / 2, len(there) - 1) * float(np.std(there, ddof=1)) / len(there) ** 0.5
    return Measured(mean, mean - float(half), mean + float(half), instead=instead)
