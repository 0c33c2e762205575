"""A second task after the first: what the first left of each arm, and whether that stayed."""

from pathlib import Path
from typing import Any

from evaluation.inference import Estimate, difference
from evaluation.report.read import Evaluation, Experiment, Run, evaluation
from evaluation.report.style import GROUP_NAMES
from evaluation.report.verdicts import paired
from evaluation.rounding import fixed
from evaluation.statistics import Array

NEW = "second task"
Evaluations = list[Evaluation]


def second(experiment: Experiment, benchmarks: dict[str, str]) -> dict[str, Any] | None:
    """{after, tasks, rows, missing, sentences}, points of percent; None where nothing came before.

    A row an arm and part of the suite (the second task's own benchmarks, then each group without them): greedy score of
    the base, after the first task, after the second, and both changes, paired, over the seeds whose first run is there.
    """
    first = experiment.runs[0].configuration.experiment.after
    if not first:
        return None
    tasks = [name for name in experiment.runs[0].configuration.data.tasks if name in benchmarks]
    parts: dict[str, list[str]] = {NEW: tasks} if tasks else {}
    for name, group in benchmarks.items():
        if name not in tasks:
            parts.setdefault(group, []).append(name)
    rows, missing = [], []
    for arm, runs in experiment.arms.items():
        begun = [(_first(experiment, first, run), run.last) for run in runs]
        missing += [f"{arm}, seed {run.seed}" for run, (one, _) in zip(runs, begun, strict=True) if one is None]
        there = [(one, last) for one, last in begun if one is not None]
        if there:
            rows += [row for part, names in parts.items() for row in _rows(experiment.base, arm, part, names, there)]
    told = [_sentence(row, first) for row in rows if row["of"] != NEW]
    return {"after": first, "tasks": tasks, "rows": rows, "missing": missing, "sentences": told}


def _first(experiment: Experiment, first: str, run: Run) -> Evaluation | None:
    """The evaluation of the checkpoint that the run started from."""
    before = experiment.folder.parent / first
    place = before / "arms" / run.arm / f"seed-{run.seed}" / "evaluation"
    return evaluation(place / Path(run.configuration.train.start_from).name, before, experiment.told)


def _rows(
    base: Evaluation, arm: str, part: str, names: list[str], runs: list[tuple[Evaluation, Evaluation]]
) -> list[dict[str, Any]]:
    """One row, or none where the suites of both tasks share no item of this part."""
    starts, ends = [one for one, _ in runs], [last for _, last in runs]
    shared = [name for name in names if all(name in one.items for one in (base, *starts, *ends))]
    changes = {
        "by_first": [paired(name, starts, [base] * len(runs)) for name in shared],
        "by_second": [paired(name, ends, starts) for name in shared],
        "by_both": [paired(name, ends, [base] * len(runs)) for name in shared],
    }
    if not shared or any(one.shape[1] < 2 for own in changes.values() for one in own):
        return []
    row: dict[str, Any] = {"arm": arm, "of": part, "benchmarks": len(shared), "seeds": len(runs)}
    scores = {"base": [base], "after_first": starts, "after_second": ends}
    row |= {name: _score(own, shared) for name, own in scores.items()}
    return [row | {name: _told(own) for name, own in changes.items()}]


def _score(evaluations: Evaluations, names: list[str]) -> float:
    scores = [one.scores["benchmarks"][name]["greedy"]["score"] for one in evaluations for name in names]
    return float(sum(scores) / len(scores))


def _told(gaps: list[Array]) -> dict[str, Any]:
    one: Estimate = difference(gaps)
    return {key: 100 * getattr(one, key) for key in ("difference", "low", "high")} | {"over_seeds": one.over_seeds}


def _sentence(row: dict[str, Any], first: str) -> str:
    moved, name = row["by_second"], GROUP_NAMES.get(row["of"], row["of"]).lower()
    bounds = f"95% interval {fixed(moved['low'], sign=True)} to {fixed(moved['high'], sign=True)}"
    basis = f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
    basis += "" if moved["over_seeds"] else ", so of these checkpoints only"
    told = f"{fixed(moved['difference'], sign=True)} points, {bounds}, {basis}"
    if moved["low"] <= 0 <= moved["high"]:
        return f"What {row['arm']} had left of {name} after {first} is not shown to have changed ({told})."
    return f"The second task {'raised' if moved['low'] > 0 else 'took from'} {row['arm']}'s {name} ({told})."
