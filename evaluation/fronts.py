"""Fronts: what was gained on the new task against what was kept of the rest, and arms compared at equal gain.

A model is a point: points gained on math (x), mean change of the other groups (y), both against the base. An arm's
points are the rates and checkpoints of its sweep at one seed, and the base, from which it starts. Its front is what no
other of its points beats in both (Pareto). As RL's Razor (arXiv:2509.04259) and Retaining by Doing (arXiv:2510.18874)
have it, arms are compared by their fronts, not by one rate's model each.

Shapes: P points, K measures of what was kept, G gains, D draws (number 0 is the estimate, the others are resamples of
items), S seeds. All in points.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.inference import SEEDS, Estimate, combined
from evaluation.statistics import DRAWS, Array, group_draws

UNDEFINED = 0.05  # share of resamples in which an arm may fall short of a gain that counts as reached
PLACES = 101  # gains at which the area between two fronts is summed
Mask = NDArray[np.bool_]


class Coordinates(NamedTuple):
    """Of one arm's points at one seed on one split; the first measure of `kept` is the one fronts are drawn by."""

    gain_PD: Array
    kept_KPD: Array


def coordinates(
    outcomes: Mapping[str, Array], base: Mapping[str, Array], groups: Mapping[str, str], new_task: str, seed: int = 0
) -> Coordinates:
    """Gains and changes of points, with their resamples: items are drawn within each benchmark, benchmarks of a group
    count equally, and every point, arm and seed sees the same draws, so that differences are paired.

    `outcomes`: benchmark -> [P, items] of 0 and 1; `base`: benchmark -> [items]; `groups`: benchmark -> group. Measures
    kept: the mean of the groups that are not `new_task`, then each of these, in order of appearance. `seed`: of the
    draws; another for each split, whose items have nothing to do with each other.
    """
    gaps: dict[str, list[Array]] = {}
    for name, group in groups.items():
        gaps.setdefault(group, []).append(np.asarray(outcomes[name], float) - np.asarray(base[name], float))
    if new_task not in gaps or len(gaps) < 2:
        raise ValueError(f"coordinates: needs {new_task} and another group, got {', '.join(gaps) or 'nothing'}")
    moved = {group: 100 * _with_draws(own, seed) for group, own in gaps.items()}
    rest = [own for group, own in moved.items() if group != new_task]
    return Coordinates(moved[new_task], np.stack([np.mean(rest, axis=0), *rest]))


def _with_draws(benchmarks: Sequence[Array], seed: int) -> Array:
    """Group means [P, D]: of all items, then of the resamples."""
    whole = np.mean([one.mean(axis=-1) for one in benchmarks], axis=0)
    return np.concatenate([whole[..., None], group_draws(benchmarks, seed)], axis=-1)


def pareto(gain: Array, kept: Array) -> Mask:
    """Which points no other beats: none has as much of both and more of one. [P, ...] -> [P, ...]; equal points both
    stay."""
    gain, kept = np.asarray(gain, float), np.asarray(kept, float)
    as_much = (gain[:, None] >= gain[None]) & (kept[:, None] >= kept[None])
    more = (gain[:, None] > gain[None]) | (kept[:, None] > kept[None])
    stays: Mask = np.logical_not((as_much & more).any(axis=0))
    return stays


def near(gain: Array, kept: Array, within: float) -> Mask:
    """Which points lie at most `within` points below their front: `kept`, plus that, is not less than the most that a
    point of at least this gain keeps. [P] -> [P]. RL's Razor counts such runs in, within 2 points; 0 is the front."""
    gain, kept = np.asarray(gain, float), np.asarray(kept, float)
    best = np.where(gain[None] >= gain[:, None], kept[None], -np.inf).max(axis=1)
    found: Mask = kept + within >= best
    return found


def retention(gain_PD: Array, kept_KPD: Array, front_PD: Mask, gains: Sequence[float]) -> Array:
    """What the front keeps at each of `gains`, [K, G, D]: linear between its neighbouring points; below its lowest
    gain that point's own, for it gained more and kept this; beyond its highest nan, never extrapolated."""
    order = np.argsort(np.where(front_PD, gain_PD, np.inf), axis=0, kind="stable")
    x = np.take_along_axis(np.where(front_PD, gain_PD, np.inf), order, axis=0)
    y = np.take_along_axis(kept_KPD, np.broadcast_to(order, kept_KPD.shape), axis=1)
    at = np.asarray(gains, float)[:, None]
    above = (x[None] < at[..., None, :]).sum(axis=1)  # [G, D]: place of the first point with at least this gain
    right = np.minimum(above, len(x) - 1)
    left = np.maximum(right - 1, 0)
    x_right, x_left = (np.take_along_axis(x, place, axis=0) for place in (right, left))
    y_right, y_left = (np.take_along_axis(y, np.broadcast_to(p, (len(y), *p.shape)), axis=1) for p in (right, left))
    reached = (above < len(x)) & np.isfinite(x_right)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where((above == 0) | (x_right == x_left), 1.0, (at - x_left) / (x_right - x_left))
    found: Array = np.where(reached, y_left + share * (y_right - y_left), np.nan)
    return found


def along(chosen_on: Coordinates, read_on: Coordinates, gains: Sequence[float]) -> Array:
    """`retention` of the front that is chosen on one split, in the coordinates of another, [K, G, D].

    Where both are the same the chance that put points onto the front is in what it seems to keep: too much.
    """
    front = pareto(chosen_on.gain_PD, chosen_on.kept_KPD[0])
    return retention(read_on.gain_PD, read_on.kept_KPD, front, gains)


def reach(chosen_on: Coordinates, read_on: Coordinates) -> float:
    """The highest gain on the front, read on the other split."""
    front = pareto(chosen_on.gain_PD[:, 0], chosen_on.kept_KPD[0, :, 0])
    return float(read_on.gain_PD[front, 0].max())


def estimate(values_SD: Array) -> Estimate | None:
    """The mean over seeds of a number and its resamples, with a 95% interval over items and, from three seeds on, over
    seeds too (evaluation/inference.py). None where a seed has none, or more than UNDEFINED of the resamples have none.

    The draws are the same for every seed, so the variance of their mean holds what items add to all seeds alike, and of
    what each seed adds to each item a share that the variance between seeds holds, too: it is taken off.
    """
    values_SD = np.asarray(values_SD, float)
    seeds, draws = len(values_SD), values_SD[:, 1:]
    whole = draws[:, ~np.isnan(draws).any(axis=0)]
    if np.isnan(values_SD[:, 0]).any() or whole.shape[1] < (1 - UNDEFINED) * draws.shape[1]:
        return None
    if whole.shape[1] < 2:  # no items are known
        return Estimate(float(values_SD[:, 0].mean()), np.nan, np.nan, np.nan, seeds, False)
    items, parts = float(np.var(whole.mean(axis=0), ddof=1)), []
    if seeds >= SEEDS:
        apart = whole - whole.mean(axis=0)
        items = max(0.0, items - float(apart.var(axis=1, ddof=1).sum()) / (seeds - 1) / seeds)
        parts.append((float(np.var(values_SD[:, 0], ddof=1)) / seeds, seeds - 1))
    return combined(float(values_SD[:, 0].mean()), [(items, DRAWS - 1), *parts], seeds)


def mean_between(one_SGD: Array, other_SGD: Array) -> Array:
    """Mean over gains of what `other` keeps more than `one`, where both reach: [S, D]; times the width of the gains it
    is the area between the fronts."""
    difference = np.asarray(other_SGD) - np.asarray(one_SGD)
    there = ~np.isnan(difference)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(there, difference, 0).sum(axis=1) / there.sum(axis=1)
    return found
