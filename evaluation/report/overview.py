"""The first table, a row an arm: objective, rate and where it is from, gains, length, drift, cost, the audit's word."""

from collections import Counter
from typing import Any

import numpy as np

from conf import sweeps
from conf.control import CONFOUND
from conf.schema import Recipe
from evaluation.report import budgets
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.scores import mean_of
from evaluation.transfer import MATH

KL = "kl_base/exact"
KL_STEPS = 10  # the last steps over which KL to the base is averaged
FORMS = {"without_thought": "without its thought", "of_another_prompt": "to another prompt"}


def overview(experiment: Experiment, benchmarks: dict[str, str]) -> dict[str, Any]:
    """{base, arms: {arm: ...}, sweep}: lengths in tokens, KL in nats a token; means over seeds."""
    confounded = _confounded(experiment)
    return {
        "base": {"length": _length([experiment.base], benchmarks)},
        "arms": {
            arm: _arm(runs, benchmarks) | {"confounds": None if confounded is None else confounded[arm]}
            for arm, runs in experiment.arms.items()
        },
        "rates": {arm: rate_of(experiment, arm, runs) for arm, runs in experiment.arms.items()},
        "sweep": _sweep(experiment),
    }


def _arm(runs: list[Run], benchmarks: dict[str, str]) -> dict[str, Any]:
    spent = [budgets.at(run, run.last.step) for run in runs]
    recipe = runs[0].configuration.recipe
    return {
        "q_note": _q_note(recipe),
        "w_note": _w_note(recipe),
        "length": _length([run.last for run in runs], benchmarks),
        "kl_base": mean_of([_kl(run) for run in runs]),
        "tokens_trained": mean_of([entry.get("tokens_trained") for entry in spent]),
        "flops": mean_of([entry.get("flops") for entry in spent]),
    }


def _q_note(recipe: Recipe) -> str:
    """What `q` alone does not say of where responses come from."""
    notes = [FORMS[recipe.target_form]] if recipe.target_form in FORMS else []
    if recipe.q == "snapshot":
        often = recipe.resample_steps
        notes.append("taken every step" if often == 1 else f"taken every {often} steps")
    if recipe.q == "teacher" and recipe.w != "one":
        notes.append("right and wrong")
    if recipe.teacher_steps:
        notes.append(f"the teacher in the first {recipe.teacher_steps} steps")
    return ", ".join(notes)


def _w_note(recipe: Recipe) -> str:
    """The reward, where the weights are of another than right or wrong."""
    plain = recipe.w == "one" or recipe.reward_funcs == ["accuracy"]
    return "" if plain else f"of {' + '.join(recipe.reward_funcs)}"


def _length(evaluations: list[Evaluation], benchmarks: dict[str, str]) -> float | None:
    """Mean tokens of a greedy response to a math item."""
    math = {name for name, group in benchmarks.items() if group == MATH}
    return mean_of([one.greedy_length(math) for one in evaluations])


def _kl(run: Run) -> float | None:
    """Mean KL(policy || base) over the last steps up to the compared one; None where it was not measured."""
    found = [row[KL] for row in run.metrics if KL in row and row["step"] <= run.last.step]
    return float(np.mean(found[-KL_STEPS:])) if found else None


def _confounded(experiment: Experiment) -> dict[str, list[str]] | None:
    """Arm -> keys of confounds in which one of its runs is not as most runs are; None without an audit."""
    if not experiment.audit:
        return None
    found: dict[str, list[str]] = {arm: [] for arm in experiment.arms}
    for row in (row for row in experiment.audit["differences"] if row["class"] == CONFOUND):
        values = {run: row["values"].get(f"{run[0]}/seed-{run[1]}") for run in _names(experiment)}
        counts = Counter(map(str, values.values()))
        most = max(counts.values())
        usual = [value for value, count in counts.items() if count == most]
        odd = {arm for (arm, _), value in values.items() if len(usual) > 1 or str(value) not in usual}
        for arm in odd:
            found[arm].append(row["key"])
    return found


def _names(experiment: Experiment) -> list[tuple[str, int]]:
    return [(run.arm, run.seed) for run in experiment.runs]


# --- learning rates ---------------------------------------------------------------------------------------------------


def rate_of(experiment: Experiment, arm: str, runs: list[Run]) -> dict[str, Any]:
    """Whether the sweep of this experiment chose the arm's rate: {used, chosen, verdict, departures}.

    verdict: `chosen`; `other` (it chose another); `unswept` (it tried none for this arm, or there is no sweep);
    `departed` (it chose this rate under other settings, in `departures`); `unknown` (its file states no settings).
    """
    used = sorted({run.configuration.recipe.learning_rate for run in runs})
    sweep = experiment.sweep or {}
    chosen = sweep.get("chosen", {}).get(arm)
    about: dict[str, Any] = {"used": used, "chosen": chosen, "departures": []}
    if chosen is None:
        return about | {"verdict": "unswept"}
    if used != [chosen]:
        return about | {"verdict": "other"}
    if "settings" not in sweep:
        return about | {"verdict": "unknown"}
    lock = experiment.lock
    differing = [one for run in runs for one in sweeps.departures(sweep["settings"], arm, run.configuration, lock)]
    about["departures"] = list(dict.fromkeys(differing))
    return about | {"verdict": "departed" if differing else "chosen"}


def _sweep(experiment: Experiment) -> dict[str, Any] | None:
    """Which file chose the rates."""
    if experiment.sweep is None:
        return None
    return {"digest": experiment.sweep_digest, "seeds": experiment.sweep.get("seeds")}
