"""The skill profile of base and arms, what each arm did to every skill, and the scores along training."""

from typing import Any

from evaluation import skills
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.transfer import MATH

BASE = "base"


def profiles(experiment: Experiment, gains: dict[str, Any]) -> dict[str, Any]:
    """{form: {lacking, profiles, changes, steps}} of the skills' items; `gains` say what math moved by.

    A form that base and every run were scored on at the compared checkpoint is shown; of another, who lacks it.
    """
    models = {BASE: [experiment.base]} | {arm: [run.last for run in runs] for arm, runs in experiment.arms.items()}
    forms = dict.fromkeys(form for own in models.values() for one in own for form in one.skills)
    return {form: _form(form, experiment, models, gains) for form in forms}


def _form(
    form: str, experiment: Experiment, models: dict[str, list[Evaluation]], gains: dict[str, Any]
) -> dict[str, Any]:
    lacking = [label for label, own in models.items() if any(form not in one.skills for one in own)]
    if lacking:
        return {"lacking": lacking, "profiles": {}, "changes": {}, "steps": {}}
    answers = {label: [one.skills[form] for one in own] for label, own in models.items()}
    base = answers[BASE][0]
    return {
        "lacking": [],
        "profiles": {label: skills.profile(seeds) for label, seeds in answers.items()},
        "changes": {
            arm: skills.changes(base, seeds, _math(gains[arm])) for arm, seeds in answers.items() if arm != BASE
        },
        "steps": {arm: [_along(form, experiment.base, run) for run in runs] for arm, runs in experiment.arms.items()},
    }


def _math(gains: dict[str, Any]) -> tuple[float, float, float] | None:
    """What the math group of the run's own suite moved by, and its interval; None where it has no math."""
    cell = gains["groups"].get(MATH, {}).get("greedy", {})
    return (cell["difference"], cell["low"], cell["high"]) if cell.get("low") is not None else None


def _along(form: str, base: Evaluation, run: Run) -> dict[str, Any]:
    """Each skill's score at the evaluated steps that have it, and which fell by then; step 0 is the base."""
    points = {0: base} | {one.step: one for one in run.evaluations if one.step > 0}
    scored = {step: skills.scores(one.skills[form]) for step, one in points.items() if form in one.skills}
    fell = [skills.changes(base.skills[form], [points[step].skills[form]], None)["fell"] for step in scored]
    names = scored[0]
    return {
        "seed": run.seed,
        "steps": list(scored),
        "skills": {n: [own.get(n) for own in scored.values()] for n in names},
        "fell": fell,
    }
