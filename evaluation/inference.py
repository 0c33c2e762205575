"""What may be said of a difference between two models: intervals over seeds and items, tests, correction, words.

Shares are fractions in 0..1; `Estimate` is in the unit of what it was made of.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from evaluation.rounding import fixed
from evaluation.statistics import Array

SEEDS = 3  # fewer say nothing of other seeds
LEVEL = 0.95
LEAST_P = 1e-15


class Estimate(NamedTuple):
    """A mean difference, its 95% interval, and the two-sided p of no difference; nan where nothing can be said."""

    difference: float
    low: float
    high: float
    p: float
    seeds: int
    over_seeds: bool  # False: over items alone, so of these checkpoints only


def difference(benchmarks: Sequence[Array], graded: bool = False) -> Estimate:
    """Mean over benchmarks of paired differences, one array [S seeds, I items] a benchmark; benchmarks count equally.

    Seeds and items are both samples, and crossed: every seed answers the same items. For each benchmark the mean
    squares of a two-way layout without replication (Searle, Casella and McCulloch 1992, Variance Components) give the
    variance of its mean, (MS_seeds + MS_items - MS_rest) / (S I). Seeds are shared by the benchmarks, so their part is
    taken from the means over all of them, and `combined` puts them together. Below three seeds the
    interval is over items alone, each item's mean over the seeds. `graded`: of right (1) and wrong (0) answers. Then a
    benchmark on which all items moved alike, say none at all, is not taken for certain: its variance is what half an
    item gained and half a one lost leave (Agresti and Min 2005). ValueError for unequal numbers of seeds or fewer than
    two items.
    """
    seeds = len(benchmarks[0])
    if any(len(one) != seeds or one.shape[1] < 2 for one in benchmarks):
        raise ValueError("difference: every benchmark needs the same seeds, and two items")
    middle = float(np.mean([one.mean() for one in benchmarks]))
    parts = [_alike(one) if graded and np.ptp(one) == 0 else _items(one, seeds >= SEEDS) for one in benchmarks]
    scaled = [(value / len(benchmarks) ** 2, df) for value, df in parts]
    if seeds >= SEEDS:
        means = np.mean([one.mean(axis=1) for one in benchmarks], axis=0)
        scaled.append((float(np.var(means, ddof=1)) / seeds, seeds - 1))
    found = combined(middle, scaled, seeds)
    return found._replace(low=max(-1.0, found.low), high=min(1.0, found.high)) if graded else found


def _alike(gaps_SI: Array) -> tuple[float, int]:
    """As `_items`, where every item of a benchmark moved alike in every seed."""
    items = gaps_SI.shape[1]
    return (items + 2) ** -2, items - 1


def _items(gaps_SI: Array, crossed: bool) -> tuple[float, int]:
    """What the choice of items adds to the variance of the mean, and its degrees of freedom.

    `crossed`: without what each seed adds to each item, which the variance between the seeds' means has in it already.
    """
    seeds, items = gaps_SI.shape
    between = float(np.var(gaps_SI.mean(axis=0), ddof=1)) / items
    if not crossed:
        return between, items - 1
    rest = gaps_SI - gaps_SI.mean(axis=0) - gaps_SI.mean(axis=1, keepdims=True) + gaps_SI.mean()
    noise = float((rest**2).sum()) / ((seeds - 1) * (items - 1))
    return max(0.0, between - noise / (seeds * items)), items - 1


def combined(middle: float, parts: Sequence[tuple[float, int]], seeds: int) -> Estimate:
    """The estimate whose variance is the sum of `parts`, (variance, degrees of freedom) each.

    Half of the interval is the root of the sum of squared t quantiles times variances (the method of variance estimates
    recovery, Zou and Donner 2008, Statistics in Medicine 27:1693): the t interval where one part is all, and no shorter
    than the seeds' own. Degrees of freedom of the sum as Satterthwaite 1946 has them let a variance of three seeds that
    came out small by chance pass for a well known one: two equal arms were called different in 4% instead of 1.7%.
    """
    known = [(value, df) for value, df in parts if value > 0]
    if not known:
        return Estimate(middle, middle, middle, 1.0 if middle == 0 else 0.0, seeds, seeds >= SEEDS)
    variances, freedom = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))

    def half(alpha: float) -> float:
        return float(np.sqrt(np.sum(special.stdtrit(freedom, alpha / 2) ** 2 * variances)))

    width = half(1 - LEVEL)
    return Estimate(middle, middle - width, middle + width, _level(abs(middle), half), seeds, seeds >= SEEDS)


def _level(distance: float, half: Callable[[float], float]) -> float:
    """The two-sided p: the level at which the interval just reaches no difference, LEAST_P at the least."""
    if distance == 0:
        return 1.0
    if half(LEAST_P) <= distance:
        return LEAST_P
    return float(np.exp(optimize.brentq(lambda log: half(np.exp(log)) - distance, np.log(LEAST_P), 0.0, xtol=1e-9)))


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p that as many items turn right as turn wrong (McNemar 1947; the binomial test of the discordant
    pairs). Nothing discordant: 1."""
    if gained < 0 or lost < 0:
        raise ValueError(f"mcnemar(gained={gained}, lost={lost}): counts of items")
    return 1.0 if gained + lost == 0 else float(stats.binomtest(gained, gained + lost).pvalue)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for as many tests (Holm 1979): at most a share 0.05 of families has a false one below 0.05."""
    ordered = sorted(p, key=lambda name: p[name])
    found: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(p) - rank) * p[name]))
        found[name] = highest
    return {name: found[name] for name in p}


def words(tuned: str, base: str, what: str, found: Estimate, adjusted: float) -> str:
    """One sentence in points: what `tuned` gained or lost against `base` on `what`; `adjusted` is its corrected p."""
    points = [100 * value for value in (found.difference, found.low, found.high)]
    seeds = f"{found.seeds} seed{'s' if found.seeds > 1 else ''}"
    basis = seeds if found.over_seeds else f"{seeds}, so of these checkpoints only"
    if np.isnan(adjusted) or adjusted >= 1 - LEVEL or points[1] <= 0 <= points[2]:
        size, low, high = (fixed(value, sign=True) for value in points)
        told = f"{size} points, 95% interval {low} to {high}, {basis}"
        return f"{tuned} and {base} are not shown to differ on {what} ({told})."
    rose = points[0] > 0
    size, low, high = (fixed(value) for value in (abs(points[0]), *sorted(abs(value) for value in points[1:])))
    if base == "base":
        told = f"{tuned} {'gained' if rose else 'lost'} {size} points on {what}"
    else:
        told = f"{tuned} stands {size} points {'above' if rose else 'below'} {base} on {what}"
    return f"{told} (95% interval {low} to {high}, {basis})."
