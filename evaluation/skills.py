"""The skill profile: what a model scores on each of five skills, how even that is, which skill fell while math rose.

What is drawn anew for an interval is the case: a question with its twin, and in diagnostics both of its parts, for they
stand and fall together. The domains of a skill count equally, whatever their number of cases.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evaluation import twins
from evaluation.inference import difference, holm
from evaluation.statistics import Array, group_draws, interval, resampled_means, wilson
from evaluation.twins import share

Columns = Mapping[str, Sequence[Any]]
COLUMNS = ("benchmark", "group", "item", "twin", "labels", "sample", "outcome")  # of items.parquet, read for a profile
GREEDY = 0
CELL = ("skill", "domain")
BY = {"skills": ("skill",), "domains": ("domain",), "cells": CELL, "difficulties": ("difficulty",)}
LEVEL = 0.05  # of the family of skills, below which a change counts
Labels = dict[str, str]


@dataclass(frozen=True)
class Answers:
    """The greedy answers to the skills' items in one form: what is right, by item."""

    right: dict[str, float] = field(default_factory=dict)  # 0 or 1; a mean over seeds, or a difference of two
    labels: dict[str, Labels] = field(default_factory=dict)
    pairs: list[twins.Pair] = field(default_factory=list)


def answers(columns: Columns, grade: str = "outcome") -> dict[str, Answers]:
    """Form -> answers by the column `grade`; empty where no item says which skill it is of. What could not be scored is
    left out."""
    found: dict[str, Answers] = {}
    parsed: dict[str, Labels] = {}
    rows = zip(*(columns[name] for name in ("item", "labels", "sample", grade)), strict=True)
    for item, written, sample, outcome in rows:
        labels = parsed.setdefault(written, json.loads(written or "{}"))
        if sample == GREEDY and "skill" in labels and outcome != "unscorable":
            own = found.setdefault(labels["form"], Answers())
            own.right[item], own.labels[item] = float(outcome == "right"), labels
    every = twins.pairs(columns) if found else []
    for own in found.values():
        own.pairs.extend(pair for pair in every if pair[0] in own.labels)
    return found


def profiles(columns: Columns) -> dict[str, Any]:
    """`skills` of scores.json: {form: profile}; empty where the file holds no skills."""
    if "labels" not in columns:
        return {}
    found = {form: profile([own]) for form, own in answers(columns).items()}
    return {"skills": found} if found else {}


def profile(seeds: Sequence[Answers]) -> dict[str, Any]:
    """Of one model, over its seeds: scores in percent with 95% intervals, by skill, domain, cell and difficulty; how
    uneven the skills are; finding and mending; and how alike twins are answered, by what a twin changes."""
    own = mean(seeds)
    by_change: dict[str, list[twins.Pair]] = {"all": own.pairs}
    for pair in own.pairs:
        by_change.setdefault(own.labels[pair[0]]["change"], []).append(pair)
    right = [{item: value == 1.0 for item, value in one.right.items()} for one in seeds]
    return {name: _scored(own, by) for name, by in BY.items()} | {
        "spread": _spread(own),
        "parts": _parts(seeds),
        "twins": {change: twins.agreement(chosen, right) for change, chosen in by_change.items()},
    }


def by_skill(seeds: Sequence[Answers]) -> dict[str, dict[str, Any]]:
    """Of one model, over its seeds: each skill's score in percent with its interval."""
    return _scored(mean(seeds), BY["skills"])


def _scored(own: Answers, by: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {key: _score(cells) for key, cells in _cells(own, by).items()}


def mean(seeds: Sequence[Answers]) -> Answers:
    """One model's answers over its seeds: the items that every seed could score, with their mean."""
    shared = [item for item in seeds[0].right if all(item in own.right for own in seeds)]
    right = {item: float(np.mean([own.right[item] for own in seeds])) for item in shared}
    return Answers(right, seeds[0].labels, seeds[0].pairs)


def scores(own: Answers) -> dict[str, float]:
    """Each skill's score in percent, without an interval."""
    cells = _cells(own, ("skill",))
    return {skill: 100 * float(np.mean([cell.mean() for cell in held])) for skill, held in cells.items()}


def changes(base: Answers, seeds: Sequence[Answers], math: tuple[float, float, float] | None) -> dict[str, Any]:
    """Points that each skill moved by, cases paired, with the 95% interval and p of `inference.difference` over seeds
    and cases, and p corrected over the skills (Holm).

    `math`: what math moved by, and its interval, in points; it rose where the interval lies above 0. A skill fell where
    it moved down and its corrected p is below 0.05; it collapsed where math rose besides.
    """
    shared = [item for item in base.right if all(item in own.right for own in seeds)]
    gaps = [Answers({item: own.right[item] - base.right[item] for item in shared}, base.labels) for own in seeds]
    cells = [_cells(gap, ("skill",)) for gap in gaps]
    found = {skill: _change([own[skill] for own in cells]) for skill in cells[0]}
    corrected = holm({skill: cell["p"] for skill, cell in found.items() if cell["p"] is not None})
    for skill, cell in found.items():
        cell["p_holm"] = corrected.get(skill)
        cell["fell"] = cell["difference"] < 0 and corrected.get(skill, 1.0) < LEVEL
    rose = math is not None and math[1] > 0
    fell = [skill for skill, cell in found.items() if cell["fell"]]
    about = None if math is None else dict(zip(("difference", "low", "high"), math, strict=True))
    return {"skills": found, "math": about, "math_rose": rose, "fell": fell, "collapsed": fell if rose else []}


def _change(seeds: Sequence[Sequence[Array]]) -> dict[str, Any]:
    """Of one skill, from each seed's cells; without an interval where a cell has one case alone."""
    arrays_SC = [np.array(cell) for cell in zip(*seeds, strict=True)]
    if any(array.shape[1] < 2 for array in arrays_SC):
        middle = 100 * float(np.mean([array.mean() for array in arrays_SC]))
        return {"difference": middle, "low": None, "high": None, "p": None}
    found = difference(arrays_SC)
    middle, low, high = (100 * value for value in found[:3])
    return {"difference": middle, "low": low, "high": high, "p": found.p}


def _parts(seeds: Sequence[Answers]) -> dict[str, Any]:
    """Of the questions of diagnostics: found, mended, both, and mended among those found; Wilson's intervals."""
    found = [both for own in seeds for both in _found_and_mended(own)]
    counts = [sum(a for a, _ in found), sum(b for _, b in found), sum(a and b for a, b in found)]
    find, mend, both = (count / len(seeds) for count in counts)
    asked = len(found) / len(seeds)
    if not found:
        return {}
    about = {"find": share(find, asked), "mend": share(mend, asked), "both": share(both, asked)}
    return {"questions": round(asked), **about, "mend_of_found": share(both, find)}


def _found_and_mended(own: Answers) -> list[tuple[bool, bool]]:
    """Of every question whose parts were both scored."""
    tables: dict[str, dict[tuple[str, ...], bool]] = {"find": {}, "mend": {}}
    for item, value in own.right.items():
        labels = own.labels[item]
        if labels["part"] in tables:  # ids end alike, with the case and for a twin with -twin
            tables[labels["part"]][labels["domain"], item[item.rindex(labels["case"]) :]] = value == 1.0
    return [(found, tables["mend"][which]) for which, found in tables["find"].items() if which in tables["mend"]]


def _score(cells: Sequence[Array]) -> dict[str, Any]:
    """Cells count equally. Where all cases agree a bootstrap knows no doubt: then Wilson's interval over cases."""
    every = np.concatenate(cells)
    score = 100 * float(np.mean([cell.mean() for cell in cells]))
    if every.min() == every.max() and every[0] in (0.0, 1.0):
        low, high = wilson(int(every.sum()), len(every))
        return {"score": score, "low": 100 * low, "high": 100 * high, "cases": len(every)}
    low, high = interval(100 * group_draws(cells))
    return {"score": score, "low": low, "high": high, "cases": len(every)}


def _cells(own: Answers, by: tuple[str, ...]) -> dict[str, list[Array]]:
    """Name of what `by` says -> for each of its cells the mean of every case, cells in order of appearance."""
    tables: dict[str, dict[tuple[str, ...], dict[str, list[float]]]] = {}
    for item, value in own.right.items():
        labels = own.labels[item]
        cell = tuple(labels[key] for key in CELL)
        cases = tables.setdefault("_".join(labels[key] for key in by), {}).setdefault(cell, {})
        cases.setdefault(labels["case"], []).append(value)
    return {
        name: [np.array([np.mean(values) for values in cases.values()]) for cases in cells.values()]
        for name, cells in tables.items()
    }


def _spread(own: Answers) -> dict[str, Any]:
    """The standard deviation of the skills' scores about their mean, in points, and the best and the worst of them."""
    cells, found = _cells(own, ("skill",)), scores(own)
    draws = np.array([_draws(held, 100 * place) for place, held in enumerate(cells.values())])  # [skills, draws]
    low, high = interval(100 * draws.std(axis=0))
    ranked = sorted(found, key=lambda name: found[name])
    return {
        "sd": float(np.std(list(found.values()))),
        "low": low,
        "high": high,
        "best": ranked[-1],
        "worst": ranked[0],
    }


def _draws(cells: Sequence[Array], seed: int) -> Array:
    """Draws of a skill's score, independent of another skill's."""
    return np.mean([resampled_means(cell, seed + place) for place, cell in enumerate(cells)], axis=0)
