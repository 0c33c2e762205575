"""What the measure `reach` found (evaluation/perplexity.py), arm by arm: whose right answers each model holds likely,
and what the arm reaches when it is sampled at the base's entropy.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from evaluation import quadrants
from evaluation.reach import Counted, pass_at_ks, powers_of_two
from evaluation.report.reach import counted_of, gap, of_suite
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.scores import mean_of
from evaluation.statistics import Array

MEASURE = "reach"
TOLD = ("suite_temperature", "temperature", "entropy_base", "entropy_tuned", "entropy_matched", "samples")
LABELS = ("base", "tuned", "matched")


def likely(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Arm -> {seeds, cells, steps, matched}: of its compared checkpoints those that were measured; arms of which none
    was are left out. `cells` as quadrants.cells, `steps` the groups' perplexities at every measured step of a run."""
    found = {}
    for arm, runs in experiment.arms.items():
        measured = [run for run in runs if MEASURE in run.last.drift]
        tables = [quadrants.read(folder_of(run.last)) for run in measured]
        again = [run for run in measured if run.last.drift[MEASURE].get("matched", {}).get("benchmarks")]
        if measured and all(tables):
            found[arm] = {
                "seeds": [run.seed for run in measured],
                "missing": [run.seed for run in runs if run not in measured],
                "suite": measured[0].last.drift[MEASURE].get("suite"),
                "retokenised": max(run.last.drift[MEASURE].get("retokenised", 0.0) for run in measured),
                "cells": quadrants.cells(tables),
                "steps": [_along(run) for run in measured],
                "matched": _matched(experiment.base, again),
                "matched_seeds": [run.seed for run in again],
            }
    return found


def folder_of(evaluation: Evaluation) -> Path:
    """Where the measure left its files."""
    return evaluation.folder / "drift" / MEASURE


def _along(run: Run) -> dict[str, Any]:
    """Group -> each perplexity, at the steps that were measured."""
    points = {one.step: one.drift[MEASURE].get("groups", {}) for one in run.evaluations if MEASURE in one.drift}
    groups = dict.fromkeys(group for own in points.values() for group in own)
    cells = {
        group: [quadrants.summed(own[group]) if group in own else {} for own in points.values()] for group in groups
    }
    wanted = (*quadrants.QUADRANTS, "ratio", quadrants.LIKELIER)
    return {
        "seed": run.seed,
        "steps": list(points),
        "groups": {group: {key: [one.get(key) for one in own] for key in wanted} for group, own in cells.items()},
    }


def _matched(base: Evaluation, runs: Sequence[Run]) -> dict[str, Any]:
    """{groups, benchmarks}: pass@1 and pass@k on the same items of base, arm, and arm at the base's entropy, in
    percent, and what the last differs from the base by, in points; with the temperatures. Empty where not asked for."""
    told = [run.last.drift[MEASURE]["matched"]["benchmarks"] for run in runs]
    if not told:
        return {}
    suite = runs[0].configuration.drift.reach_suite
    sides = [of_suite(base, suite), *(of_suite(run.last, suite) for run in runs)]
    counts = [_counts(folder_of(run.last) / quadrants.MATCHED) for run in runs]
    found: dict[str, dict[str, Any]] = {}
    curves: dict[str, list[list[Array]]] = {}
    for benchmark, about in told[0].items():
        every = [own.get(benchmark, {}) for own in told]
        reason = next((one["reason"] for one in every if "reason" in one), None)
        if reason or any(one is None for one in sides) or not all(every):
            found[benchmark] = {"reason": reason or "not measured of every seed", "group": about["group"]}
            continue
        passes = _passes(benchmark, [one for one in sides if one is not None], counts)
        curves.setdefault(about["group"], []).append(passes)
        means = {key: mean_of([one.get(key) for one in every]) for key in TOLD}
        found[benchmark] = {"group": about["group"], **means, **_ends([passes])}
    return {"groups": {group: _ends(own) for group, own in curves.items()}, "benchmarks": found}


def _passes(benchmark: str, sides: Sequence[Evaluation], counts: Sequence[dict[Any, list[int]]]) -> list[Array]:
    """pass@k [S, I, K] of base, arm and matched arm, on the items that were sampled again."""
    ids = [item for name, item in counts[0] if name == benchmark]
    rows = np.array([[own[benchmark, item] for item in ids] for own in counts], dtype=np.int64)
    three = (
        counted_of(sides[:1], benchmark, ids),
        counted_of(sides[1:], benchmark, ids),
        Counted(*rows.transpose(2, 0, 1)),
    )
    ks = powers_of_two(int(min(one.total.min() for one in three)))
    return [pass_at_ks(*one, ks) for one in three]


def _ends(benchmarks: Sequence[Sequence[Array]]) -> dict[str, Any]:
    last = min(own[0].shape[-1] for own in benchmarks) - 1
    found: dict[str, Any] = {"k": 2**last, "items": sum(own[0].shape[1] for own in benchmarks)}
    for place, label in enumerate(LABELS):
        means = [100 * float(np.mean([own[place][..., at].mean() for own in benchmarks])) for at in (0, last)]
        found[label] = dict(zip(("first", "last"), means, strict=True))
    for key, at in (("first_gap", 0), ("last_gap", last)):
        found[key] = gap([own[2][..., at] - own[0][..., at] for own in benchmarks])
    return found


def _counts(path: Path) -> dict[tuple[str, str], list[int]]:
    """(benchmark, item) -> right and scorable samples."""
    columns = ["benchmark", "item", "outcome"]
    rows = pq.read_table(path, columns=columns).group_by(columns, use_threads=False).aggregate([([], "count_all")])
    found: dict[tuple[str, str], list[int]] = {}
    for row in rows.to_pylist():
        cell = found.setdefault((row["benchmark"], row["item"]), [0, 0])
        cell[0] += row["count_all"] * (row["outcome"] == "right")
        cell[1] += row["count_all"] * (row["outcome"] != "unscorable")
    return found
