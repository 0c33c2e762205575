"""Models that were not trained here beside one base: a leaderboard of transfer, and what cannot be said of them."""

from collections.abc import Mapping
from typing import Any

from evaluation.report.read import Experiment
from evaluation.report.transfer import HEADLINE
from evaluation.report.transfer import UNBOUNDED as OPEN
from evaluation.transfer import MATH

NUMBER, UNBOUNDED, UNDEFINED = "number", "unbounded", "undefined"
UNKNOWN = ("trainer", "q", "w", "surrogate", "beta", "learning_rate", "num_generations")


def board(results: Mapping[str, Any], experiment: Experiment) -> list[dict[str, Any]]:
    """A row a model: gains in points by group, and by form the domain indices (DI) and TI in percent with intervals.

    Ranked by TI of other reasoning, then of non-reasoning, in the form `ranked_by`; below those the models whose TI is
    no number, by what they gained on math.
    """
    about = experiment.compared["models"]
    rows = [_row(results, model, about.get(model, {})) for model in results["arms"]]
    return [row | {"rank": place} for place, row in enumerate(sorted(rows, key=_place), start=1)]


def untrained(results: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """What takes the place of entries of results.json that speak of training: nothing is known of it."""
    suite = experiment.runs[0].configuration.suite
    arms = {arm: dict.fromkeys(UNKNOWN) | {"seeds": own["seeds"], "step": None} for arm, own in results["arms"].items()}
    return {
        **{"arms": arms, "world": "world" in suite.collections, "notes": _notes(experiment)},
        **{"unmatched": False, "changed": [], "budgets": [], "front": None, "audit": {}, "equal": {}, "data": {}},
        "answer": {"rows": {}, "between": []},
        **{"steps": {}, "transfer_steps": {}, "training": {}, "strategies": {}},
        "overview": results["overview"] | {"arms": {}, "rates": {}, "sweep": None},
    }


def _notes(experiment: Experiment) -> list[str]:
    found = [f"Left out: {unread}." for unread in experiment.unread]
    for label, own in experiment.compared["models"].items():
        if own.get("same_vocabulary") is False:
            found.append(f"{label} writes other tokens than the base ({own['why']}): measures by token are refused.")
        elif own.get("same_template") is False and experiment.compared["template"] == "own":
            found.append(f"{label} has another chat template than the base; each is asked in its own.")
    if experiment.compared["template"] == "base":
        found.append("Every model is asked in the base's chat template; one that learned another may lose by it.")
    return found


def _row(results: Mapping[str, Any], model: str, about: Mapping[str, Any]) -> dict[str, Any]:
    forms = results["transfer"].get(model, {}).get("greedy", {})
    gains = {group: cells["greedy"] for group, cells in results["gains"][model]["groups"].items()}
    for one in results["verdicts"]:  # one estimate for table, sentence and gate
        if (one["kind"], one["model"], one["against"]) == ("group", model, "base"):
            gains[one["name"]] = {key: one[key] for key in ("difference", "low", "high")}
    return {
        **{"model": model, "path": about.get("path", "")},
        "ranked_by": HEADLINE if HEADLINE in forms else None,
        "gains": gains,
        "forms": {name: _form(own) for name, own in forms.items()},
    }


def _form(found: Mapping[str, Any]) -> dict[str, Any]:
    """{di: {group: index}, ti: {group: {value, low, high, state, reason}}} of one form of the index."""
    return {"di": dict(found["index"]), "ti": {group: _ti(found, group) for group in found["ti"]}}


def _ti(found: Mapping[str, Any], group: str) -> dict[str, Any]:
    value, reason, bounds = found["ti"][group], found["reason"].get(group, ""), found["interval"]["ti"][group]
    if value is not None:
        return {"value": value, "low": bounds["low"], "high": bounds["high"], "state": NUMBER, "reason": ""}
    state = UNBOUNDED if reason.startswith(OPEN) else UNDEFINED
    return {"value": None, "low": None, "high": None, "state": state, "reason": reason.removeprefix(OPEN)}


def _place(row: Mapping[str, Any]) -> tuple[float, ...]:
    cells = row["forms"][row["ranked_by"]]["ti"] if row["ranked_by"] else {}
    values = [own["value"] for own in cells.values()]
    gained = row["gains"].get(MATH, {}).get("difference") or 0.0
    there = bool(values) and None not in values
    return (0.0, *(-value for value in values)) if there else (1.0, -gained)
