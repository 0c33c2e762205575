"""What each step of training logged: a curve a measure and arm, over the seeds of the arm."""

from typing import Any

from evaluation.report.read import Experiment, Run
from evaluation.scores import mean_of

CURVES = {  # metrics.jsonl -> what it is
    "rewards/accuracy/mean": "right responses (share)",
    "completions/mean_length": "response length (tokens)",
    "entropy": "entropy (nats a token)",
    "kl_base/exact": "KL to the base (nats a token)",
    "grad_norm": "gradient norm",
}

Curve = dict[str, list[float]]  # steps, mean, low, high


def curves(experiment: Experiment) -> dict[str, dict[str, Curve]]:
    """Measure -> arm -> mean, lowest and highest seed, at the steps where all its seeds have the measure.

    A measure that no run has is left out, and so is an arm where not all seeds have it at some step.
    """
    found: dict[str, dict[str, Curve]] = {}
    for metric in CURVES:
        own = {arm: _curve(metric, runs) for arm, runs in experiment.arms.items()}
        found[metric] = {arm: curve for arm, curve in own.items() if curve["steps"]}
    return {metric: arms for metric, arms in found.items() if arms}


def _curve(metric: str, runs: list[Run]) -> Curve:
    seeds = [{row["step"]: row[metric] for row in run.metrics if row.get(metric) is not None} for run in runs]
    steps = [step for step in seeds[0] if all(step in own for own in seeds)]
    values = [[own[step] for own in seeds] for step in steps]
    measures: dict[str, Any] = {"mean": mean_of, "low": min, "high": max}
    return {"steps": steps} | {name: [measure(own) for own in values] for name, measure in measures.items()}
