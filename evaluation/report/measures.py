"""Base and arms side by side: scores and paired differences, arms averaged over their seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.report.read import Evaluation
from evaluation.scores import mean_of
from evaluation.statistics import Array, group_draws, interval, mean_interval

MEASURES = ("greedy", "sampled")


@dataclass(frozen=True)
class Side:
    """The base, or one arm: `items[measure][benchmark]` holds {item: share right, mean over seeds}."""

    benchmarks: dict[str, str]
    items: dict[str, dict[str, dict[str, float]]]
    scores: dict[str, Any]
    pass_at_k: dict[str, dict[str, float | None]]
    counts: dict[str, dict[str, int]]


def side(evaluations: list[Evaluation], benchmarks: dict[str, str]) -> Side:
    """One model's evaluations, one a seed, on the shared benchmarks."""
    items = {m: {name: _items(evaluations, name, m) for name in benchmarks} for m in MEASURES}
    groups: dict[str, list[str]] = {}
    for name, group in benchmarks.items():
        groups.setdefault(group, []).append(name)
    scores = {
        "benchmarks": {
            name: {m: _benchmark(evaluations, name, m, items[m][name]) for m in MEASURES} for name in benchmarks
        },
        "groups": {
            group: {m: _group(evaluations, names, m, items[m]) for m in MEASURES} for group, names in groups.items()
        },
    }
    reach = {group: _pass_at_k(evaluations, names) for group, names in groups.items()}
    return Side(benchmarks, items, scores, reach, {name: _counts(evaluations, name) for name in benchmarks})


def differences(one: Side, other: Side) -> dict[str, Any]:
    """Points by which `other` stands above `one`, per benchmark and group; items paired."""
    found: dict[str, Any] = {"benchmarks": {}, "groups": {}}
    for measure in MEASURES:
        gaps: dict[str, list[Array]] = {}
        for name, group in one.benchmarks.items():
            left, right = _paired(one, other, measure, name)
            gaps.setdefault(group, []).append(right - left)
            found["benchmarks"].setdefault(name, {})[measure] = _difference(
                one, other, "benchmarks", name, measure, [right - left]
            )
        for group, gap in gaps.items():
            found["groups"].setdefault(group, {})[measure] = _difference(one, other, "groups", group, measure, gap)
    return found


def _items(evaluations: list[Evaluation], name: str, measure: str) -> dict[str, float]:
    """Items that every seed could score, with their mean over seeds."""
    seeds = []
    for one in evaluations:
        own = one.items[name]
        values = getattr(own, measure)
        seeds.append({item: float(value) for item, value in zip(own.ids, values, strict=True) if not np.isnan(value)})
    return {
        item: float(np.mean([seed[item] for seed in seeds])) for item in seeds[0] if all(item in seed for seed in seeds)
    }


def _benchmark(evaluations: list[Evaluation], name: str, measure: str, items: dict[str, float]) -> dict[str, Any]:
    written = [one.scores["benchmarks"][name][measure] for one in evaluations]
    if len(written) == 1:
        return dict(written[0])
    low, high = mean_interval(100 * _array(items)) if items else (None, None)
    return _over_seeds([one["score"] for one in written]) | {"low": low, "high": high}


def _group(
    evaluations: list[Evaluation], names: list[str], measure: str, items: dict[str, dict[str, float]]
) -> dict[str, Any]:
    seeds = [mean_of([one.scores["benchmarks"][name][measure]["score"] for name in names]) for one in evaluations]
    arrays = [100 * _array(items[name]) for name in names if items[name]]
    low, high = interval(group_draws(arrays)) if arrays else (None, None)
    spread = _over_seeds(seeds)
    return (spread if len(seeds) > 1 else {"score": spread["score"]}) | {"low": low, "high": high}


def _over_seeds(scores: list[float | None]) -> dict[str, Any]:
    there = [score for score in scores if score is not None]
    spread = float(np.std(there, ddof=1)) if len(there) > 1 else None
    return {"score": mean_of(scores), "seeds": scores, "seed_std": spread}


def _pass_at_k(evaluations: list[Evaluation], names: list[str]) -> dict[str, float | None]:
    tables = [one.scores["benchmarks"][name]["pass_at_k"] for one in evaluations for name in names]
    return {k: mean_of([table[k] for table in tables]) for k in tables[0] if all(k in table for table in tables)}


def _counts(evaluations: list[Evaluation], name: str) -> dict[str, int]:
    own = [one.scores["benchmarks"][name] for one in evaluations]
    found = {key: sum(one[key] for one in own) for key in ("unscorable", "truncated")}
    totals = [one["responses"] for one in own if "responses" in one]
    return found | ({"responses": sum(totals)} if len(totals) == len(own) else {})


def _paired(one: Side, other: Side, measure: str, name: str) -> tuple[Array, Array]:
    left, right = one.items[measure][name], other.items[measure][name]
    shared = [item for item in left if item in right]
    return np.array([left[item] for item in shared]), np.array([right[item] for item in shared])


def _difference(
    one: Side, other: Side, kind: str, name: str, measure: str, gaps: list[Array]
) -> dict[str, float | None]:
    a, b = (each.scores[kind][name][measure]["score"] for each in (one, other))
    low, high = interval(100 * group_draws(gaps)) if all(len(gap) for gap in gaps) else (None, None)
    return {"difference": None if a is None or b is None else b - a, "low": low, "high": high}


def _array(items: dict[str, float]) -> Array:
    return np.array(list(items.values()))
