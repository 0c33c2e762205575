"""Ability, format and extractor apart, of base and arms: what each mode of extraction makes of the same responses."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.modes import DIFFERENCES, MODES
from evaluation.report.read import Evaluation, Experiment
from evaluation.scores import mean_of

MEASURE = "greedy"
COUNTED = ("truncated", "unscorable")


def forms(experiment: Experiment, benchmarks: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Model -> benchmark -> scores by mode (percent), their differences (points), and shares of all responses
    (percent) that were cut or could not be scored, and what its likelihoods say; greedy, means over seeds. Empty where
    no file has modes."""
    base = {"base": experiment.base, "base, few shots": experiment.base.few_shots}
    models = {label: [one] for label, one in base.items() if one is not None}
    models |= {arm: [run.last for run in runs] for arm, runs in experiment.arms.items()}
    found = {label: {name: _benchmark(own, name) for name in benchmarks} for label, own in models.items()}
    there = any(one["aware"] is not None for own in found.values() for one in own.values())
    return found if there else {}


def _benchmark(evaluations: Sequence[Evaluation], name: str) -> dict[str, Any]:
    scores: list[dict[str, Any]] = [one.scores["benchmarks"].get(name, {}) for one in evaluations]
    found = {mode: mean_of([_score(own, mode) for own in scores]) for mode in MODES}
    for key in DIFFERENCES:
        cells = [(own.get(key) or {}).get(MEASURE, {}) for own in scores]
        found[key] = mean_of([cell.get("difference") for cell in cells])
        alone = cells[0] if len(cells) == 1 else {}
        found |= {f"{key}_{end}": alone.get(end) for end in ("low", "high")}
    for key in COUNTED:
        found[key] = mean_of([100 * own[key] / own["responses"] for own in scores if own.get("responses")])
    likely = [own.get("likelihood", {}) for own in scores]
    for key in ("acc", "acc_norm"):
        found[key] = mean_of([own[key]["score"] for own in likely if key in own])
    return found | {"reference_logp": mean_of([own.get("reference_logp") for own in likely])}


def shots(base: Evaluation) -> int:
    """How many worked examples stood before a prompt where the base was also scored with some, else 0."""
    return int(base.few_shots.scores["settings"]["shots"]) if base.few_shots else 0


def _score(own: Mapping[str, Any], mode: str) -> float | None:
    cells = own.get("modes", {}).get(mode)
    return cells[MEASURE]["score"] if cells else None
