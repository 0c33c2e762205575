"""The index of each group and TI along training."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.report.style import GROUP_NAMES, legend, marks
from evaluation.transfer import MATH

SPREAD = 0.012  # of the steps' range: arms stand beside one another, so that their intervals can be told apart


def transfer(results: dict[str, Any]) -> Figure | None:
    """Above: the index with its interval, a panel a group. Below: TI where it is bounded, a cross where it is not."""
    curves = {arm: own for arm, own in results["transfer_steps"].items() if own["cells"]}
    if not curves:
        return None
    groups = [group for group in results["groups"] if any(group in own["cells"] for own in curves.values())]
    figure = Figure(figsize=(2.9 * max(2, len(groups)), 5.6), layout="constrained")
    panels = figure.subplots(2, len(groups), sharex=True, sharey="row", squeeze=False)
    for column, group in enumerate(groups):
        panels[0][column].set_title(GROUP_NAMES.get(group, group), loc="left", fontweight="bold")
        _lines(panels[0][column], results, curves, group, ("index", "low", "high"))
        if group == MATH:
            panels[1][column].set_visible(False)  # TI divides by math's index
            panels[0][column].tick_params(labelbottom=True)
        else:
            _lines(panels[1][column], results, curves, group, ("ti", "ti_low", "ti_high"))
            panels[1][column].set_xlabel("step")
    _label(panels, groups)
    legend(figure, panels[0][0])
    return figure


def _label(panels: Any, groups: list[str]) -> None:
    first = next((column for column, group in enumerate(groups) if group != MATH), 0)
    panels[0][0].set_ylabel("index (√points)")
    panels[1][first].set_ylabel("TI (%)")
    panels[1][first].tick_params(labelleft=True)


def _lines(axes: Axes, results: dict[str, Any], curves: dict[str, Any], group: str, keys: tuple[str, str, str]) -> None:
    """One line an arm; bars are intervals, a cross on the zero line says that there is no number."""
    axes.axhline(0, color="#374151", linewidth=0.9)
    looks = marks(results)
    widest = max(own["steps"][-1] for own in curves.values())
    axes.set_xlim(0, 1.08 * widest)
    for place, (arm, own) in enumerate(curves.items()):
        offset = (place - (len(curves) - 1) / 2) * SPREAD * widest
        points = [
            (step + offset, *(cell[key] for key in keys))
            for step, cell in zip(own["steps"], own["cells"][group], strict=True)
        ]
        there = [point for point in points if point[1] is not None]
        look, x, y = looks[arm], [point[0] for point in there], [point[1] for point in there]
        axes.plot(x, y, **look._asdict(), linewidth=1.5, markersize=4, label=arm)
        for place_x, _, low, high in there:
            if low is not None:
                axes.plot([place_x] * 2, [low, high], color=look.color, linewidth=1, alpha=0.5)
        lacking = [point[0] for point in points if point[1] is None]
        axes.plot(lacking, [0] * len(lacking), "x", color=look.color, markersize=5, markeredgewidth=1.1)
