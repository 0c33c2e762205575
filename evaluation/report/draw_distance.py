"""The figure of forgetting against distance."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.relation import fitted
from evaluation.report.style import Mark, legend, marks

SPREAD = 20.0  # times the smallest distance that the largest must be for a logarithmic axis
FIT = "#374151"

Point = dict[str, Any]


def distance(results: dict[str, Any]) -> Figure | None:
    """Points lost on what was not trained against KL(base || tuned) with the fit over all; that KL against the step,
    and points gained on math against it."""
    found = results["distance"]
    if not found:
        return None
    looks, arms = marks(results), list(dict.fromkeys(point["arm"] for point in found["points"]))
    figure = Figure(figsize=(8.8, 3.5), layout="constrained")
    lost, steps, gained = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    for arm in arms:
        runs: dict[int, list[Point]] = {}
        for point in found["points"]:
            if point["arm"] == arm:
                runs.setdefault(point["seed"], []).append(point)
        for own in runs.values():
            _line(lost, own, "forward", "lost", looks[arm])
            _line(steps, own, "step", "forward", looks[arm])
            _line(gained, own, "forward", "math_gain", looks[arm])
        lost.plot([], [], color=looks[arm].color, marker=looks[arm].marker, linewidth=1, markersize=5, label=arm)
    _fit(lost, found)
    for axes in (lost, gained):
        _scale(axes.set_xscale, found["points"])
        axes.axhline(0, color="#9ca3af", linewidth=0.8)
        axes.set_xlabel("KL(base ‖ tuned), nats a token")
    _scale(steps.set_yscale, found["points"])
    lost.set_ylabel("lost on what was not trained (points)")
    gained.set_ylabel("gained on math (points)")
    steps.set_ylabel("KL(base ‖ tuned), nats a token")
    steps.set_xlabel("step")
    steps.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    legend(figure, lost)
    return figure


def _line(axes: Axes, points: list[Point], x: str, y: str, look: Mark) -> None:
    """One run: its checkpoints in their order; the last, which is compared, filled."""
    there = [point for point in points if point[x] is not None and point[y] is not None]
    columns = [[point[name] for point in there] for name in (x, y)]
    axes.plot(*columns, color=look.color, linestyle=look.linestyle, linewidth=0.9, alpha=0.6)
    axes.plot(*columns, look.marker, color=look.color, markersize=4, markerfacecolor="white", alpha=0.9)
    if there:
        axes.plot(columns[0][-1], columns[1][-1], look.marker, color=look.color, markersize=5.5)


def _fit(axes: Axes, found: dict[str, Any]) -> None:
    own = found["relations"]["forward"]["all"]
    if "reason" in own:
        return
    top = max(point["forward"] for point in found["points"])
    x = np.geomspace(max(top / 1e4, min(_there(found["points"]), default=top)), top, 100)
    for name, letters, style in (("linear", "a", ":"), ("quadratic", "ab", "--")):
        y = fitted(x, [own[f"{name}_{letter}"]["value"] for letter in letters])
        label = f"{name}, R² {own[f'{name}_r2']['value']:.2f}"
        axes.plot(x, y, linestyle=style, color=FIT, linewidth=1.1, label=label)


def _scale(set_scale: Any, points: list[Point]) -> None:
    values = _there(points)
    if values and max(values) > SPREAD * min(values):
        set_scale("log")


def _there(points: list[Point]) -> list[float]:
    return [point["forward"] for point in points if point["forward"]]
