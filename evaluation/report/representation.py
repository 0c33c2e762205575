"""Representation shift of each arm: per group and benchmark, per layer, along training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluation.report import drifts
from evaluation.report.read import Experiment

NAME = "representation"
NEW_TASK = "new_task"
SCALARS = ("d", "distance", "relative_norm", "cosine", "cka", "procrustes")
BY_LAYER = ("shift", "spread", "distance", "in_plane", "relative_norm", "cosine", "cka", "procrustes")


def representation(experiment: Experiment) -> dict[str, Any]:
    """{arms, steps, lacking}; empty where no run has the measure. Cells are means over seeds, `by_layer` too: the plane
    is the base's, so it is one for all arms and seeds."""
    lasts = drifts.lasts(experiment, NAME)
    if not lasts:
        return {}
    return {
        "arms": {arm: _arm(own) for arm, own in lasts.items()},
        "steps": {
            arm: [drifts.along(run, NAME, _scalars) for run in experiment.arms[arm]] for arm in lasts
        },  # fmt: skip
        "lacking": drifts.lacking(experiment, NAME),
    }


def _arm(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    names = {
        kind: list(dict.fromkeys(n for own in seeds for n in _cells(own, kind))) for kind in ("groups", "benchmarks")
    }
    found: dict[str, Any] = {
        kind: {name: _cell([_cells(own, kind).get(name, {}) for own in seeds]) for name in own_names}
        for kind, own_names in names.items()
    }
    for cell in found["benchmarks"].values():
        cell.pop("by_layer", None)
    published = [own["as_published"] for own in seeds if "as_published" in own]
    found["as_published"] = {
        kind: {
            name: drifts.over_seeds([own.get(kind, {}).get(name, {}).get("d") for own in published])
            for name in dict.fromkeys(n for own in published for n in own.get(kind, {}))
        }
        for kind in ("groups", "benchmarks")
    }
    return found


def _cells(values: dict[str, Any], kind: str) -> dict[str, Any]:
    """Groups with the training prompts beside them, or benchmarks."""
    found = dict(values.get(kind, {}))
    if kind == "groups" and NEW_TASK in values:
        found[NEW_TASK] = values[NEW_TASK]
    return found


def _cell(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = seeds[0]
    cell: dict[str, Any] = {"items": first.get("items"), "group": first.get("group")}
    cell["reason"] = next((own["reason"] for own in seeds if "reason" in own), "")
    cell |= {key: drifts.over_seeds([own.get(key) for own in seeds]) for key in SCALARS}
    layers = [own["by_layer"] for own in seeds if "by_layer" in own]
    if layers:
        cell["by_layer"] = {key: _mean([own.get(key) for own in layers]) for key in BY_LAYER}
    return cell


def _mean(seeds: list[Any]) -> Any:
    """Over seeds, element by element; None where one lacks it or its shape differs."""
    if any(one is None for one in seeds) or len({np.shape(one) for one in seeds}) > 1:
        return None
    if any(value is None for one in seeds for value in np.ravel(np.asarray(one, dtype=object))):
        return None
    return np.mean(seeds, axis=0).tolist()


def _scalars(values: dict[str, Any]) -> dict[str, float | None]:
    """`group/measure` -> value."""
    return {f"{name}/{key}": cell.get(key) for name, cell in _cells(values, "groups").items() for key in SCALARS}
