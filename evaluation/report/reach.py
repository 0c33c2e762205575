"""How far base and arms reach among many samples: of the run's own suite, and of each further one with samples.

Counts of right samples are read by item; the same items and the same number of samples speak for every model. Values in
percent, differences in points.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation import reach as of
from evaluation.exploration import ANSWERED, FORMED, Forms, distinct, forms, guesses
from evaluation.inference import difference
from evaluation.reach import Counted
from evaluation.report import budgets
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.scores import GREEDY
from evaluation.statistics import Array, wilson

BASE = "base"
ENOUGH = 0.9  # of a benchmark's items that must have k scorable samples in every model, for k to be shown
FEWEST = 2  # items of a benchmark, samples of an item, right samples of which distinct ones are counted
MEASURES = ("distinct", "effective")

Models = Mapping[str, Sequence[Evaluation]]  # base and arms; of an arm one a seed
Passes = dict[str, Array]  # benchmark -> pass@k [S, I, K]


class Shared(NamedTuple):
    """What every model has of one benchmark."""

    group: str
    ids: list[str]
    most: int  # the largest power of two of samples that they have
    left_out: int  # items without as many in every model


def reach(experiment: Experiment) -> list[dict[str, Any]]:
    """One entry a suite whose responses were sampled: curves, crossovers, sets, histogram, ways, trajectories."""
    lasts = {arm: [run.last for run in runs] for arm, runs in experiment.arms.items()}
    further = dict.fromkeys(name for own in (experiment.base, *sum(lasts.values(), [])) for name in own.suites)
    found = (_suite(experiment, {BASE: [experiment.base], **lasts}, name) for name in ("", *further))
    return [one for one in found if one]


def _suite(experiment: Experiment, lasts: Models, name: str) -> dict[str, Any]:
    """Empty where the base has no samples on it. An arm that has none of it is `lacking`."""
    models = {label: [one for own in every if (one := of_suite(own, name))] for label, every in lasts.items()}
    lacking = [label for label, own in models.items() if len(own) < len(lasts[label]) or not own]
    models = {label: own for label, own in models.items() if label not in lacking}
    shared = _shared(models) if BASE in models and len(models) > 1 else {}
    if not shared:
        return {}
    counted = {label: {b: counted_of(own, b, one.ids) for b, one in shared.items()} for label, own in models.items()}
    passes = {label: _passes(own, shared) for label, own in counted.items()}
    right = {label: [_forms(one) for one in own] for label, own in models.items()}
    kinds = _kinds(shared)
    return {
        "suite": name or experiment.runs[0].configuration.suite.name,
        "main": not name,
        "lacking": lacking,
        "benchmarks": {b: one._asdict() | {"ids": len(one.ids)} for b, one in shared.items()},
        "groups": list(kinds["groups"]),
        "curves": {
            label: _each(kinds, lambda names, own=own: _curve(own, shared, names)) for label, own in passes.items()
        },
        "guessing": _guessing(models[BASE][0], shared, kinds),
        "arms": {
            arm: _each(
                kinds,
                lambda names, arm=arm: (
                    _against_base(names, shared, passes, counted, arm)
                    | {"explored": explored(right[BASE][0], right[arm], names)}
                ),
            )
            for arm in models
            if arm != BASE
        },
        "histogram": {label: _histogram(own, kinds["groups"]) for label, own in counted.items()},
        "steps": {
            arm: [
                _along(run, name, shared, kinds["groups"], passes[BASE], right[BASE][0]) for run in experiment.arms[arm]
            ]
            for arm in models
            if arm != BASE
        },
    }


def of_suite(evaluation: Evaluation, name: str) -> Evaluation | None:
    """The evaluation of a further suite, or without a name the run's own."""
    return evaluation.suites.get(name) if name else evaluation


def _forms(evaluation: Evaluation) -> dict[str, dict[str, Forms]]:
    return forms(evaluation.table(FORMED, [("sample", ">", GREEDY), ("outcome", "=", "right")]))


def _shared(models: Models) -> dict[str, Shared]:
    """Benchmarks of which every model has at least FEWEST items with as many samples."""
    found = {}
    every = [one.items for own in models.values() for one in own]
    for name, first in every[0].items():
        if not all(name in own for own in every):
            continue
        tables = [dict(zip(own[name].ids, own[name].total, strict=True)) for own in every]
        fewest = {item: min(table.get(item, 0) for table in tables) for item in first.ids}
        enough = np.quantile(list(fewest.values()), 1 - ENOUGH, method="lower")
        most = max(of.powers_of_two(int(enough)), default=0)
        ids = [item for item, samples in fewest.items() if samples >= most]
        if most >= FEWEST and len(ids) >= FEWEST:
            found[name] = Shared(first.group, ids, most, len(first.ids) - len(ids))
    return found


def _kinds(shared: Mapping[str, Shared]) -> dict[str, dict[str, list[str]]]:
    groups: dict[str, list[str]] = {}
    for name, one in shared.items():
        groups.setdefault(one.group, []).append(name)
    return {"groups": groups, "benchmarks": {name: [name] for name in shared}}


def _each(kinds: Mapping[str, Mapping[str, list[str]]], make: Any) -> dict[str, dict[str, Any]]:
    """{groups: {name: ...}, benchmarks: {name: ...}}, each made of the benchmarks that it stands for."""
    return {kind: {name: make(names) for name, names in own.items()} for kind, own in kinds.items()}


def counted_of(evaluations: Sequence[Evaluation], benchmark: str, ids: Sequence[str]) -> Counted:
    """[S, I], in the order of `ids`."""
    tables = []
    for one in evaluations:
        own = one.items[benchmark]
        place = {item: i for i, item in enumerate(own.ids)}
        chosen = [place[item] for item in ids]
        tables.append((own.right[chosen], own.total[chosen]))
    right, total = (np.array(side, dtype=np.int64) for side in zip(*tables, strict=True))
    return Counted(right, total)


def _passes(counted: Mapping[str, Counted], shared: Mapping[str, Shared]) -> Passes:
    return {b: of.pass_at_ks(*own, of.powers_of_two(shared[b].most)) for b, own in counted.items()}


def _ks(shared: Mapping[str, Shared], names: Sequence[str]) -> list[int]:
    """That all of the benchmarks have."""
    return of.powers_of_two(min(shared[name].most for name in names))


def _curve(passes: Passes, shared: Mapping[str, Shared], names: Sequence[str]) -> list[dict[str, float]]:
    return [
        {"k": k, **_percent(of.mean_share([passes[name][..., place] for name in names]))}
        for place, k in enumerate(_ks(shared, names))
    ]


def _against_base(
    names: Sequence[str],
    shared: Mapping[str, Shared],
    passes: Mapping[str, Passes],
    counted: Mapping[str, Mapping[str, Counted]],
    arm: str,
) -> dict[str, Any]:
    ks = _ks(shared, names)
    pairs = [(passes[BASE][name][..., : len(ks)], passes[arm][name][..., : len(ks)]) for name in names]
    gaps = [tuned - base for base, tuned in pairs]
    return {
        "k": ks[-1],
        "first": gap([gap[..., 0] for gap in gaps]),
        "last": gap([gap[..., -1] for gap in gaps]),
        "crossover": of.crossover(gaps, ks),
        "efficiency": gap([base[..., -1] - tuned[..., 0] for base, tuned in pairs]),
        "sets": _sets([(_first(counted[BASE][name]), counted[arm][name]) for name in names], ks[-1]),
    }


def _sets(pairs: Sequence[tuple[Counted, Counted]], k: int) -> dict[str, Any]:
    """Who solves which share of the items: with k samples each, once or often; and with k/2, beside the base against
    itself, whose other k/2 samples it is then compared with."""
    half = k // 2
    chance = [of.halves(base, half) for base, _ in pairs]
    at_half = [of.solvable(base, tuned, half) for base, tuned in pairs]
    beyond = {}
    for who in ("base_only", "tuned_only"):
        beyond[who] = gap([getattr(a, who) - getattr(b, who) for a, b in zip(at_half, chance, strict=True)])
    return {
        "once": _shares([of.solvable(base, tuned, k) for base, tuned in pairs]),
        "often": _shares([of.solvable(base, tuned, k, of.often(k)) for base, tuned in pairs]) | {"least": of.often(k)},
        "half": _shares(at_half) | {"k": half},
        "chance": _shares(chance) | {"k": half},
        "beyond_chance": beyond,
        "missed_by_half": 100 * of.missed_by_half(k),
    }


def _shares(sets: Sequence[of.Sets]) -> dict[str, Any]:
    """Means over items and seeds, then benchmarks, in percent."""
    fields = of.Sets._fields
    return {who: 100 * float(np.mean([getattr(one, who).mean() for one in sets])) for who in fields}


def _first(counted: Counted) -> Counted:
    """Of a model with one seed: [I]."""
    return Counted(counted.right[0], counted.total[0])


def gap(gaps: Sequence[Array]) -> dict[str, float]:
    """Points with their 95% interval, from differences [S, I] a benchmark. Where none differs it would know no doubt:
    there as many points either way as Wilson's interval leaves to items that differ."""
    if not any(one.any() for one in gaps):
        doubt = 100 * wilson(0, sum(one.shape[1] for one in gaps))[1]
        return {"difference": 0.0, "low": -doubt, "high": doubt}
    found = difference(gaps)
    return {key: 100 * float(getattr(found, key)) for key in ("difference", "low", "high")}


def _percent(cell: Mapping[str, float]) -> dict[str, float]:
    return {key: 100 * value for key, value in cell.items()}


def _guessing(base: Evaluation, shared: Mapping[str, Shared], kinds: Any) -> dict[str, dict[str, Any]]:
    """pass@k of the base's own answers to other items, where they can be compared; None elsewhere."""
    found: Passes = {}
    answers = base.table(ANSWERED, [("sample", ">", GREEDY), ("outcome", "!=", "unscorable")])
    for name, (items, counted) in guesses(answers).items():
        if name in shared and len(items) > 1:
            places = [items.index(item) for item in shared[name].ids if item in items]
            own = of.pass_at_ks(counted.right[places], counted.total[places], of.powers_of_two(shared[name].most))
            found[name] = own[None]

    def curve(names: Sequence[str]) -> list[float] | None:
        if not all(name in found for name in names):
            return None
        count = len(_ks(shared, names))
        return [100 * float(one) for one in np.mean([found[name][0, :, :count].mean(axis=0) for name in names], axis=0)]

    return _each(kinds, curve)


def _histogram(counted: Mapping[str, Counted], groups: Mapping[str, list[str]]) -> dict[str, list[float]]:
    return {
        group: [100 * float(one) for one in np.mean([of.histogram(counted[name]) for name in names], axis=0)]
        for group, names in groups.items()
    }


def explored(
    base: Mapping[str, Mapping[str, Forms]], seeds: Sequence[Mapping[str, Mapping[str, Forms]]], names: Sequence[str]
) -> dict[str, Any]:
    """{forms, strategies} -> distinct and effective number of them an item, of base and arm at as many right samples as
    the fewer of them has; over items with two or more, of benchmarks with two or more such items. Empty without."""
    found = {kind: _explored([one[kind] for one in (base, *seeds)], names) for kind in base}
    return {kind: own for kind, own in found.items() if own}


def _explored(models: Sequence[Mapping[str, Forms]], names: Sequence[str]) -> dict[str, Any]:
    values: dict[str, list[tuple[Array, Array]]] = {measure: [] for measure in MEASURES}
    right: list[int] = []
    for name in names:
        if not all(name in own for own in models):
            continue
        tables = [own[name].right for own in models]
        sizes = {item: min(table.get(item, 0) for table in tables) for item in tables[0]}
        sizes = {item: m for item, m in sizes.items() if m >= FEWEST}
        if len(sizes) < FEWEST:
            continue
        right += sizes.values()
        numbers = [distinct(own[name], sizes) for own in models]
        for place, measure in enumerate(MEASURES):
            values[measure].append((numbers[0][place], np.array([one[place] for one in numbers[1:]])))
    if not right:
        return {}
    return {measure: _numbers(own) for measure, own in values.items()} | {
        "items": len(right),
        "right": float(np.mean(right)),
    }


def _numbers(benchmarks: Sequence[tuple[Array, Array]]) -> dict[str, float]:
    """Means over benchmarks of base [I] and arm [S, I], and their difference."""
    gap = difference([tuned - base for base, tuned in benchmarks])
    base, tuned = (float(np.mean([pair[side].mean() for pair in benchmarks])) for side in (0, 1))
    return {"base": base, "tuned": tuned, "difference": gap.difference, "low": gap.low, "high": gap.high}


def _along(
    run: Run,
    suite: str,
    shared: Mapping[str, Shared],
    groups: Mapping[str, list[str]],
    base: Passes,
    base_forms: Mapping[str, Mapping[str, Forms]],
) -> dict[str, Any]:
    """At the base (step 0) and every evaluated step: pass@1, pass@k, the sampling-efficiency gap, and distinct right
    responses beyond the base's; None where the step has not all of it. Spent as in `budgets.along`."""
    points = [one for one in run.evaluations if one.step > 0]
    evaluations = [of_suite(one, suite) for one in points]
    passes = [base, *(_passes_at(one, shared) for one in evaluations)]
    every = [_forms(one) if one and own else None for one, own in zip(evaluations, passes[1:], strict=True)]
    found: dict[str, dict[str, list[float | None]]] = {}
    for group, names in groups.items():
        last = len(_ks(shared, names)) - 1
        ends = [[_mean_at(own, names, place) for own in passes] for place in (0, last)]
        top = ends[1][0]
        found[group] = {
            "first": ends[0],
            "last": ends[1],
            "efficiency": [None if one is None or top is None else top - one for one in ends[0]],
            "distinct": [0.0, *(_beyond(base_forms, own, names) for own in every)],
        }
    return {"seed": run.seed, "steps": [0, *(one.step for one in points)], "groups": found, **budgets.along(run)}


def _passes_at(evaluation: Evaluation | None, shared: Mapping[str, Shared]) -> Passes | None:
    """None where the checkpoint lacks an item, or samples of it."""
    if evaluation is None:
        return None
    for name, one in shared.items():
        own = evaluation.items.get(name)
        if own is None or set(one.ids) - set(own.ids):
            return None
        if counted_of([evaluation], name, one.ids).total.min() < one.most:
            return None
    return _passes({name: counted_of([evaluation], name, one.ids) for name, one in shared.items()}, shared)


def _mean_at(passes: Passes | None, names: Sequence[str], place: int) -> float | None:
    return None if passes is None else 100 * float(np.mean([passes[name][..., place].mean() for name in names]))


def _beyond(
    base: Mapping[str, Mapping[str, Forms]], own: Mapping[str, Mapping[str, Forms]] | None, names: Sequence[str]
) -> float | None:
    found = explored(base, [own], names).get("forms") if own else None
    return found["distinct"]["difference"] if found else None
