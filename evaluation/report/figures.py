"""The report's figures, each as PNG and SVG; drawn without a display and the same from run to run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from evaluation.report import (
    draw_distance,
    draw_fronts,
    draw_reach,
    draw_representation,
    draw_tokens,
    draw_transfer,
    draw_weights,
)
from evaluation.report.draw_answer import answer
from evaluation.report.draw_board import board
from evaluation.report.style import (
    ARM_COLORS,
    BASE_COLOR,
    FEW_ARMS,
    GROUP_NAMES,
    STRATEGY_COLORS,
    STYLE,
    UNIT_NAMES,
    Mark,
    legend,
    marks,
    panels_of,
)
from evaluation.report.training import CURVES

matplotlib.use("Agg")


def write_figures(results: dict[str, Any], folder: Path) -> dict[str, Path]:
    """Write each figure there is data for; {name: path of its SVG}. What has no data is not written, and removed."""
    drawn: dict[str, Callable[[dict[str, Any]], Figure | None]] = {
        "board": board,
        "answer": answer,
        "gains": gains,
        "steps": steps,
        "training": training,
        "spending": spending,
        **draw_reach.drawn(results),
        "strategies": strategies,
        "skills": skills,
        "front": draw_fronts.front,
        "distance": draw_distance.distance,
        "tokens_steps": draw_tokens.tokens_steps,
        "words": draw_tokens.words,
        "transfer": draw_transfer.transfer,
        "representation_plane": draw_representation.plane,
        "representation_layers": draw_representation.by_layer,
        "representation_steps": draw_representation.steps,
        "weights": draw_weights.weights,
    }
    paths = {}
    with matplotlib.rc_context(STYLE):
        for name, draw in drawn.items():
            figure = draw(results)
            for ending in ("png", "svg"):
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
            if figure is None:
                continue
            figure.draw_without_rendering()  # laid out once, for both files
            figure.set_layout_engine("none")
            figure.savefig(folder / f"{name}.png", dpi=150)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            paths[name] = folder / f"{name}.svg"
    return paths


def gains(results: dict[str, Any]) -> Figure:
    """Greedy gain over the base with its interval: per benchmark, or of many arms per group."""
    if len(results["arms"]) > FEW_ARMS:
        return _gains_by_group(results)
    names, arms, looks = list(results["benchmarks"]), list(results["arms"]), marks(results)
    figure = Figure(figsize=(8.6, 0.9 + 0.22 * len(names) * max(2, len(arms))), layout="constrained")
    axes = figure.subplots()
    for place, arm in enumerate(arms):
        color, marker, _ = looks[arm]
        offset = (place - (len(arms) - 1) / 2) * 0.6 / max(1, len(arms))
        for row, name in enumerate(names):
            cell = results["gains"][arm]["benchmarks"][name]["greedy"]
            if cell["low"] is not None:
                axes.plot([cell["low"], cell["high"]], [row + offset] * 2, color=color, linewidth=1.6, alpha=0.6)
            axes.plot(
                cell["difference"], row + offset, marker, color=color, markersize=5, label=arm if row == 0 else None
            )
    _rule_off_groups(axes, results)
    axes.axvline(0, color="#374151", linewidth=0.9)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("greedy score minus base (points)")
    figure.legend(loc="outside upper right", ncols=len(arms))
    return figure


def _gains_by_group(results: dict[str, Any]) -> Figure:
    """One panel a group, one row an arm; the group's mean with its interval, and its benchmarks small."""
    arms, looks = list(results["arms"]), marks(results)
    figure, panels = panels_of(results["groups"])
    figure.set_figheight(1.0 + 0.3 * len(arms))
    for axes, group in zip(panels, results["groups"], strict=True):
        for row, arm in enumerate(arms):
            found, (color, marker, _) = results["gains"][arm], looks[arm]
            own = [name for name, where in results["benchmarks"].items() if where == group]
            points = [found["benchmarks"][name]["greedy"]["difference"] for name in own]
            axes.plot(points, [row] * len(points), marker, color=color, markersize=3, alpha=0.35, markeredgewidth=0)
            cell = found["groups"][group]["greedy"]
            if cell["low"] is not None:
                axes.plot([cell["low"], cell["high"]], [row] * 2, color=color, linewidth=1.8)
            axes.plot(cell["difference"], row, marker, color=color, markersize=6)
        axes.axvline(0, color="#374151", linewidth=0.9)
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(arms)), arms)
    panels[0].invert_yaxis()  # shared by all
    figure.supxlabel("greedy score minus base (points)", fontsize=9, color="#374151")
    return figure


def _rule_off_groups(axes: Axes, results: dict[str, Any]) -> None:
    groups = list(results["benchmarks"].values())
    for row in range(1, len(groups)):
        if groups[row] != groups[row - 1]:
            axes.axhline(row - 0.5, color="#d1d5db", linewidth=0.8, linestyle=(0, (4, 3)))


def steps(results: dict[str, Any]) -> Figure | None:
    """Greedy group score against step: mean over seeds, and each seed thin beside it."""
    if not results["steps"]:
        return None
    figure, panels = panels_of(results["groups"])
    looks = marks(results)
    for axes, group in zip(panels, results["groups"], strict=True):
        axes.axhline(
            results["steps"][next(iter(results["arms"]))][0]["greedy"][group][0],
            color=BASE_COLOR,
            linewidth=1,
            linestyle="--",
        )
        for arm, runs in results["steps"].items():
            if len(runs) > 1:
                for run in runs:
                    axes.plot(run["steps"], run["greedy"][group], color=looks[arm].color, alpha=0.3, linewidth=0.9)
            at = _mean_curve(runs, group)
            axes.plot(list(at), list(at.values()), **looks[arm]._asdict(), linewidth=1.9, markersize=4, label=arm)
        _end_of_budget(axes, results)
        axes.set_xlabel("step")
        axes.set_ylim(0, 102)
    panels[0].set_ylabel("greedy score (%)")
    legend(figure, panels[0])
    return figure


def _end_of_budget(axes: Axes, results: dict[str, Any]) -> None:
    """A line where the budget of runs that went on past it ends: of each arm's where they differ."""
    beyond = {(run["end"], arm) for arm, runs in results["steps"].items() for run in runs if run["beyond"]}
    ends = {end for end, _ in beyond}
    for end, arm in sorted(beyond):
        shade = "#374151" if len(ends) == 1 else marks(results)[arm].color
        axes.axvline(end, color=shade, linewidth=0.9, linestyle=(0, (2, 2)))


def _collapses(run: dict[str, Any], skill: str) -> list[int]:
    """Places of the steps at which the skill had collapsed."""
    return [place for place, collapsed in enumerate(run["collapsed"]) if skill in collapsed]


def _mean_curve(runs: list[dict[str, Any]], group: str) -> dict[int, float]:
    """At the steps that every seed has."""
    tables = [dict(zip(run["steps"], run["greedy"][group], strict=True)) for run in runs]
    shared = [step for step in tables[0] if all(table.get(step) is not None for table in tables)]
    return {step: sum(table[step] for table in tables) / len(tables) for step in shared}


def training(results: dict[str, Any]) -> Figure | None:
    """What each step logged: mean over seeds, and a band over them where the arms are few."""
    found, looks = results["training"], marks(results)
    if not found:
        return None
    figure = Figure(figsize=(8.6, 2.4 * -(-len(found) // 3) + 0.5), layout="constrained")
    panels = list(figure.subplots(-(-len(found) // 3), min(3, len(found)), squeeze=False).flat)
    for axes, (metric, arms) in zip(panels, found.items(), strict=False):
        axes.set_title(CURVES[metric], loc="left", fontweight="bold")
        for arm, curve in arms.items():
            look = {"color": looks[arm].color, "linestyle": looks[arm].linestyle}
            axes.plot(curve["steps"], curve["mean"], **look, linewidth=1.3, label=arm)
            if len(results["arms"]) <= FEW_ARMS:
                axes.fill_between(
                    curve["steps"], curve["low"], curve["high"], color=looks[arm].color, alpha=0.18, linewidth=0
                )
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if metric == "grad_norm":
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    legend(figure, max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0])))
    return figure


def spending(results: dict[str, Any]) -> Figure | None:
    """Greedy group score against what was spent, in every unit that all ledgers have; dashed with the targets' cost."""
    runs = [run for own in results["steps"].values() for run in own]
    units = [unit for unit in UNIT_NAMES if all(None not in run["spent"][unit] for run in runs)]
    if not runs or not units:
        return None
    groups, looks = results["groups"], marks(results)
    figure = Figure(figsize=(2.7 * len(units), 2.1 * len(groups) + 0.6), layout="constrained")
    panels = figure.subplots(len(groups), len(units), sharex="col", sharey=True, squeeze=False)
    for row, group in zip(panels, groups, strict=True):
        row[0].set_title(GROUP_NAMES.get(group, group), loc="left", fontweight="bold")
        row[0].set_ylabel("greedy score (%)")
        for axes, unit in zip(row, units, strict=True):
            for arm, own in results["steps"].items():
                _spending_curves(axes, own, group, unit, looks[arm], arm)
            axes.set_ylim(0, 102)
    for axes, unit in zip(panels[-1], units, strict=True):
        axes.set_xlabel(UNIT_NAMES[unit])
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(4))
    legend(figure, panels[0][0])
    return figure


def _spending_curves(axes: Axes, runs: list[dict[str, Any]], group: str, unit: str, look: Mark, arm: str) -> None:
    """Each seed thin, their mean by number of checkpoint thick, and the mean again where targets count in."""
    for run in runs if len(runs) > 1 else ():
        axes.plot(run["spent"][unit], run["greedy"][group], color=look.color, alpha=0.3, linewidth=0.9)
    places = range(min(len(run["steps"]) for run in runs))
    for name in ("spent", "spent_with_targets"):
        points = [[(run[name][unit][n], run["greedy"][group][n]) for run in runs] for n in places]
        whole = [point for point in points if not any(None in pair for pair in point)]
        x, y = ([sum(pair[k] for pair in point) / len(point) for point in whole] for k in (0, 1))
        if name == "spent" or any(run[name][unit] != run["spent"][unit] for run in runs):
            label = arm if name == "spent" else f"{arm}, with its targets"
            drawn = look._asdict() if name == "spent" else {"color": look.color, "linestyle": ":"}
            axes.plot(x, y, **drawn, linewidth=1.8, markersize=3.5, label=label)


def strategies(results: dict[str, Any]) -> Figure | None:
    """Share of each way of answering the math items, by checkpoint."""
    if not results["strategies"]:
        return None
    figure, panels = panels_of(list(results["strategies"]), {})
    names = list(dict.fromkeys(n for steps_ in results["strategies"].values() for mix in steps_.values() for n in mix))
    names.sort(key=lambda name: list(STRATEGY_COLORS).index(name) if name in STRATEGY_COLORS else 99)
    for axes, by_step in zip(panels, results["strategies"].values(), strict=True):
        floor = [0.0] * len(by_step)
        for number, name in enumerate(names):
            shares = [100 * mix.get(name, 0.0) for mix in by_step.values()]
            color = STRATEGY_COLORS.get(name, ARM_COLORS[number % len(ARM_COLORS)])
            axes.bar(list(by_step), shares, bottom=floor, width=0.7, color=color, label=name)
            floor = [low + share for low, share in zip(floor, shares, strict=True)]
        axes.grid(axis="x", visible=False)
        axes.set_xlabel("step")
        axes.set_ylim(0, 100)
    panels[0].set_ylabel("share of math responses (%)")
    legend(figure, panels[0])
    return figure


def skills(results: dict[str, Any]) -> Figure | None:
    """Score on each skill against step, of the first form that base and arms were scored on; the base dashed."""
    found = None if results["compared"] else next((own for own in results["skills"].values() if own["steps"]), None)
    if found is None:
        return None
    names = list(next(iter(found["steps"].values()))[0]["skills"])
    figure, panels = panels_of(names, {name: name.replace("_", " ").capitalize() for name in names})
    looks = marks(results)
    for axes, name in zip(panels, names, strict=True):
        axes.axhline(found["profiles"]["base"]["skills"][name]["score"], color=BASE_COLOR, linewidth=1, linestyle="--")
        for arm, runs in found["steps"].items():
            for run in runs if len(runs) > 1 else ():
                axes.plot(run["steps"], run["skills"][name], color=looks[arm].color, alpha=0.3, linewidth=0.9)
            fallen = [(run["steps"][n], run["skills"][name][n]) for run in runs for n in _collapses(run, name)]
            places = list(zip(*fallen, strict=True)) if fallen else [(), ()]
            axes.plot(*places, "x", color=looks[arm].color, markersize=9, zorder=4)
            at = _mean_curve([{"steps": run["steps"], "greedy": run["skills"]} for run in runs], name)
            axes.plot(list(at), list(at.values()), **looks[arm]._asdict(), linewidth=1.9, markersize=4, label=arm)
        axes.set_xlabel("step")
        axes.set_ylim(0, 102)
    panels[0].set_ylabel("greedy score (%)")
    legend(figure, panels[0])
    return figure
