"""Ability apart from form: every score by each mode of extraction, and what lies between the modes.

`aware` is what a model can do: any clear statement of the answer counts. `format_loss` = aware - strict: what is known
and not said in the asked form. `extractor_artefact` = aware - paper: what the published extractor takes away, a first
line that holds no answer say. Scores in percent, differences in points, paired by item.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.scores import Columns, ItemScores, cells, item_scores, mean_of
from evaluation.statistics import Array, difference_interval

STRICT, AWARE, PAPER = "strict", "aware", "paper"
MODES = (STRICT, AWARE, PAPER)
MEASURES = ("greedy", "sampled")
DIFFERENCES = {"format_loss": STRICT, "extractor_artefact": PAPER}  # name -> the mode that is taken off `aware`

Cell = dict[str, float | None]


def mode_scores(columns: Columns) -> dict[str, dict[str, Any]]:
    """Per benchmark `modes` and the DIFFERENCES; empty where the columns have no modes, as files of old have not.

    `modes` holds None for one that the benchmark does not have.
    """
    if not all(mode in columns for mode in MODES):
        return {}
    items = {mode: _by_mode(columns, mode) for mode in MODES}
    return {name: _benchmark({mode: own.get(name) for mode, own in items.items()}) for name in items[STRICT]}


def group_modes(names: Sequence[str], benchmarks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the benchmarks of a group that have a mode; `over` names them where they are not all."""
    own = {name: benchmarks[name] for name in names if "modes" in benchmarks[name]}
    if not own:
        return {}
    found: dict[str, Any] = {"modes": {mode: _group_mode(mode, own) for mode in MODES}}
    for name in DIFFERENCES:
        there = {benchmark: one[name] for benchmark, one in own.items() if one[name]}
        found[name] = {m: mean_of([one[m]["difference"] for one in there.values()]) for m in MEASURES} | _over(
            there, names
        )
    return found


def _by_mode(columns: Columns, mode: str) -> dict[str, ItemScores]:
    """Item scores with this mode's grades; only of benchmarks that have it."""
    having = {name for name, grade in zip(columns["benchmark"], columns[mode], strict=True) if grade is not None}
    found = item_scores({**columns, "outcome": [grade or "unscorable" for grade in columns[mode]]})
    return {name: own for name, own in found.items() if name in having}


def _benchmark(items: Mapping[str, ItemScores | None]) -> dict[str, Any]:
    aware = items[AWARE]
    found: dict[str, Any] = {"modes": {mode: cells(own) if own else None for mode, own in items.items()}}
    for name, mode in DIFFERENCES.items():
        other = items[mode]
        both = aware is not None and other is not None
        found[name] = {m: _difference(getattr(other, m), getattr(aware, m)) for m in MEASURES} if both else None
    return found


def _difference(less: Array, more: Array) -> Cell:
    """Points by which `more` lies above `less`, over the items that both have."""
    both = ~np.isnan(less) & ~np.isnan(more)
    if not both.any():
        return {"difference": None, "low": None, "high": None}
    less, more = less[both], more[both]
    low, high = difference_interval([less], [more]) if (less != more).any() else (0.0, 0.0)
    return {"difference": 100 * float((more - less).mean()), "low": 100 * low, "high": 100 * high}


def _group_mode(mode: str, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    there = {name: one["modes"][mode] for name, one in own.items() if one["modes"][mode]}
    if not there:
        return None
    return {m: mean_of([one[m]["score"] for one in there.values()]) for m in MEASURES} | _over(there, list(own))


def _over(there: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[str]]:
    return {} if len(there) == len(names) else {"over": list(there)}
