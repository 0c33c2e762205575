"""The fronts of a sweep as a figure: gained on math against kept of the other groups."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.report.fronts import REST
from evaluation.report.style import FEW_ARMS, legend, marks
from evaluation.transfer import MATH

DEEP = 15.0  # points lost from which on a second panel shows what lies near 0
NEAR = 6.0  # points that it shows, below 0


def front(results: dict[str, Any]) -> Figure | None:
    """Fronts with their bands, every model small, the chosen rates' last checkpoints filled, the compared arms as
    stars; beside it the same near 0, where an arm fell far."""
    found = results["front"]
    if not found:
        return None
    deepest = min(min(point[REST], 0) for point in found["points"])
    panels = 2 if deepest < -DEEP else 1
    figure = Figure(figsize=(4.6 * panels + (1.2 if panels == 1 else 0), 4.4), layout="constrained")
    axes = list(figure.subplots(1, panels, squeeze=False).flat)
    for one in axes:
        _drawn(one, results)
        one.axhline(0, color="#9ca3af", linewidth=0.8)
        one.axvline(0, color="#9ca3af", linewidth=0.8)
        one.set_xlabel("gain on math (points)")
        one.margins(0.06)
    axes[0].set_ylabel("change on the other groups\n(points, mean of groups)")
    if panels == 2:
        highest = max(max(point[REST], 0) for point in found["points"])
        axes[1].set_ylim(-NEAR, highest + 1)
        axes[1].set_title("near 0", loc="left")
    legend(figure, axes[0])
    return figure


def _drawn(axes: Axes, results: dict[str, Any]) -> None:
    found, looks = results["front"], marks(results)
    few = len(found["fronts"]) <= FEW_ARMS
    for arm, curve in found["fronts"].items():
        look = looks.get(arm, looks["base"])
        shade = look.color
        own = [point for point in found["points"] if point["arm"] == arm]
        for point in own if few else [point for point in own if point["on_front"]]:
            face = shade if point["chosen"] else "white"
            size = 6 if point["chosen"] else 4
            axes.plot(
                point[MATH], point[REST], look.marker, color=shade, markerfacecolor=face, markersize=size, zorder=3
            )
        if few:
            _trajectories(axes, own, shade)
        style: dict[str, Any] = {"color": shade, "linestyle": look.linestyle, "marker": look.marker, "markevery": [-1]}
        axes.plot(curve["gains"], curve["kept"], linewidth=1.8, label=arm, **style)
        low, high = curve["low"], curve["high"]
        there = [i for i, one in enumerate(low) if one is not None]
        if there:
            x, bottom, top = ([values[i] for i in there] for values in (curve["gains"], low, high))
            axes.fill_between(x, bottom, top, color=shade, alpha=0.15, linewidth=0)
        _compared(axes, results, arm, shade)


def _trajectories(axes: Axes, points: list[dict[str, Any]], shade: str) -> None:
    """The checkpoints of a rate and seed, joined from the base on."""
    for key in dict.fromkeys((point["learning_rate"], point["seed"]) for point in points):
        own = [point for point in points if (point["learning_rate"], point["seed"]) == key]
        x, y = ([0.0, *(point[name] for point in own)] for name in (MATH, REST))
        axes.plot(x, y, color=shade, linewidth=0.6, alpha=0.45, linestyle=":")


def _compared(axes: Axes, results: dict[str, Any], arm: str, shade: str) -> None:
    """The models that the rest of the page compares, means over their seeds."""
    if arm not in results["gains"]:
        return
    groups = {group: own["greedy"]["difference"] for group, own in results["gains"][arm]["groups"].items()}
    rest = [value for group, value in groups.items() if group != MATH]
    if None not in groups.values() and MATH in groups and rest:
        where = groups[MATH], sum(rest) / len(rest)
        axes.plot(*where, "*", color=shade, markersize=12, markeredgecolor="#111827", markeredgewidth=0.6, zorder=4)
