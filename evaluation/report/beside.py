"""What was measured beside the run's own suite: further suites, functions of the user's own, and what failed."""

from typing import Any

from evaluation.report import measures
from evaluation.report.read import Evaluation, Experiment
from evaluation.scores import mean_of

BASE = "base"


def suites(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Suite -> scores and gains of base and arms at their compared checkpoints, and what it lacks.

    A suite that no model was scored on is left out; one that some lack is named with them.
    """
    lasts = {arm: [run.last for run in runs] for arm, runs in experiment.arms.items()}
    every = {BASE: [experiment.base], **lasts}
    names = dict.fromkeys(name for models in every.values() for one in models for name in one.suites)
    return {name: _suite(name, every) for name in names}


def _suite(name: str, every: dict[str, list[Evaluation]]) -> dict[str, Any]:
    lacking = [label for label, models in every.items() if any(name not in one.suites for one in models)]
    if lacking:
        return {"lacking": lacking, "benchmarks": {}, "groups": [], "scores": {}, "gains": {}}
    own = {label: [one.suites[name] for one in models] for label, models in every.items()}
    benchmarks = _shared([one.scores["benchmarks"] for models in own.values() for one in models])
    sides = {label: measures.side(models, benchmarks) for label, models in own.items()}
    return {
        "lacking": [],
        "benchmarks": benchmarks,
        "groups": list(dict.fromkeys(benchmarks.values())),
        "scores": {label: side.scores for label, side in sides.items()},
        "gains": {arm: measures.differences(sides[BASE], side) for arm, side in sides.items() if arm != BASE},
    }


def _shared(scores: list[dict[str, Any]]) -> dict[str, str]:
    """{benchmark: group} of those that all have a greedy score on."""
    first = {name: one["group"] for name, one in scores[0].items()}
    return {
        name: group
        for name, group in first.items()
        if all(name in one and one[name]["greedy"]["score"] is not None for one in scores)
    }


def functions(experiment: Experiment) -> list[dict[str, Any]]:
    """One row a value that a function returned: of the base, and of each arm at its compared checkpoint, the mean over
    seeds; None where it was not measured."""
    every = {BASE: [experiment.base]} | {arm: [run.last for run in runs] for arm, runs in experiment.arms.items()}
    names = dict.fromkeys(
        (name, key)
        for models in every.values()
        for one in models
        for name, values in one.functions.items()
        for key in values
    )
    return [
        {
            "function": name,
            "value": key,
            "models": {
                label: mean_of([one.functions.get(name, {}).get(key) for one in models])
                for label, models in every.items()
            },
        }
        for name, key in names
    ]
