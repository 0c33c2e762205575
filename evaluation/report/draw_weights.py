"""What training did to the weights: along training, by layer and by kind of tensor."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.report.draw_representation import curve
from evaluation.report.style import Mark, legend, marks


def weights(results: dict[str, Any]) -> Figure | None:
    """Unchanged shares and relative norm against step, relative norm by layer, rank of the update by kind."""
    arms = results["weights"].get("arms", {})
    if not arms:
        return None
    figure = Figure(figsize=(8.8, 6.0), layout="constrained")
    panels = list(figure.subplots(2, 2).flat)
    looks = marks(results)
    for arm, runs in results["weights"]["steps"].items():
        curve(panels[0], runs, "bf16", looks[arm], arm, 100.0)
        curve(panels[1], runs, "relative_norm", looks[arm], arm, 0.0)
    for place, (arm, own) in enumerate(arms.items()):
        _layers(panels[2], own, looks[arm])
        _kinds(panels[3], own, looks[arm], (place - (len(arms) - 1) / 2) * 0.7 / len(arms))
    _name(panels, [kind for kind, cell in next(iter(arms.values()))["kinds"].items() if cell["rank_share"]["seeds"]])
    legend(figure, panels[0])
    return figure


def _layers(axes: Axes, own: dict[str, Any], mark: Mark) -> None:
    at = {int(layer) + 1: cell["relative_norm"]["mean"] for layer, cell in own["layers"].items()}
    style = {"color": mark.color, "linestyle": mark.linestyle, "marker": mark.marker}
    axes.plot(list(at), list(at.values()), markersize=3.8, linewidth=1.6, **style)


def _kinds(axes: Axes, own: dict[str, Any], mark: Mark, offset: float) -> None:
    ranked = [cell["rank_share"] for cell in own["kinds"].values() if cell["rank_share"]["seeds"]]
    for place, cell in enumerate(ranked):
        axes.errorbar(
            place + offset, 100 * cell["mean"], 100 * cell["sd"] if cell["sd"] else None, color=mark.color,
            marker=mark.marker, markersize=4.5, linewidth=1.2, linestyle="none",
        )  # fmt: skip


def _name(panels: list[Axes], kinds: list[str]) -> None:
    titles = ("Unchanged in bfloat16", "Size of the update", "Size by layer", "Effective rank of the update")
    labels = ("weights (%)", "relative norm", "relative norm", "of the smaller side (%)")
    for axes, title, label in zip(panels, titles, labels, strict=True):
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    for axes, name in zip(panels, ("step", "step", "layer"), strict=False):
        axes.set_xlabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[3].set_xticks(range(len(kinds)), kinds)
    panels[3].grid(axis="x", visible=False)
