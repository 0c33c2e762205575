"""Transfer of each arm in every form, over items and over seeds, and along training."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from evaluation.inference import SEEDS
from evaluation.report import budgets
from evaluation.report.read import Evaluation, Experiment
from evaluation.scores import mean_of
from evaluation.statistics import Array
from evaluation.transfer import MATH, carried, transfer_index
from evaluation.transfer_interval import Bounds, Drawn, Intervals, drawn, intervals

FORMS = {  # name in results.json -> formula and scale
    "signed_root": ("signed_root", "per_model"),
    "none": ("signed_root", "none"),
    "published": ("signed_root", "published"),
    "relative": ("relative", "none"),
}
HEADLINE = "none"  # the form of page one and of the curve along training: docs/method.md says why
MEASURES = ("greedy", "sampled")
UNBOUNDED = "unbounded: "
NONE = Bounds(None, None)

Shares = dict[str, dict[str, Array]]


def transfer(experiment: Experiment, benchmarks: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """arm -> greedy or sampled -> form -> index and TI by group with intervals; empty without a group `math`.

    `ti` is None where it is undefined, and where it is unbounded: `reason` says which. `point` is the ratio that is not
    shown then. `interval` is over seeds and items from three seeds on, `over_items` of these checkpoints alone.
    """
    lasts = {arm: [run.last for run in runs] for arm, runs in experiment.arms.items()}
    return _transfer(experiment.base, lasts, benchmarks)


def beside(experiment: Experiment, suites: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Further suite -> the same as `transfer` and `flagged`, of those that all models have and that ask for math."""
    found = {}
    for name, own in suites.items():
        if MATH in own["groups"]:
            lasts = {arm: [run.last.suites[name] for run in runs] for arm, runs in experiment.arms.items()}
            told = _transfer(experiment.base.suites[name], lasts, own["benchmarks"])
            found[name] = {"arms": told, "carried": flagged(own["gains"], own["benchmarks"])}
    return found


def _transfer(
    base: Evaluation, lasts: Mapping[str, Sequence[Evaluation]], benchmarks: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    return {arm: {m: _forms(base, models, benchmarks, m) for m in MEASURES} for arm, models in lasts.items()}


def flagged(gains: Mapping[str, Any], benchmarks: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """arm -> group -> the benchmark that makes most of what the group moved by, where the group is shown to move."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, own in gains.items():
        for group, cells in own["groups"].items():
            bounds = cells["greedy"]
            moved = {
                n: own["benchmarks"][n]["greedy"]["difference"] for n, where in benchmarks.items() if where == group
            }
            if None in (bounds["low"], *moved.values()) or bounds["low"] <= 0 <= bounds["high"]:
                continue
            if one := carried(moved):
                found.setdefault(arm, {})[group] = {"benchmark": one[0], "share": one[1], "gain": moved[one[0]]}
    return found


def along(experiment: Experiment, benchmarks: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """arm -> what `HEADLINE` gives of greedy responses at each step that all its seeds were evaluated at.

    {steps, spent: {unit: [...]}, seeds, cells: {group: [{index, low, high, ti, ti_low, ti_high, reason}]}}
    """
    return {arm: found for arm in experiment.arms if (found := _along(experiment, arm, benchmarks))}


def _along(experiment: Experiment, arm: str, benchmarks: Mapping[str, str]) -> dict[str, Any]:
    runs = experiment.arms[arm]
    by_step = [{one.step: one for one in run.evaluations if one.step > 0} for run in runs]
    steps = [step for step in sorted(by_step[0]) if all(step in own for own in by_step)]
    found: dict[str, Any] = {"steps": [], "seeds": len(runs), "cells": {}}
    for step in steps:
        models = [own[step] for own in by_step]
        shared = {name: group for name, group in benchmarks.items() if all(_has(one, name) for one in models)}
        result = _forms(experiment.base, models, shared, "greedy", (HEADLINE,)).get(HEADLINE)
        if result is None or len(shared) < len(benchmarks):
            continue
        found["steps"].append(step)
        for group in result["index"]:
            found["cells"].setdefault(group, []).append(_cell(result, group))
    places = [
        [run.evaluations.index(own[step]) for step in found["steps"]] for run, own in zip(runs, by_step, strict=True)
    ]
    found["spent"] = _spent(runs, places)
    return found if found["steps"] else {}


def _has(one: Evaluation, name: str) -> bool:
    return name in one.scores["benchmarks"] and one.scores["benchmarks"][name]["greedy"]["score"] is not None


def _spent(runs: Sequence[Any], places: Sequence[Sequence[int]]) -> dict[str, list[float | None]]:
    """Mean over seeds of what was spent by each step; None where a ledger does not say."""
    found: dict[str, list[float | None]] = {}
    for unit in budgets.UNITS:
        rows = []
        for run, own in zip(runs, places, strict=True):
            curve = budgets.along(run)["spent"][unit]
            offset = len(curve) - len(run.evaluations)  # the base stands first
            rows.append([curve[place + offset] for place in own])
        found[unit] = [None if None in column else mean_of(list(column)) for column in zip(*rows, strict=True)]
    return found


def _cell(result: Mapping[str, Any], group: str) -> dict[str, Any]:
    index, ti = result["interval"]["index"][group], result["interval"]["ti"].get(group, {"low": None, "high": None})
    return {
        **{"index": result["index"][group], "low": index["low"], "high": index["high"]},
        **{"ti": result["ti"].get(group), "ti_low": ti["low"], "ti_high": ti["high"]},
        "reason": result["reason"].get(group, ""),
    }


def _forms(
    base: Evaluation,
    models: Sequence[Evaluation],
    benchmarks: Mapping[str, str],
    measure: str,
    names: Sequence[str] = tuple(FORMS),
) -> dict[str, Any]:
    values = partial(_values, measure=measure)
    return forms(*shares(base, models, benchmarks, values), len(models), names)


def forms(left: Shares, right: Shares, seeds: int, names: Sequence[str] = tuple(FORMS)) -> dict[str, Any]:
    """What `transfer` says of one arm, from `shares`; empty without a group `math`."""
    if MATH not in left:
        return {}
    points = [
        {g: {b: 100 * float(v.mean()) for b, v in own.items()} for g, own in side.items()} for side in (left, right)
    ]
    items = drawn(left, right, over_seeds=False)
    both = drawn(left, right) if seeds >= SEEDS else items
    return {name: _form(points, both, items, seeds, *FORMS[name]) for name in names}


def _form(
    points: Sequence[Any], seeds: Mapping[str, Drawn], items: Mapping[str, Drawn], count: int, formula: str, scale: str
) -> dict[str, Any]:
    result = transfer_index(points[0], points[1], formula, scale)
    over = intervals(seeds, formula, scale)
    reason, ti = dict(result.reason), dict(result.ti)
    for group, value in result.ti.items():
        if value is not None and over.ti[group].low is None:
            ti[group], reason[group] = None, UNBOUNDED + over.ti[group].reason
    return {
        **{"formula": formula, "scale": scale, "sigma": result.sigma, "index": result.index},
        **{"ti": ti, "point": result.ti, "reason": reason},
        "interval": _plain(over, result.index, ti),
        "over_items": _plain(intervals(items, formula, scale), result.index, ti),
        **{"seeds": count, "over_seeds": count >= SEEDS},
    }


def _plain(found: Intervals, index: Mapping[str, float | None], ti: Mapping[str, float | None]) -> dict[str, Any]:
    """Bounds of what has a value."""
    sides = {"index": (found.index, index), "ti": (found.ti, ti)}
    return {
        name: {group: _bounds(one) if values[group] is not None else _bounds(NONE) for group, one in bounds.items()}
        for name, (bounds, values) in sides.items()
    }


def _bounds(one: Bounds) -> dict[str, float | None]:
    return {"low": one.low, "high": one.high}


def shares(
    base: Evaluation,
    models: Sequence[Evaluation],
    benchmarks: Mapping[str, str],
    values: Callable[[Evaluation, str], Mapping[str, float]],
) -> tuple[Shares, Shares]:
    """{group: {benchmark: [items]}} of the base and [seeds, items] of the arm: items that every model has scored."""
    left: Shares = {}
    right: Shares = {}
    for name, group in benchmarks.items():
        tables = [values(one, name) for one in (base, *models)]
        shared = [item for item in tables[0] if all(item in table for table in tables)]
        if shared:
            rows = np.array([[table[item] for item in shared] for table in tables])
            left.setdefault(group, {})[name], right.setdefault(group, {})[name] = rows[0], rows[1:]
    return left, right


def _values(one: Evaluation, name: str, measure: str) -> dict[str, float]:
    own = one.items[name]
    found = zip(own.ids, getattr(own, measure), strict=True)
    return {item: float(value) for item, value in found if not np.isnan(value)}
