"""The leaderboard's figure: TI of every model on what was not math, with its interval."""

from typing import Any

from matplotlib.figure import Figure

from evaluation.report.style import GROUP_NAMES, colors


def board(results: dict[str, Any]) -> Figure | None:
    """A panel a group, a row a model in their rank; a TI that is no number is a word."""
    rows = [row for row in results["board"] if row["ranked_by"]]
    groups = list(rows[0]["forms"][rows[0]["ranked_by"]]["ti"]) if rows else []
    if not groups:
        return None
    color = colors(results)
    figure = Figure(figsize=(8.6, 1.2 + 0.34 * len(rows)), layout="constrained")
    panels = list(figure.subplots(1, len(groups), sharey=True, squeeze=False).flat)
    for axes, group in zip(panels, groups, strict=True):
        axes.set_title(GROUP_NAMES.get(group, group), loc="left", fontweight="bold")
        for place, row in enumerate(rows):
            cell = row["forms"][row["ranked_by"]]["ti"][group]
            if cell["state"] != "number":
                axes.annotate(cell["state"], (0, place), xytext=(5, 0), textcoords="offset points", va="center", size=8)
                continue
            axes.plot([cell["low"], cell["high"]], [place] * 2, color=color[row["model"]], linewidth=1.8)
            axes.plot(cell["value"], place, "o", color=color[row["model"]], markersize=6)
        axes.axvline(0, color="#374151", linewidth=0.9)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    panels[0].set_yticks(range(len(rows)), [row["model"] for row in rows])
    figure.supxlabel("TI (%): what the group gained for what math gained", fontsize=9, color="#374151")
    return figure
