"""Representation shift: in the base's plane, layer by layer, and along training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.report.drifts import mean_curve
from evaluation.report.style import BASE_COLOR, FEW_ARMS, GROUP_NAMES, Mark, legend, marks

NAMES = GROUP_NAMES | {"new_task": "Training prompts"}
STEPS = {"distance": "distance (activations)", "relative_norm": "relative norm", "cka": "CKA"}
LAYERS = {"relative_norm": "relative norm", "cka": "CKA", "in_plane": "part in the plane"}


def plane(results: dict[str, Any]) -> Figure | None:
    """A panel a group: where each layer's mean went, in standard deviations of the base along its two components."""
    groups = _groups(results)
    if not groups:
        return None
    figure = Figure(figsize=(3.0 * max(2, len(groups)), 3.5), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        axes.set_title(NAMES.get(group, group), loc="left", fontweight="bold")
        for arm, mark, layers in _cells(results, group):
            if layers.get("shift") and layers.get("spread"):
                points = np.array(layers["shift"]) / np.array(layers["spread"])
                _path(axes, points, mark, arm, len(results["arms"]) <= FEW_ARMS)
        axes.plot(0, 0, "+", color=BASE_COLOR, markersize=10, markeredgewidth=1.8, label="base, every layer")
        axes.set_xlabel("along PC1 (base SD)")
        axes.margins(0.12)
        axes.set_aspect("equal", adjustable="datalim")
    panels[0].set_ylabel("along PC2 (base SD)")
    legend(figure, panels[0])
    return figure


def _path(axes: Axes, points: Any, mark: Mark, arm: str, numbered: bool) -> None:
    """First layer small and light, last large; the line goes from layer to layer."""
    axes.plot(points[:, 0], points[:, 1], color=mark.color, linestyle=mark.linestyle, linewidth=0.9, alpha=0.55)
    sizes = np.linspace(12, 46, len(points))
    axes.scatter(points[:, 0], points[:, 1], s=sizes, color=mark.color, marker=mark.marker, linewidths=0, label=arm)
    for place in sorted({0, len(points) - 1}) if numbered else ():
        where: dict[str, Any] = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 7, "color": mark.color}
        axes.annotate(str(place + 1), tuple(points[place]), **where)


def by_layer(results: dict[str, Any]) -> Figure | None:
    """Rows of measures, a column a group, against the layer."""
    groups = _groups(results)
    if not groups:
        return None
    figure, panels = _grid(list(LAYERS.values()), groups)
    for row, measure in zip(panels, LAYERS, strict=True):
        for axes, group in zip(row, groups, strict=True):
            for arm, mark, layers in _cells(results, group):
                values = layers.get(measure)
                if values:
                    style = {"color": mark.color, "linestyle": mark.linestyle, "marker": mark.marker}
                    axes.plot(range(1, len(values) + 1), values, markersize=3.5, linewidth=1.5, label=arm, **style)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    legend(figure, panels[0][0])
    return figure


def steps(results: dict[str, Any]) -> Figure | None:
    """Rows of measures, a column a group, against the step: means over seeds, each seed thin."""
    groups = _groups(results)
    if not groups:
        return None
    figure, panels = _grid(list(STEPS.values()), groups)
    looks = marks(results)
    for row, measure in zip(panels, STEPS, strict=True):
        for axes, group in zip(row, groups, strict=True):
            start = 1.0 if measure == "cka" else 0.0  # the base beside itself
            for arm, runs in results["representation"]["steps"].items():
                curve(axes, runs, f"{group}/{measure}", looks[arm], arm, start)
    for axes in panels[-1]:
        axes.set_xlabel("step")
    legend(figure, panels[0][0])
    return figure


def curve(axes: Axes, runs: list[dict[str, Any]], key: str, mark: Mark, arm: str, start: float | None) -> None:
    """One arm's values of `key` along training, from `start` at step 0 where that is known."""
    before = {} if start is None else {0: start}
    for run in runs if len(runs) > 1 else ():
        at = {step: v for step, v in zip(run["steps"], run["values"].get(key, []), strict=False) if v is not None}
        at = before | at if at else {}
        axes.plot(list(at), list(at.values()), color=mark.color, alpha=0.3, linewidth=0.8)
    at = mean_curve(runs, key)
    at = before | at if at else {}
    style = {"color": mark.color, "linestyle": mark.linestyle, "marker": mark.marker}
    axes.plot(list(at), list(at.values()), linewidth=1.6, markersize=3.8, label=arm, **style)


def _grid(rows: list[str], groups: list[str]) -> tuple[Figure, Any]:
    figure = Figure(figsize=(2.9 * max(2, len(groups)), 1.9 * len(rows) + 0.6), layout="constrained")
    panels = figure.subplots(len(rows), len(groups), sharex=True, sharey="row", squeeze=False)
    for axes, group in zip(panels[0], groups, strict=True):
        axes.set_title(NAMES.get(group, group), loc="left", fontweight="bold")
    for row, name in zip(panels, rows, strict=True):
        row[0].set_ylabel(name)
    return figure, panels


def _groups(results: dict[str, Any]) -> list[str]:
    arms = results["representation"].get("arms", {})
    return list(
        dict.fromkeys(group for own in arms.values() for group, cell in own["groups"].items() if "by_layer" in cell)
    )


def _cells(results: dict[str, Any], group: str) -> list[tuple[str, Mark, Mapping[str, Any]]]:
    looks = marks(results)
    arms = results["representation"]["arms"].items()
    return [(arm, looks[arm], own["groups"].get(group, {}).get("by_layer", {})) for arm, own in arms]
