"""What each run spent, from its ledger: at the compared checkpoint, and at every evaluated one."""

from typing import Any

from evaluation.report.read import Experiment, Run
from evaluation.spending import COLUMNS, spent

UNITS = tuple(COLUMNS)  # what budgets can be matched on


def rule(experiment: Experiment) -> dict[str, Any]:
    """What the arms were held equal on, and whether targets were made at a cost."""
    budget = experiment.runs[0].configuration.budget
    made = any(entry.get("targets_responses") for run in experiment.runs for entry in run.ledger[-1:])
    return {"match": budget.match, "count_targets": budget.count_targets, "targets_made": made}


def budget(run: Run, rows: int | None) -> dict[str, Any]:
    """The ledger at the compared checkpoint, what that is in each unit, epochs over `rows` compiled rows, the share of
    the limit, and what evaluating the run's checkpoints took."""
    entry = at(run, run.last.step)
    about: dict[str, Any] = {"arm": run.arm, "seed": run.seed, **entry}
    if "prompts_shown" in entry:
        about["epochs"] = entry["prompts_shown"] / rows if rows else None
    for unit in UNITS:
        about[f"spent_{unit}"] = spent(entry, unit, False)
        about[f"spent_{unit}_with_targets"] = spent(entry, unit, True)
    limit = run.configuration.budget.limit
    counted = spent(entry, run.configuration.budget.match, run.configuration.budget.count_targets)
    about["limit"] = limit or None
    about["share_of_limit"] = counted / limit if limit and counted is not None else None
    return about | _evaluations(run)


def at(run: Run, step: int) -> dict[str, Any]:
    """The last entry of the ledger up to `step`; empty where there is none."""
    return ([entry for entry in run.ledger if entry["step"] <= step] or [{}])[-1]


def along(run: Run) -> dict[str, dict[str, list[float | None]]]:
    """Units spent at the base and at every evaluated step, with the targets' cost counted out and in.

    With it the curve starts at what the targets cost: the base has not been trained, and they are made.
    """
    entries = [at(run, one.step) for one in run.evaluations if one.step > 0]
    start = {column: 0 for column in COLUMNS.values()}
    start |= {key: value for key, value in (entries[0] if entries else {}).items() if key.startswith("targets_")}
    return {
        name: {unit: [spent(entry, unit, counted) for entry in (start, *entries)] for unit in UNITS}
        for name, counted in (("spent", False), ("spent_with_targets", True))
    }


def ended_by_budget(run: Run) -> bool:
    """Whether the compared checkpoint is where the run's limit was spent."""
    budget = run.configuration.budget
    amount = spent(at(run, run.last.step), budget.match, budget.count_targets)
    return bool(budget.limit) and amount is not None and amount >= budget.limit


def _evaluations(run: Run) -> dict[str, float | None]:
    """What all evaluations of the run took, each FLOP and second of them outside its budget; nothing where unknown."""
    costs = [one.cost for one in run.evaluations if one.cost]
    names = ("responses", "tokens_generated", "flops_generate", "seconds")
    values = {name: [cost[name] for cost in costs if cost[name] is not None] for name in names}
    return {f"evaluation_{name}": sum(found) if found else None for name, found in values.items()}
