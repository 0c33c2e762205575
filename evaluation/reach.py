"""What a model can still find among many samples: pass@k curves, where they cross, which items each model solves.

All of it from how many of an item's samples are right. Shares are fractions in 0..1. Letters of shapes: S seeds, I
items of a benchmark, K values of k. Yue et al. 2025 (arXiv 2504.13837) compare base and RL so; docs/method.md says what
it cannot tell.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import hypergeom

from evaluation.inference import SEEDS, difference
from evaluation.statistics import DRAWS, Array, group_draws, wilson

Counts = NDArray[np.int64]
BINS = 12  # of the accuracy histogram: 0, (0, 0.1], ..., (0.8, 0.9], (0.9, 1), 1
OFTEN = 0.05  # of the samples that are right of an item which a model solves more than by a rare chance
TINY = 1e-9  # a gap closer to zero than this is none


class Counted(NamedTuple):
    """One benchmark's samples of one model: right and scorable ones of each item, [S, I] or [I]."""

    right: Counts
    total: Counts


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [2**power for power in range(most.bit_length())] if most > 0 else []


def pass_at_ks(right: Counts, total: Counts, ks: Sequence[int]) -> Array:
    """Unbiased pass@k [..., K] of items with `right` of `total` samples right; nan where there are fewer than k.

    As `statistics.pass_at_k` (Chen et al. 2021, equation 1), by log-gamma: 1 - C(n - c, k) / C(n, k).
    """
    n, c, k = (np.asarray(one, dtype=np.float64) for one in (total, right, ks))
    n, c = n[..., None], c[..., None]
    with np.errstate(invalid="ignore"):
        missed = gammaln(n - c + 1) - gammaln(n - c - k + 1) - gammaln(n + 1) + gammaln(n - k + 1)
        found = np.where(c == 0, 0.0, np.where(n - c < k, 1.0, -np.expm1(missed)))
    return np.where(n < k, np.nan, found)


def mean_share(benchmarks: Sequence[Array]) -> dict[str, float]:
    """Mean over benchmarks of shares [S, I] with its 95% interval, {value, low, high}: `inference.difference`'s, cut to
    0..1. Where all items agree it would know no doubt: there Wilson's over items."""
    every = np.concatenate([one.mean(axis=0) for one in benchmarks])
    if every.min() == every.max() and every[0] in (0.0, 1.0):
        low, high = wilson(int(every.sum()), len(every))
        return {"value": float(every[0]), "low": low, "high": high}
    found = difference(benchmarks)
    return {"value": found.difference, "low": max(0.0, found.low), "high": min(1.0, found.high)}


def crossing(gap: Array, ks: Sequence[int]) -> Array:
    """The smallest k from which on the base lies above up to the last of `ks`; inf where it does not at the last.

    `gap`: [..., K], tuned minus base. Between two of `ks` it is interpolated, the gap as linear in log k; 1 where the
    base is above everywhere.
    """
    places = np.log2(np.asarray(ks, dtype=np.float64))
    trailing = np.cumprod((gap < -TINY)[..., ::-1], axis=-1).sum(axis=-1)
    first = len(ks) - trailing  # from this one on the base is above
    inside = (first > 0) & (first < len(ks))
    at = np.clip(first, 1, len(ks) - 1)
    before, after = (np.take_along_axis(gap, (at - back)[..., None], -1)[..., 0] for back in (1, 0))
    part = np.divide(before, before - after, out=np.zeros_like(before), where=inside)
    between = places[at - 1] + (places[at] - places[at - 1]) * np.maximum(part, 0.0)
    return np.where(first == len(ks), np.inf, np.where(inside, 2.0**between, float(ks[0])))


def crossover(gaps: Sequence[Array], ks: Sequence[int], seed: int = 0, draws: int = DRAWS) -> dict[str, Any]:
    """`crossing` of the mean over benchmarks of `gaps`, one [S, I, K] (tuned minus base) a benchmark: {k, low, high,
    crossed, seeds}; None stands for none up to the last of `ks`.

    The interval is a bootstrap's over items drawn within each benchmark; from three seeds on, each draw moves the curve
    by the seeds' deviations, weighed so that their mean is t-distributed. `crossed`: the share of draws with a
    crossover; `seeds`: that of each seed.
    """
    curves_SK = np.mean([one.mean(axis=1) for one in gaps], axis=0)
    drawn = group_draws([one.mean(axis=0).T for one in gaps], seed, draws).T  # [draws, K]
    if len(curves_SK) >= SEEDS:
        drawn = drawn + _of_seeds(curves_SK - curves_SK.mean(axis=0), seed, draws)
    found = crossing(drawn, ks)
    low, high = np.quantile(found, [0.025, 0.975], method="inverted_cdf")
    own = crossing(np.concatenate([curves_SK.mean(axis=0)[None], curves_SK]), ks)
    k, *seeds = (float(one) if np.isfinite(one) else None for one in own)
    bounds = {name: float(one) if np.isfinite(one) else None for name, one in (("low", low), ("high", high))}
    return {"k": k, **bounds, "crossed": float(np.isfinite(found).mean()), "seeds": seeds}


def _of_seeds(deviations_SK: Array, seed: int, draws: int) -> Array:
    """Draws [draws, K] of how far the seeds' mean curve lies from that of all seeds: t with S - 1 degrees."""
    rng, count = np.random.default_rng([seed, 1]), len(deviations_SK)
    scale = np.sqrt((count - 1) / rng.chisquare(count - 1, draws))
    weights = rng.standard_normal((draws, count)) * scale[:, None] / np.sqrt(count * (count - 1))
    return np.asarray(weights @ deviations_SK)


class Sets(NamedTuple):
    """Share of items (expected, where there are more samples than are compared) by who solves them."""

    both: Array
    base_only: Array
    tuned_only: Array
    neither: Array


def solved(counted: Counted, k: int, least: int = 1) -> Array:
    """The chance that at least `least` of k of an item's samples are right; 0 or 1 where it has no more than k."""
    return np.asarray(hypergeom.sf(least - 1, counted.total, counted.right, k), dtype=np.float64)


def solvable(base: Counted, tuned: Counted, k: int, least: int = 1) -> Sets:
    """Who solves each item with k samples each, the `least` of them right: base [I], tuned [S, I] -> each [S, I]."""
    one, other = solved(base, k, least), solved(tuned, k, least)
    return Sets(one * other, one * (1 - other), (1 - one) * other, (1 - one) * (1 - other))


def halves(base: Counted, k: int) -> Sets:
    """The same of two models that are one: k of an item's samples against k others of them, over all ways to part them.

    What it calls solved by one alone is what chance alone calls so. It needs 2k samples an item.
    """
    one, two = np.moveaxis(pass_at_ks(base.right, base.total, [k, 2 * k]), -1, 0)
    return Sets(2 * one - two, two - one, two - one, 1 - two)


def often(k: int) -> int:
    """Right samples of k from which on an item counts as solved more than by a rare chance."""
    return max(2, int(np.ceil(OFTEN * k)))


def missed_by_half(k: int) -> float:
    """The chance of a right sample at which k samples hold none as often as not: rarer solutions stay unseen."""
    return float(1 - 0.5 ** (1 / k))


def histogram(counted: Counted) -> Array:
    """Share of items in each of BINS by their share of right samples, over seeds alike (Yue et al. 2025, figure 5)."""
    right, total = counted.right.ravel(), counted.total.ravel()
    place = np.where(right == total, BINS - 1, -(-10 * right // np.maximum(total, 1)))
    return np.bincount(place[total > 0], minlength=BINS) / max(1, int((total > 0).sum()))


def bin_names() -> list[str]:
    """Of `histogram`'s bins, in percent."""
    middle = [f"{10 * low}–{10 * low + 10}" for low in range(10)]
    return ["0", *middle, "100"]
