"""The Transferability Index of Huan et al. 2025 (arXiv 2507.00432): how a gain on math carries over to other groups."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluation.statistics import Array

Scores = Mapping[str, Mapping[str, float]]
Scale = str | Mapping[str, float]
MATH = "math"
FORMULAS = ("signed_root", "relative")
SCALES = ("per_model", "none", "published")
TINY = 1e-9  # an index closer to zero than this counts as zero
# Fitted by us, not published: one sigma a group, equal for every model, with which about half of the published TI
# follow from the published scores (docs/method.md, Transfer). Only ratios to math's matter; their origin is unknown.
PUBLISHED_SIGMA = {"math": 1.0, "other_reasoning": 0.9389**-2, "non_reasoning": 0.8858**-2}
MOST = 0.5  # of a group's gain: what carries more is named
FEW = 3  # benchmarks below which one of them nearly always carries most


@dataclass(frozen=True)
class TransferIndex:
    """`gain` in points; `index` unitless; `ti` in percent; what is undefined is None and has a reason."""

    formula: str
    sigma: dict[str, float | None]  # points; None where the formula divides by none
    gain: dict[str, dict[str, float]]
    index: dict[str, float | None]
    ti: dict[str, float | None]
    reason: dict[str, str]


def transfer_index(
    base: Scores, tuned: Scores, formula: str = "signed_root", scale: Scale = "per_model"
) -> TransferIndex:
    """TI of `tuned` over `base`, both {group: {benchmark: percent}} with the same groups and benchmarks.

    `signed_root` (v2, section 2.1): index_g = sum_b w_b sign(d_b) sqrt|d_b|, with d_b = gain_b / sigma_g and
    w_b = 100 - base_b, normalised in the group. `scale` is sigma: `per_model` (population std of the group's own gains,
    as printed), `none` (1), `published` (PUBLISHED_SIGMA, fitted), or a mapping of group -> sigma.
    `relative` (v1, as reviewed): index_g = mean_b gain_b / base_b; `scale` does not enter.
    TI_g = 100 * index_g / index_math, undefined where the math index is not above zero: a loss there turns signs round.
    Raises ValueError for unknown names, missing groups or benchmarks, and a sigma that is not positive in a mapping.
    """
    _check(base, tuned, formula, scale)
    gain = {g: {b: float(tuned[g][b] - base[g][b]) for b in base[g]} for g in base}
    sigma: dict[str, float | None] = {}
    index: dict[str, float | None] = {}
    reason: dict[str, str] = {}
    for group, own in gain.items():
        scores, gains = np.array([base[group][name] for name in own]), np.array(list(own.values()))
        sigma[group] = float(sigma_of(group, gains, scale)) if formula == "signed_root" else None
        value = float(index_of(group, scores, gains, formula, scale))
        index[group] = None if np.isnan(value) else value
        if np.isnan(value):
            reason[group] = _undefined(base[group], sigma[group])
    ti = {group: _ratio(group, index, reason) for group in base if group != MATH}
    return TransferIndex(formula, sigma, gain, index, ti, reason)


def index_of(group: str, base: Array, gain: Array, formula: str, scale: Scale) -> Array:
    """A group's index from its benchmarks' base scores (percent) and gains (points), both [benchmarks, ...]; nan where
    it is undefined. `transfer_index` says how."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if formula == "relative":
            return np.where((base > 0).all(axis=0), np.mean(gain / base, axis=0), np.nan)
        weights, sigma = 100 - base, sigma_of(group, gain, scale)
        total, deltas = weights.sum(axis=0), gain / sigma
        index = np.sum(weights * np.sign(deltas) * np.sqrt(np.abs(deltas)), axis=0) / total
        return np.where((total > TINY) & (sigma > TINY), index, np.nan)


def sigma_of(group: str, gain: Array, scale: Scale) -> Array:
    """What the gains [benchmarks, ...] of a group are divided by, in points."""
    if scale == "per_model":
        return np.asarray(np.std(gain, axis=0))
    fixed = PUBLISHED_SIGMA if scale == "published" else scale
    return np.full(gain.shape[1:], 1.0 if isinstance(fixed, str) else fixed[group])


def carried(gain: Mapping[str, float]) -> tuple[str, float] | None:
    """The benchmark that makes more than half of what its group gained (or lost), and its share in 0..1.

    Of those that moved the way of the group's mean; None where no benchmark does, and for fewer than three.
    """
    mean = float(np.mean(list(gain.values())))
    same = {name: abs(value) for name, value in gain.items() if value * mean > 0}
    if len(gain) < FEW or not same:
        return None
    name = max(same, key=lambda one: same[one])
    share = same[name] / sum(same.values())
    return (name, share) if share > MOST else None


def _check(base: Scores, tuned: Scores, formula: str, scale: Scale) -> None:
    if formula not in FORMULAS:
        raise ValueError(f"formula={formula!r}: choose one of {', '.join(FORMULAS)}")
    if MATH not in base or set(base) != set(tuned):
        raise ValueError(f"groups {sorted(base)} and {sorted(tuned)}: both need the same groups, `math` among them")
    for group in base:
        if not base[group] or set(base[group]) != set(tuned[group]):
            raise ValueError(
                f"group {group}: benchmarks {sorted(base[group])} and {sorted(tuned[group])} must be the same, and some"
            )
    check_scale(base, scale)


def check_scale(groups: Mapping[str, object], scale: Scale) -> None:
    """ValueError for an unknown scale, or one that has no positive sigma for one of the groups."""
    if isinstance(scale, str) and scale not in SCALES:
        raise ValueError(f"scale={scale!r}: choose {', '.join(SCALES)}, or a mapping of group to sigma")
    fixed = PUBLISHED_SIGMA if scale == "published" else scale
    if not isinstance(fixed, str) and (missing := [group for group in groups if not fixed.get(group, 0) > 0]):
        raise ValueError(f"scale has no positive sigma for {', '.join(missing)}")


def _undefined(base: Mapping[str, float], sigma: float | None) -> str:
    """Why a group has no index."""
    if sigma is None:
        return f"the base scores 0 on {', '.join(name for name, score in base.items() if score <= 0)}"
    if not sigma > TINY:
        return "all gains of the group are equal (sigma 0)"
    return "the base scores 100 on every benchmark (all weights 0)"


def _ratio(group: str, index: Mapping[str, float | None], reason: dict[str, str]) -> float | None:
    math, own = index[MATH], index[group]
    if math is None:
        reason.setdefault(group, f"the math index is undefined: {reason[MATH]}")
        return None
    if math <= TINY:
        reason.setdefault(group, f"the math index is not above zero ({math:.3g})")
        return None
    return None if own is None else 100 * own / math


def as_floats(values: ArrayLike) -> Array:
    """[items] or [seeds, items] as [seeds, items] of floats."""
    return np.atleast_2d(np.asarray(values, dtype=np.float64))
