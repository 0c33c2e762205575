"""What is known of an index of transfer from few items and few seeds: 95% intervals, and when there is no number.

Draws are plausible truths, not repeated estimates: of each benchmark's score of the base and gain of the tuned model.
Any index is then a function of each draw, whatever its formula, and its interval holds the middle 95% of its values.

Items: a Bayesian bootstrap (Rubin 1981), the same weights for base and tuned. The four pairs of answers (both wrong,
gained, lost, both right) count half an item each, as Agresti and Min 2005 (Statistics in Medicine 24:729) have it for
matched pairs: without them a benchmark on which no item changed would be certain not to have moved at all.
Seeds: a multivariate t with S - 1 degrees of freedom over the seeds' own gains, one draw for all benchmarks, for which
the middle 95% of any weighted mean is its t interval. What seeds and items share is counted once, as in
`inference.difference`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.inference import SEEDS
from evaluation.statistics import Array
from evaluation.transfer import MATH, TINY, Scale, as_floats, check_scale, index_of

DRAWS = 2000
AT_ONCE = 4_000_000  # weights held in memory
CELLS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])  # base, tuned
CELL = 0.5  # items that each of CELLS counts

Shares = Mapping[str, Mapping[str, Array]]


class Drawn(NamedTuple):
    """Plausible scores of the base (percent) and gains (points) of a group's benchmarks, both [benchmarks, draws]."""

    base: Array
    gain: Array


class Bounds(NamedTuple):
    """A 95% interval; None at both ends where there is none, and why."""

    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True)
class Intervals:
    """`index` of every group, `ti` (percent) of every group but math."""

    index: dict[str, Bounds]
    ti: dict[str, Bounds]


def drawn(base: Shares, tuned: Shares, over_seeds: bool = True, seed: int = 0, draws: int = DRAWS) -> dict[str, Drawn]:
    """Plausible truths by group: {group: {benchmark: share right of each item, 0..1}}; `tuned` [items], or
    [seeds, items], the same items as the base's.

    `over_seeds` with at least three seeds: of what training with other seeds would give; else of these checkpoints.
    ValueError where items differ in number.
    """
    rng = np.random.default_rng(seed)
    found, pull = {}, None
    for group, own in base.items():
        sides = []
        for benchmark, right in own.items():
            left, gaps = _pairs(np.asarray(right, dtype=np.float64), as_floats(tuned[group][benchmark]), benchmark)
            crossed = over_seeds and len(gaps) >= SEEDS
            pull = _pulls(len(gaps), rng, draws) if pull is None else pull
            sides.append(_benchmark(left, gaps, pull if crossed else None, rng, draws))
        found[group] = Drawn(*(100 * np.stack(side) for side in zip(*sides, strict=True)))
    return found


def intervals(found: Mapping[str, Drawn], formula: str = "signed_root", scale: Scale = "per_model") -> Intervals:
    """Of one formula and scale (`transfer_index`), from `drawn`.

    TI is unbounded, and has no interval, where the interval of the math index touches zero.
    """
    check_scale(found, scale)
    indices = {group: index_of(group, own.base, own.gain, formula, scale) for group, own in found.items()}
    index = {group: _middle(values) for group, values in indices.items()}
    ti = {group: _ti(values, indices[MATH], index[MATH]) for group, values in indices.items() if group != MATH}
    return Intervals(index, ti)


def _pairs(base: Array, tuned_SI: Array, benchmark: str) -> tuple[Array, Array]:
    if tuned_SI.shape[1] != len(base) or not len(base):
        raise ValueError(f"{benchmark}: {len(base)} items of the base against {tuned_SI.shape[1]}; pair some items")
    return base, tuned_SI - base


def _benchmark(
    base: Array, gaps_SI: Array, pull: NDArray[np.float64] | None, rng: np.random.Generator, draws: int
) -> tuple[Array, Array]:
    """Plausible score of the base and gain, [draws] each, as shares."""
    mean = gaps_SI.mean(axis=0)
    score, moved = _weighted(base, mean, rng, draws)
    if pull is None:
        return score, moved
    centre = float(mean.mean())
    moved = centre + _own_share(gaps_SI) * (moved - centre)
    moved = moved + pull @ (gaps_SI.mean(axis=1) - centre)
    return score, np.clip(moved, -score, 1 - score)  # a score lies in 0..1


def _weighted(base: Array, gain: Array, rng: np.random.Generator, draws: int) -> tuple[Array, Array]:
    """Means under random weights of the items and of CELLS."""
    rows = np.vstack([np.stack([base, gain], axis=1), np.stack([CELLS[:, 0], CELLS[:, 1] - CELLS[:, 0]], axis=1)])
    parts = []
    for start in range(0, draws, at_once := max(1, AT_ONCE // len(rows))):
        count = min(at_once, draws - start)
        weights = np.hstack([rng.standard_exponential((count, len(base))), rng.gamma(CELL, size=(count, len(CELLS)))])
        parts.append(weights @ rows / weights.sum(axis=1, keepdims=True))
    score, moved = np.concatenate(parts).T
    return score, moved


def _own_share(gaps_SI: Array) -> float:
    """By how much the items' spread is more than what seeds bring to each item (which the seeds' means have in them
    already): the root of (MS_items - MS_rest) / MS_items, 0..1; 1 where the items do not differ."""
    seeds, items = gaps_SI.shape
    if items < 2:
        return 1.0
    between = seeds * float(np.var(gaps_SI.mean(axis=0), ddof=1))
    rest = gaps_SI - gaps_SI.mean(axis=0) - gaps_SI.mean(axis=1, keepdims=True) + gaps_SI.mean()
    noise = float((rest**2).sum()) / ((seeds - 1) * (items - 1))
    return 1.0 if between == 0 else float(np.sqrt(max(0.0, between - noise) / between))


def _pulls(seeds: int, rng: np.random.Generator, draws: int) -> Array:
    """[draws, seeds]: times the seeds' deviations from their mean gives a t deviate of that mean."""
    normal = rng.standard_normal((draws, seeds))
    if seeds < SEEDS:
        return normal
    chi = rng.chisquare(seeds - 1, draws)
    return normal / np.sqrt(seeds * chi)[:, None]


def _middle(values: Array) -> Bounds:
    there = values[~np.isnan(values)]
    if len(there) < 0.975 * len(values):
        return Bounds(None, None, "undefined in too many draws")
    low, high = np.percentile(there, [2.5, 97.5])
    return Bounds(float(low), float(high))


def _ti(values: Array, math: Array, bounds: Bounds) -> Bounds:
    if bounds.low is None or bounds.high is None:
        return Bounds(None, None, f"the math index has no interval: {bounds.reason}")
    if bounds.low <= TINY:
        return Bounds(None, None, f"the math index may be zero ({bounds.low:.2f} to {bounds.high:.2f})")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(math > TINY, 100 * values / math, np.sign(values) * np.inf)
    there = ratio[~np.isnan(ratio)]
    if len(there) < 0.975 * len(ratio):
        return Bounds(None, None, "undefined in too many draws")
    low, high = np.quantile(there, [0.025, 0.975], method="inverted_cdf")
    if not np.isfinite([low, high]).all():
        return Bounds(None, None, "without bound in too many draws")
    return Bounds(float(low), float(high))
