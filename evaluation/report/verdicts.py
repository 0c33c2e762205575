"""What can be said of each pair of models, in words: by group and benchmark, over seeds and items, corrected."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from evaluation.inference import SEEDS, Estimate, difference, holm, mcnemar, words
from evaluation.report.figures import GROUP_NAMES
from evaluation.report.read import Evaluation, Experiment
from evaluation.statistics import Array

BASE = "base"
Models = dict[int, Evaluation]  # seed -> the compared checkpoint's evaluation


def verdicts(
    experiment: Experiment, benchmarks: dict[str, str], pairs: Iterable[tuple[str, str]]
) -> list[dict[str, Any]]:
    """One entry a pair of models and a group or benchmark, on greedy responses; points, p and p corrected by Holm over
    the pair's groups or benchmarks, and a sentence. Each arm is paired with the base, then those of `pairs`."""
    arms: dict[str, Models] = {arm: {run.seed: run.last for run in runs} for arm, runs in experiment.arms.items()}
    base = {seed: experiment.base for models in arms.values() for seed in models}
    found = [one for arm in arms for one in _pair(arm, BASE, arms[arm], base, benchmarks)]
    return found + [one for a, b in pairs for one in _pair(b, a, arms[b], arms[a], benchmarks)]


def _pair(tuned: str, base: str, own: Models, other: Models, benchmarks: dict[str, str]) -> list[dict[str, Any]]:
    """Of the seeds that both have; nothing where there is none."""
    seeds = sorted(set(own) & set(other))
    gaps = (
        {name: paired(name, [own[s] for s in seeds], [other[s] for s in seeds]) for name in benchmarks} if seeds else {}
    )
    gaps = {name: one for name, one in gaps.items() if one.shape[1] > 1}
    groups: dict[str, list[Array]] = {}
    for name, one in gaps.items():
        groups.setdefault(benchmarks[name], []).append(one)
    by_group = {group: difference(every, graded=True) for group, every in groups.items()}
    by_benchmark = {name: _of_benchmark(one) for name, one in gaps.items()}
    return [
        *_told(tuned, base, "group", by_group),
        *_told(tuned, base, "benchmark", by_benchmark),
    ]


def paired(name: str, tuned: Iterable[Evaluation], base: Iterable[Evaluation]) -> Array:
    """Paired differences of one benchmark, [seeds, items that every model could be scored on]."""
    rows = []
    for models in (tuned, base):
        own = [one.items[name] for one in models]
        rows.append([dict(zip(one.ids, one.greedy, strict=True)) for one in own])
    every = [scores for side in rows for scores in side]
    shared = [item for item in every[0] if all(not np.isnan(scores.get(item, np.nan)) for scores in every)]
    left, right = (np.array([[scores[item] for item in shared] for scores in side]) for side in rows)
    return left - right


def _of_benchmark(gaps_SI: Array) -> Estimate:
    """As `difference`; of one seed p is McNemar's."""
    found = difference([gaps_SI], graded=True)
    if len(gaps_SI) > 1:
        return found
    return found._replace(p=mcnemar(int((gaps_SI > 0).sum()), int((gaps_SI < 0).sum())))


def _told(tuned: str, base: str, kind: str, found: dict[str, Estimate]) -> list[dict[str, Any]]:
    adjusted = holm({name: one.p for name, one in found.items()})
    return [
        {
            "model": tuned,
            "against": base,
            "kind": kind,
            "name": name,
            **{key: 100 * getattr(one, key) for key in ("difference", "low", "high")},
            "p": one.p,
            "p_holm": adjusted[name],
            "seeds": one.seeds,
            "over_seeds": one.over_seeds,
            "sentence": words(
                tuned, base, GROUP_NAMES.get(name, name).lower() if kind == "group" else name, one, adjusted[name]
            ),
        }
        for name, one in found.items()
    ]


def claim(experiment: Experiment) -> str:
    """What the sentences speak of."""
    fewest = min(len(runs) for runs in experiment.arms.values())
    if fewest >= SEEDS:
        return "Intervals are over seeds and items together, with t quantiles for few seeds."
    return (
        f"With fewer than {SEEDS} seeds nothing is known of other seeds: "
        "intervals are over items alone, and the sentences are about these checkpoints only."
    )
