"""How well one measure predicts another, where several points come from one run and are no independent ones."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from evaluation.statistics import Array, interval

POINTS = 4  # fewer are no relation
RUNS = 5  # fewer give no interval: a percentile bootstrap of so few is far too narrow
DRAWS = 1000

Found = dict[str, float]


def relation(x: Sequence[float], y: Sequence[float], runs: Sequence[Any], seed: int = 0) -> dict[str, Any]:
    """Fits of y on x through the origin and correlations; `runs` says which run each point is of.

    `linear`: y = a x. `quadratic`: y = a x + b x^2. Each with R^2 = 1 - (squares of what is left) / (squares of y about
    its mean), which is below 0 where the mean would have fitted better. `pearson`, `spearman`. Intervals, 95%, by
    drawing whole runs with replacement (cluster bootstrap, percentiles); none with fewer than RUNS runs. `reason`
    stands in place of all that where there are fewer than POINTS points, or x or y does not vary.
    """
    points = np.array([x, y], dtype=np.float64)
    names = np.array([str(run) for run in runs])
    about: dict[str, Any] = {"points": len(names), "runs": len(set(names))}
    if len(names) < POINTS:
        return about | {"reason": f"{len(names)} points are too few; {POINTS} at least"}
    if np.ptp(points[0]) == 0 or np.ptp(points[1]) == 0:
        return about | {"reason": "all points are at the same place on an axis"}
    found, bounds = _numbers(points), _bounds(points, names, _numbers, seed)
    return about | {name: {"value": value, **bounds[name]} for name, value in found.items()}


def within(
    x: Sequence[float], y: Sequence[float], arms: Sequence[str], runs: Sequence[Any], seed: int = 0
) -> dict[str, Any]:
    """Pearson's correlation of x and y, the mean of its arm taken off each: what is left of it where arms are not
    compared with one another."""
    points, names = np.array([x, y], dtype=np.float64), np.array([str(run) for run in runs])
    of_arm = np.array(arms)
    for arm in set(arms):
        points[:, of_arm == arm] -= points[:, of_arm == arm].mean(axis=1, keepdims=True)
    about: dict[str, Any] = {"points": len(names), "runs": len(set(names))}
    if len(names) < POINTS or len(set(arms)) < 2:
        return about | {"reason": "it takes two arms, and points enough"}
    if np.abs(points).max(axis=1).min() < 1e-12:
        return about | {"reason": "no arm has two points that differ"}
    own = {"pearson": _pearson(points)}
    bounds = _bounds(points, names, lambda drawn: {"pearson": _pearson(drawn)}, seed)
    return about | {name: {"value": value, **bounds[name]} for name, value in own.items()}


def polynomial(x: Array, y: Array, degree: int) -> Array:
    """Coefficients of x, x^2, ... of the least-squares fit through the origin."""
    powers = np.stack([x**power for power in range(1, degree + 1)], axis=1)
    return np.asarray(np.linalg.lstsq(powers, y, rcond=None)[0])


def fitted(x: Array, coefficients: Sequence[float]) -> Array:
    return np.asarray(sum(one * x ** (power + 1) for power, one in enumerate(coefficients)))


def _numbers(points: Array) -> Found:
    x, y = points
    found: Found = {}
    for name, degree in (("linear", 1), ("quadratic", 2)):
        coefficients = polynomial(x, y, degree)
        found |= {f"{name}_{letter}": float(one) for letter, one in zip("ab", coefficients, strict=False)}
        about = float(((y - y.mean()) ** 2).sum())
        left = float(((y - fitted(x, coefficients.tolist())) ** 2).sum())
        found[f"{name}_r2"] = 1 - left / about if about else np.nan
    ranks = np.stack([stats.rankdata(one) for one in points])
    return found | {"pearson": _pearson(points), "spearman": _pearson(ranks)}


def _pearson(points: Array) -> float:
    centred = points - points.mean(axis=1, keepdims=True)
    size = float(np.sqrt((centred**2).sum(axis=1).prod()))
    return float(centred[0] @ centred[1]) / size if size else np.nan


def _bounds(
    points: Array, names: Any, numbers: Callable[[Array], Found], seed: int
) -> dict[str, dict[str, float | None]]:
    """Low and high of each number; None with too few runs. A draw in which a number is undefined is left out of it."""
    own = list(dict.fromkeys(names.tolist()))
    places = [np.flatnonzero(names == run) for run in own]
    drawn: dict[str, list[float]] = {name: [] for name in numbers(points)}
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS if len(own) >= RUNS else 0):
        chosen = np.concatenate([places[one] for one in rng.integers(len(own), size=len(own))])
        for name, value in numbers(points[:, chosen]).items():
            if np.isfinite(value):
                drawn[name].append(value)
    return {
        name: dict(zip(("low", "high"), interval(np.array(values)), strict=True))
        if len(values) > DRAWS / 2
        else {"low": None, "high": None}
        for name, values in drawn.items()
    }
