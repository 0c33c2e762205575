"""What measures of drift (evaluation/drift.py) found: at the compared checkpoint over seeds, and along training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.report import budgets
from evaluation.report.read import Experiment, Run

Cell = Mapping[str, Any]


def lasts(experiment: Experiment, name: str) -> dict[str, list[dict[str, Any]]]:
    """arm -> what each of its seeds that has the measure found at the compared checkpoint; arms without are left
    out."""
    found = {
        arm: [run.last.drift[name] for run in runs if run.last.drift.get(name)]
        for arm, runs in experiment.arms.items()
    }  # fmt: skip
    return {arm: own for arm, own in found.items() if own}


def lacking(experiment: Experiment, name: str) -> list[str]:
    """Runs without the measure at their compared checkpoint."""
    return [f"{run.arm}, seed {run.seed}" for run in experiment.runs if not run.last.drift.get(name)]


def over_seeds(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Mean, standard deviation (n - 1) and number of the seeds that have a value."""
    there = [value for value in values if value is not None]
    sd = float(np.std(there, ddof=1)) if len(there) > 1 else None
    return {"mean": float(np.mean(there)) if there else None, "sd": sd, "seeds": len(there)}


def along(run: Run, name: str, read: Callable[[dict[str, Any]], dict[str, float | None]]) -> dict[str, Any]:
    """What `read` takes from the measure at each evaluated step that has it, and what was spent by then."""
    points = [one for one in run.evaluations if one.step > 0]
    there = [place for place, one in enumerate(points) if one.drift.get(name)]
    rows = [read(points[place].drift[name]) for place in there]
    spent = {
        unit: [values[place + 1] for place in there] for unit, values in budgets.along(run)["spent"].items()
    }  # fmt: skip
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return {
        "seed": run.seed,
        "steps": [points[place].step for place in there],
        "values": {key: [row.get(key) for row in rows] for key in keys},
        "spent": spent,
    }


def mean_curve(runs: Sequence[Mapping[str, Any]], key: str) -> dict[int, float]:
    """The mean over seeds of one of `along`'s values, at the steps that every seed has."""
    tables = [dict(zip(run["steps"], run["values"].get(key, []), strict=False)) for run in runs]
    shared = [step for step in tables[0] if all(table.get(step) is not None for table in tables)] if tables else []
    return {step: float(np.mean([table[step] for table in tables])) for step in shared}
