"""The skill profile of base and arms, what each arm did to every skill, and the profile along training."""

from typing import Any

import numpy as np

from evaluation import skills
from evaluation.inference import difference
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.transfer import MATH

BASE = "base"


def profiles(experiment: Experiment, gains: dict[str, Any]) -> dict[str, Any]:
    """{form: {lacking, profiles, ability, changes, steps}} of the skills' items; `gains` say what math moved by.
    `ability`: the scores by the grade that reads any clear statement of the answer, of models that have it.

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
        return {"lacking": lacking, "profiles": {}, "ability": {}, "changes": {}, "steps": {}}
    answers = {label: [one.skills[form] for one in own] for label, own in models.items()}
    base = answers[BASE][0]
    return {
        "lacking": [],
        "profiles": {label: skills.profile(seeds) for label, seeds in answers.items()},
        "ability": {
            label: skills.by_skill([one.abilities[form] for one in own])
            for label, own in models.items()
            if all(form in one.abilities for one in own)
        },
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
    """The profile at the evaluated steps that have it, step 0 the base: each skill's score and ability, their spread,
    which skills had fallen, and which collapsed: fell while math stood above the base's by then."""
    points = {0: base} | {one.step: one for one in run.evaluations if one.step > 0}
    points = {step: one for step, one in points.items() if form in one.skills}
    scored = {step: skills.scores(one.skills[form]) for step, one in points.items()}
    able = {step: skills.scores(one.abilities[form]) for step, one in points.items() if form in one.abilities}
    moved = [skills.changes(base.skills[form], [one.skills[form]], _math_at(base, one)) for one in points.values()]
    return {
        "seed": run.seed,
        "steps": list(scored),
        "skills": {n: [own.get(n) for own in scored.values()] for n in scored[0]},
        "ability": {n: [able.get(step, {}).get(n) for step in scored] for n in scored[0]},
        "spread": [float(np.std(list(own.values()))) for own in scored.values()],
        "fell": [one["fell"] for one in moved],
        "collapsed": [one["collapsed"] for one in moved],
    }


def _math_at(base: Evaluation, one: Evaluation) -> tuple[float, float, float] | None:
    """What math of the run's own suite moved by at a checkpoint, greedily, in points with its interval over items."""
    gaps = []
    for name, before in base.items.items():
        if before.group == MATH and name in one.items and before is not one.items[name]:
            now = dict(zip(one.items[name].ids, one.items[name].greedy, strict=True))
            own = np.array([now.get(item, np.nan) - was for item, was in zip(before.ids, before.greedy, strict=True)])
            gaps.append(own[None, ~np.isnan(own)])
    gaps = [own for own in gaps if own.shape[1] > 1]
    if not gaps:
        return None
    found = difference(gaps)
    return 100 * found.difference, 100 * found.low, 100 * found.high
