"""Representation shift, update of the weights and gradient norms as rows of tables."""

from collections.abc import Iterator
from typing import Any

from evaluation.gradients import NAMES
from evaluation.report import representation as shifts
from evaluation.report.weights import SCALARS, UNCHANGED

Rows = Iterator[dict[str, Any]]


def _spread(cell: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {f"{key}{end}": cell[key][part] for key in keys for end, part in (("", "mean"), ("_seed_sd", "sd"))}


def representation(results: dict[str, Any]) -> Rows:
    """One row an arm and group or benchmark."""
    for arm, own in results["representation"].get("arms", {}).items():
        for kind in ("groups", "benchmarks"):
            for name, cell in own[kind].items():
                about = {"arm": arm, "kind": kind.removesuffix("s"), "name": name, "items": cell["items"]}
                published = own["as_published"][kind].get(name, {"mean": None})["mean"]
                about |= _spread(cell, shifts.SCALARS) | {"d_as_published": published, "seeds": cell["d"]["seeds"]}
                yield about | {"reason": cell["reason"]}


def representation_layers(results: dict[str, Any]) -> Rows:
    """One row an arm, group and layer, means over seeds."""
    for arm, own in results["representation"].get("arms", {}).items():
        for group, cell in own["groups"].items():
            layers = {key: values for key, values in cell.get("by_layer", {}).items() if values is not None}
            for number in range(len(layers.get("distance", []))):
                row: dict[str, Any] = {"arm": arm, "group": group, "layer": number + 1}
                for key, values in layers.items():
                    pair = isinstance(values[number], list)
                    row |= (
                        {f"{key}_{i + 1}": v for i, v in enumerate(values[number])} if pair else {key: values[number]}
                    )
                yield row


def steps(results: dict[str, Any], measure: str) -> Rows:
    """One row an arm, seed, step and value of a measure."""
    for arm, runs in results[measure].get("steps", {}).items():
        for run in runs:
            for place, step in enumerate(run["steps"]):
                spent = {f"spent_{unit}": values[place] for unit, values in run["spent"].items()}
                for key, values in run["values"].items():
                    about = {"arm": arm, "seed": run["seed"], "step": step, "value": key}
                    yield about | {"measured": values[place], **spent}


def weights(results: dict[str, Any]) -> Rows:
    """One row an arm and part: all weights, a kind of tensor, or a layer."""
    for arm, own in results["weights"].get("arms", {}).items():
        for part, cells in {"total": {"": own["total"]}, "kind": own["kinds"], "layer": own["layers"]}.items():
            for name, cell in cells.items():
                row = {"arm": arm, "part": part, "name": name, "parameters": cell["parameters"]}
                yield row | _spread(cell, (*UNCHANGED, *SCALARS))


def gradient_norms(results: dict[str, Any]) -> Rows:
    """One row an arm, and one a published arm."""
    found = results["gradient_norms"]
    for arm, own in found.get("arms", {}).items():
        yield {"arm": arm, "steps": own["steps"], "seeds": own["seeds"], **_spread(own, NAMES)}
    for arm, row in found.get("published", {}).items():
        yield {"arm": f"published: {arm}", "steps": 100, **row}
