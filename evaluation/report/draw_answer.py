"""The first figure: what each arm moved by in each group, with the intervals of the sentences."""

from typing import Any

from matplotlib.figure import Figure

from evaluation.report.style import marks, panels_of


def answer(results: dict[str, Any]) -> Figure | None:
    """A panel a group, a row an arm: points against the base with the 95% interval; filled where it is shown."""
    rows, looks = results["answer"]["rows"], marks(results)
    if not any(own["groups"] for own in rows.values()):
        return None
    figure, panels = panels_of(results["groups"])
    figure.set_figheight(1.0 + 0.3 * max(2, len(rows)))
    for axes, group in zip(panels, results["groups"], strict=True):
        for place, (arm, own) in enumerate(rows.items()):
            one, look = own["groups"].get(group), looks[arm]
            if one is None or one["difference"] is None:
                continue
            clear = one["low"] is not None and not one["low"] <= 0 <= one["high"]
            if one["low"] is not None:
                axes.plot([one["low"], one["high"]], [place] * 2, color=look.color, linewidth=1.8)
            face = look.color if clear else "white"
            axes.plot(
                one["difference"], place, look.marker, color=look.color, markerfacecolor=face, markersize=6.5, zorder=3
            )
        axes.axvline(0, color="#374151", linewidth=0.9)
        axes.grid(axis="y", visible=False)
    ends = [axes.get_xlim() for axes in panels]
    for axes in panels:
        axes.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
    panels[0].set_yticks(range(len(rows)), list(rows))
    panels[0].set_ylim(len(rows) - 0.5, -0.5)  # shared by all, the first arm on top
    figure.supxlabel("greedy score minus base (points)", fontsize=9, color="#374151")
    return figure
