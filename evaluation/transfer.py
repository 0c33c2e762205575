"""The Transferability Index of Huan et al. 2025 (arXiv 2507.00432): how a gain on math carries over to other groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.statistics import Array, interval, resampled_means

Scores = Mapping[str, Mapping[str, float]]
Scale = str | Mapping[str, float]
MATH = "math"
FORMULAS = ("signed_root", "relative")
TINY = 1e-9  # an index closer to zero than this counts as zero
UNDEFINED_SHARE = 0.025  # resamples without a TI that an interval may leave out


@dataclass(frozen=True)
class TransferIndex:
    """`gain` in points; `index` unitless; `ti` in percent; what is undefined is None and has a reason."""

    formula: str
    sigma: dict[str, float | None]  # points; None where the formula divides by none
    gain: dict[str, dict[str, float]]
    index: dict[str, float | None]
    ti: dict[str, float | None]
    reason: dict[str, str]


@dataclass(frozen=True)
class TransferInterval:
    """The 95% interval of a TI over items, in percent; None where too many resamples have no TI."""

    low: float | None
    high: float | None
    undefined: float  # share of resamples without a TI


def transfer_index(
    base: Scores, tuned: Scores, formula: str = "signed_root", scale: Scale = "per_model"
) -> TransferIndex:
    """TI of `tuned` over `base`, both {group: {benchmark: percent}} with the same groups and benchmarks.

    `signed_root` (v2, section 2.1): index_g = sum_b w_b sign(d_b) sqrt|d_b|, with d_b = gain_b / sigma_g and
    w_b = 100 - base_b, normalised in the group. `scale` is sigma: `per_model` (population std of the group's own gains,
    as printed), `none` (1), or a mapping of group -> sigma.
    `relative` (v1, as reviewed): index_g = mean_b gain_b / base_b; `scale` does not enter.
    TI_g = 100 * index_g / index_math, undefined where the math index is not above zero: a loss there turns signs round.
    Raises ValueError for unknown names, missing groups or benchmarks, and a sigma that is not positive in a mapping.
    """
    _check(base, tuned, formula, scale)
    gain = {g: {b: float(tuned[g][b] - base[g][b]) for b in base[g]} for g in base}
    sigma, index, reason = {}, {}, {}
    for group in base:
        sigma[group] = _sigma(group, gain[group], scale) if formula == "signed_root" else None
        index[group], why = _index(base[group], gain[group], formula, sigma[group])
        if why:
            reason[group] = why
    ti = {group: _ratio(group, index, reason) for group in base if group != MATH}
    return TransferIndex(formula, sigma, gain, index, ti, reason)


def transfer_interval(
    base: Mapping[str, Mapping[str, Array]],
    tuned: Mapping[str, Mapping[str, Array]],
    formula: str = "signed_root",
    scale: Scale = "per_model",
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, TransferInterval]:
    """95% intervals of TI over items: {group: {benchmark: share right of each item, 0..1}}, the same items in both.

    Items are drawn with replacement within each benchmark, the same ones for base and tuned. The benchmarks stay fixed,
    and sigma is taken anew in each resample.
    """
    resampled, number = {}, 0
    for group in base:
        for benchmark in base[group]:
            pair = np.stack([base[group][benchmark], tuned[group][benchmark]])
            resampled[group, benchmark] = 100 * resampled_means(pair, seed + number, draws)
            number += 1
    found: dict[str, list[float]] = {group: [] for group in base if group != MATH}
    for draw in range(draws):
        sides = [{g: {b: float(resampled[g, b][side, draw]) for b in base[g]} for g in base} for side in (0, 1)]
        for group, value in transfer_index(sides[0], sides[1], formula, scale).ti.items():
            if value is not None:
                found[group].append(value)
    return {group: _interval(values, draws) for group, values in found.items()}


def _interval(values: Sequence[float], draws: int) -> TransferInterval:
    undefined = 1 - len(values) / draws
    if undefined > UNDEFINED_SHARE:
        return TransferInterval(None, None, undefined)
    return TransferInterval(*interval(np.asarray(values)), undefined)


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
    if isinstance(scale, str):
        if scale not in ("per_model", "none"):
            raise ValueError(f"scale={scale!r}: choose per_model, none, or a mapping of group to sigma")
    elif missing := [group for group in base if not scale.get(group, 0) > 0]:
        raise ValueError(f"scale has no positive sigma for {', '.join(missing)}")


def _sigma(group: str, gain: Mapping[str, float], scale: Scale) -> float:
    if not isinstance(scale, str):
        return float(scale[group])
    return float(np.std(list(gain.values()))) if scale == "per_model" else 1.0


def _index(
    base: Mapping[str, float], gain: Mapping[str, float], formula: str, sigma: float | None
) -> tuple[float | None, str]:
    names = list(base)
    scores, gains = np.array([base[b] for b in names]), np.array([gain[b] for b in names])
    if sigma is None:
        zero = [b for b in names if base[b] <= 0]
        return (None, f"the base scores 0 on {', '.join(zero)}") if zero else (float(np.mean(gains / scores)), "")
    if sigma <= TINY:
        return None, "all gains of the group are equal (sigma 0)"
    weights = 100 - scores
    if weights.sum() <= TINY:
        return None, "the base scores 100 on every benchmark (all weights 0)"
    deltas = gains / sigma
    return float(np.sum(weights * np.sign(deltas) * np.sqrt(np.abs(deltas))) / weights.sum()), ""


def _ratio(group: str, index: Mapping[str, float | None], reason: dict[str, str]) -> float | None:
    math, own = index[MATH], index[group]
    if math is None:
        reason.setdefault(group, f"the math index is undefined: {reason[MATH]}")
        return None
    if math <= TINY:
        reason.setdefault(group, f"the math index is not above zero ({math:.3g})")
        return None
    return None if own is None else 100 * own / math
