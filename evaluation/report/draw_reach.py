"""Figures of reach: pass@k with bands and crossovers, the accuracy histogram, and both along training."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reach import bin_names
from evaluation.report.style import BASE_COLOR, FEW_ARMS, GROUP_NAMES, Mark, legend, marks, panels_of

BASE = "base"
Draw = Callable[[dict[str, Any]], Figure | None]
ALONG = {"first": "pass@1 (%)", "last": "pass@k, largest k (%)", "efficiency": "Δ_SE (points)"}


def drawn(results: dict[str, Any]) -> dict[str, Draw]:
    """Name -> what draws it; of the run's own suite `pass_at_k`, and of a further one with its name behind."""
    found: dict[str, Draw] = {}
    for place, own in enumerate(results["reach"]):
        for name, draw in (("pass_at_k", curves), ("accuracies", histogram), ("reach_steps", along)):
            found[name_of(name, own)] = partial(_of, place, draw)
    return found


def name_of(name: str, suite: Mapping[str, Any]) -> str:
    """A figure's name."""
    return name if suite["main"] else f"{name}_{suite['suite']}"


def _of(place: int, draw: Callable[..., Figure | None], results: dict[str, Any]) -> Figure | None:
    return draw(results["reach"][place], marks(results))


def curves(suite: dict[str, Any], looks: dict[str, Mark]) -> Figure:
    """pass@k against k with the 95% band where the models are few; a cross where the base comes to lie above; dotted,
    what the base's answers to other items would get right."""
    figure, panels = panels_of(suite["groups"])
    few = len(suite["arms"]) <= FEW_ARMS
    for axes, group in zip(panels, suite["groups"], strict=True):
        for label, own in suite["curves"].items():
            points = own["groups"][group]
            ks, values, low, high = ([one[key] for one in points] for key in ("k", "value", "low", "high"))
            axes.plot(ks, values, **looks[label]._asdict(), markersize=4, linewidth=1.4, label=label)
            if few:
                axes.fill_between(ks, low, high, color=looks[label].color, alpha=0.15, linewidth=0)
        _crossovers(axes, suite, group, looks)
        if suite["guessing"]["groups"][group]:
            ks = [one["k"] for one in suite["curves"][BASE]["groups"][group]]
            guessed = suite["guessing"]["groups"][group]
            axes.plot(ks, guessed, ":", color=BASE_COLOR, linewidth=1.2, label="answers to other items")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("k")
        axes.set_ylim(0, 102)
    panels[0].set_ylabel("pass@k (%)")
    legend(figure, panels[0])
    return figure


def _crossovers(axes: Axes, suite: dict[str, Any], group: str, looks: dict[str, Mark]) -> None:
    base = suite["curves"][BASE]["groups"][group]
    for arm, own in suite["arms"].items():
        k = own["groups"][group]["crossover"]["k"]
        if k is not None and k > 1:
            height = np.interp(np.log2(k), np.log2([one["k"] for one in base]), [one["value"] for one in base])
            axes.plot(k, height, "x", color=looks[arm].color, markersize=9, markeredgewidth=2, zorder=4)


def histogram(suite: dict[str, Any], looks: dict[str, Mark]) -> Figure:
    """Share of items by their share of right samples, in the published bins; those that no share falls into, as with
    few samples, are passed over."""
    figure, panels = panels_of(suite["groups"])
    names = bin_names()
    every = np.array([shares for own in suite["histogram"].values() for shares in own.values()])
    there = np.flatnonzero(every.any(axis=0))
    for axes, group in zip(panels, suite["groups"], strict=True):
        for label, own in suite["histogram"].items():
            shares = np.array(own[group])[there]
            axes.plot(there, shares, **looks[label]._asdict(), markersize=4, linewidth=1.2, label=label)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_xlabel("right samples of an item (%)")
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel("items (%)")
    legend(figure, panels[0])
    return figure


def along(suite: dict[str, Any], looks: dict[str, Mark]) -> Figure | None:
    """pass@1, pass@k and the sampling-efficiency gap against step: the mean over seeds, single seeds thin."""
    if not any(len(_steps(run)) > 2 for runs in suite["steps"].values() for run in runs):
        return None
    groups = suite["groups"]
    figure = Figure(figsize=(2.9 * max(2, len(groups)), 6.4), layout="constrained")
    panels = figure.subplots(len(ALONG), len(groups), sharex=True, sharey="row", squeeze=False)
    for row, (key, title) in zip(panels, ALONG.items(), strict=True):
        row[0].set_ylabel(title)
        for axes, group in zip(row, groups, strict=True):
            for arm, runs in suite["steps"].items():
                _line(axes, runs, group, key, looks[arm], arm)
    for axes, group in zip(panels[0], groups, strict=True):
        axes.set_title(GROUP_NAMES.get(group, group), loc="left", fontweight="bold")
    for axes in panels[-1]:
        axes.set_xlabel("step")
    legend(figure, panels[0][0])
    return figure


def _steps(run: Mapping[str, Any]) -> list[int]:
    """That were measured."""
    first = next(iter(run["groups"].values()))["first"]
    return [step for step, value in zip(run["steps"], first, strict=True) if value is not None]


def _line(axes: Axes, runs: list[dict[str, Any]], group: str, key: str, look: Mark, arm: str) -> None:
    tables = [dict(zip(run["steps"], run["groups"][group][key], strict=True)) for run in runs]
    tables = [{step: value for step, value in table.items() if value is not None} for table in tables]
    for table in tables if len(tables) > 1 else ():
        axes.plot(list(table), list(table.values()), color=look.color, alpha=0.3, linewidth=0.9)
    shared = [step for step in tables[0] if all(step in table for table in tables)]
    means = [float(np.mean([table[step] for table in tables])) for step in shared]
    axes.plot(shared, means, **look._asdict(), markersize=4, linewidth=1.8, label=arm)
