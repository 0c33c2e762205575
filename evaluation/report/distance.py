"""Forgetting against distance: one point a checkpoint, arm and seed, and what relates the two."""

from typing import Any

from evaluation.relation import relation, within
from evaluation.report import budgets
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.scores import mean_of
from evaluation.transfer import MATH

MEASURE = "distance"
DIRECTIONS = ("forward", "reverse")

Point = dict[str, Any]


def distance(experiment: Experiment, steps: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Points, and the relation of points lost on the groups not trained to each direction; empty where no checkpoint
    was measured. `steps` is results.json's: group scores at each evaluated step, the base's first."""
    points: list[Point] = []
    lacking: list[str] = []
    asked: dict[str, Any] = {}
    for arm, runs in experiment.arms.items():
        for run, curve in zip(runs, steps[arm], strict=True):
            own, without = _points(experiment, run, curve)
            points += own
            lacking += [f"{arm}, seed {run.seed}, step {step}" for step in without]
            asked = asked or next((_settings(one) for one in run.evaluations if _measured(one)), {})
    if not points:
        return {}
    return {
        "points": points,
        "lacking": lacking,
        **asked,
        "groups": [group for group in next(iter(steps.values()))[0]["greedy"] if group != MATH],
        "relations": {direction: _relations(points, direction) for direction in DIRECTIONS},
    }


def _points(experiment: Experiment, run: Run, curve: dict[str, Any]) -> tuple[list[Point], list[int]]:
    """Of a run's measured checkpoints, and the steps of the others; one of another form is told and left out."""
    found, lacking = [], []
    spent = budgets.along(run)["spent"]
    for place, one in enumerate((one for one in run.evaluations if one.step > 0), 1):
        if MEASURE not in one.drift:
            lacking.append(one.step)
        elif not _measured(one):
            lacking.append(one.step)
            experiment.told.append(f"{run.arm}, seed {run.seed}, step {one.step}: drift/{MEASURE} is of another form")
        else:
            scores = {group: (values[0], values[place]) for group, values in curve["greedy"].items()}
            costs = {f"spent_{unit}": values[place] for unit, values in spent.items()}
            found.append({"arm": run.arm, "seed": run.seed, "step": one.step, **_point(one, scores), **costs})
    return found, lacking


def _point(one: Evaluation, scores: dict[str, tuple[float | None, float | None]]) -> Point:
    """KL a token with its interval over prompts; points gained on math, lost on each other group and on their mean."""
    gains = {group: None if before is None or now is None else now - before for group, (before, now) in scores.items()}
    lost = {group: None if gain is None else -gain for group, gain in gains.items() if group != MATH}
    whole = None if None in lost.values() or not lost else mean_of(list(lost.values()))
    point: Point = {"math_gain": gains.get(MATH), "lost": whole, **{f"lost_{name}": own for name, own in lost.items()}}
    for direction in DIRECTIONS:
        cell = one.drift[MEASURE][direction]
        point[direction] = cell["per_token"]["mean"]
        point |= {f"{direction}_{bound}": cell["per_token"][bound] for bound in ("low", "high")}
        point[f"{direction}_per_response"] = cell["per_response"]["mean"]
        point[f"{direction}_cut"] = cell["cut"]
    return point


def _measured(one: Evaluation) -> bool:
    """Whether the measure is there, in the form that it has today."""
    own = one.drift.get(MEASURE, {})
    cells = [own.get(direction) for direction in DIRECTIONS]
    return all(
        isinstance(cell, dict)
        and "cut" in cell
        and all(isinstance(cell.get(per), dict) and "mean" in cell[per] for per in ("per_token", "per_response"))
        and {"low", "high"} <= set(cell["per_token"])
        for cell in cells
    )


def _settings(one: Evaluation) -> dict[str, Any]:
    own = one.drift[MEASURE]
    return {name: own.get(name) for name in ("prompts", "samples", "max_new_tokens", "dtypes")}


def _relations(points: list[Point], direction: str) -> dict[str, Any]:
    """Over all points, without the arm that went farthest, of each arm alone, and with arms' means taken off."""
    there = [point for point in points if point["lost"] is not None and point[direction] is not None]
    arms = list(dict.fromkeys(point["arm"] for point in there))
    found: dict[str, Any] = {"all": _relation(there, direction)}
    means = {arm: mean_of([one[direction] for one in there if one["arm"] == arm]) or 0.0 for arm in arms}
    farthest = max(arms, key=lambda arm: means[arm], default="")
    found["without"] = {"arm": farthest} | _relation([one for one in there if one["arm"] != farthest], direction)
    found["arms"] = {arm: _relation([one for one in there if one["arm"] == arm], direction) for arm in arms}
    found["within"] = within(*_columns(there, direction), [one["arm"] for one in there], _runs(there))
    return found


def _relation(points: list[Point], direction: str) -> dict[str, Any]:
    return relation(*_columns(points, direction), _runs(points))


def _columns(points: list[Point], direction: str) -> tuple[list[float], list[float]]:
    return [one[direction] for one in points], [one["lost"] for one in points]


def _runs(points: list[Point]) -> list[str]:
    return [f"{one['arm']}/{one['seed']}" for one in points]
