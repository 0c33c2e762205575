"""What every figure shares: names, colours, marks and line styles, the look of axes, panels and legends."""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

GROUP_NAMES = {"math": "Math", "other_reasoning": "Other reasoning", "non_reasoning": "Non-reasoning"}
UNIT_NAMES = {
    "prompts": "prompts shown",
    "trained_tokens": "tokens trained",
    "flops": "FLOPs",
    "device_seconds": "device seconds",
}
BASE_COLOR = "#6b7280"
# least CIE76 difference between any two and the base's grey, to normal, protanopic and deuteranopic eyes (simulated):
# 28 among the first three, 18 among the first six, 15 among all; a test measures it
ARM_COLORS = (
    *("#1f5fa8", "#c2571a", "#901030", "#509070", "#f030f0", "#1010f0"),
    *("#b09050", "#701070", "#1030b0", "#9030f0", "#b070b0", "#703050"),
)
MARKERS = "os^DvPX<>hd*|"
GLYPHS = "●■▲◆▼✚✖◀▶⬢♦★┆"  # the same, as letters
LINES: tuple[Any, ...] = ("-", (0, (6, 1.4)), (0, (1.6, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (9, 2)), (0, (3, 3)))
PANELS = 5  # side by side
LEGEND_INCHES = 1.6  # a name in a legend takes
FEW_ARMS = 4  # up to which a figure or table gives every benchmark, checkpoint or rate of every arm its place
STRATEGY_COLORS = {
    "direct": "#b9c2cf",
    "steps": "#1f5fa8",
    "careless": "#d9a441",
    "teacher": "#c2571a",
    "other": "#8b8f98",
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": "#374151",
    "axes.titlesize": 10,
    "axes.titlecolor": "#111827",
    "xtick.color": "#6b7280",
    "ytick.color": "#6b7280",
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "paribus",
}


class Mark(NamedTuple):
    """How an arm looks in every figure: colour, marker and line, each of which tells it from its neighbours alone."""

    color: str
    marker: str
    linestyle: Any


def colors(results: dict[str, Any]) -> dict[str, str]:
    """One colour a model, the same in every figure."""
    return {"base": BASE_COLOR} | {arm: ARM_COLORS[i % len(ARM_COLORS)] for i, arm in enumerate(results["arms"])}


def marks(results: dict[str, Any]) -> dict[str, Mark]:
    """Colour, marker and line style of every model: the base grey and dashed."""
    looks = {"base": Mark(BASE_COLOR, "|", "--")}
    for number, (label, color) in enumerate(list(colors(results).items())[1:]):
        place = number % (len(MARKERS) - 1)  # the last is the base's
        looks[label] = Mark(color, MARKERS[place], LINES[number % len(LINES)])
    return looks


def glyphs(results: dict[str, Any]) -> dict[str, str]:
    """The marker of every model as a letter, for text."""
    return {label: GLYPHS[MARKERS.index(look.marker)] for label, look in marks(results).items()}


def panels_of(titles: list[str], names: dict[str, str] | None = None) -> tuple[Figure, list[Axes]]:
    """A panel a title, PANELS a row at most."""
    columns, rows = min(len(titles), PANELS), -(-len(titles) // PANELS)
    width = 2.9 if len(titles) <= FEW_ARMS else 1.9
    figure = Figure(figsize=(max(width * columns, 4.2), 3.1 if rows == 1 else 2.3 * rows + 0.5), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(titles) :]:
        axes.set_visible(False)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title((GROUP_NAMES if names is None else names).get(title, title), loc="left", fontweight="bold")
    return figure, panels[: len(titles)]


def legend(figure: Figure, axes: Axes) -> None:
    """Below the panels, in as many lines as the figure's width asks for."""
    handles, labels = axes.get_legend_handles_labels()
    columns = max(1, min(len(labels), int(figure.get_figwidth() / LEGEND_INCHES)))
    figure.set_figheight(figure.get_figheight() + 0.17 * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
