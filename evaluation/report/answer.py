"""Page one: what each arm gained and lost, at which cost, under which control, each sentence with its conditions."""

from typing import Any

from evaluation.report.style import GROUP_NAMES
from evaluation.rounding import fixed
from evaluation.scores import mean_of

BASE = "base"
LEVEL = 0.05


def answer(results: dict[str, Any]) -> dict[str, Any]:
    """{rows, between} of the other numbers of results.json.

    `rows`: a row an arm: its groups' changes (points, 95% interval, the estimate of the verdicts), what they cost,
    and one sentence with its conditions. `between`: the sentences that compare two arms, with theirs.
    """
    rows = {arm: _row(results, arm) for arm in results["arms"]}
    said = [one for one in results["verdicts"] if one["kind"] == "group" and one["against"] != BASE]
    between = [
        {**{key: one[key] for key in ("model", "against", "sentence")}, "conditions": _of_both(rows, one)}
        for one in said
        if one["model"] in rows and one["against"] in rows
    ]
    return {"rows": rows, "between": between}


def _row(results: dict[str, Any], arm: str) -> dict[str, Any]:
    found = {one["name"]: one for one in results["verdicts"] if _is_of(one, arm, BASE)}
    groups = {group: found[group] for group in results["groups"] if group in found}
    conditions = {
        "seeds": _seeds(results, arm, groups),
        "rate": _rate(results, arm),
        "epochs": _epochs(results, arm),
        "targets": _targets(results, arm),
        "audit": _audit(results, arm),
    }
    return {"groups": groups, "told": _told(arm, groups), "conditions": conditions, **_cost(results, arm)}


def _is_of(one: dict[str, Any], model: str, against: str) -> bool:
    return bool((one["kind"], one["model"], one["against"]) == ("group", model, against))


def shown(one: dict[str, Any]) -> bool:
    """Whether a verdict counts as a difference: its interval leaves out 0, and so does its corrected p."""
    if None in (one["low"], one["high"], one["p_holm"]):
        return False
    return not (one["low"] <= 0 <= one["high"] or one["p_holm"] >= LEVEL)


def _told(arm: str, groups: dict[str, Any]) -> str:
    """What the arm gained, then what it lost, then what is not shown to have changed."""
    moved = {name: one for name, one in groups.items() if shown(one)}
    rose = [_moved(name, one) for name, one in moved.items() if one["difference"] > 0]
    fell = [_moved(name, one) for name, one in moved.items() if one["difference"] < 0]
    still = [_still(name, one) for name, one in groups.items() if name not in moved]
    parts = [f"gained {_and(rose)}"] if rose else []
    parts += [f"lost {_and(fell)}"] if fell else []
    parts += [f"is not shown to have changed on {_and(still)}"] if still else []
    return f"{arm} {_and(parts)}." if parts else f"{arm}: nothing can be said of any group."


def _moved(name: str, one: dict[str, Any]) -> str:
    low, high = sorted(abs(one[end]) for end in ("low", "high"))
    return f"{fixed(abs(one['difference']))} points on {_name(name)} ({fixed(low)} to {fixed(high)})"


def _still(name: str, one: dict[str, Any]) -> str:
    if None in (one["difference"], one["low"], one["high"]):
        return f"{_name(name)} (no interval)"
    size, low, high = (fixed(one[key], sign=True) for key in ("difference", "low", "high"))
    return f"{_name(name)} ({size}; {low} to {high})"


def _name(group: str) -> str:
    return GROUP_NAMES.get(group, group).lower()


def _and(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""


# --- conditions -------------------------------------------------------------------------------------------------------


def _seeds(results: dict[str, Any], arm: str, groups: dict[str, Any]) -> str:
    count = len(results["arms"][arm]["seeds"])
    over = all(one["over_seeds"] for one in groups.values())
    named = f"{count} seed{'s' if count > 1 else ''}"
    return f"{named}, intervals over seeds and items" if over else f"{named}: of these checkpoints only"


def _rate(results: dict[str, Any], arm: str) -> str:
    one = results["overview"]["rates"][arm]
    used = ", ".join(f"{value:g}" for value in one["used"])
    return {
        "chosen": f"learning rate {used}, which the sweep chose by its rule",
        "other": f"learning rate {used}, where the sweep chose {one['chosen'] or 0:g}",
        "unswept": f"learning rate {used}, untuned (chosen by no sweep): it may explain any difference",
        "departed": f"learning rate {used}, chosen by a sweep under other settings",
        "unknown": f"learning rate {used}, which the sweep chose, under settings it does not state",
    }[str(one["verdict"])]


def _epochs(results: dict[str, Any], arm: str) -> str:
    epochs = mean_of([run.get("epochs") for run in results["budgets"] if run["arm"] == arm])
    return "epochs unknown" if epochs is None else f"{fixed(epochs, 2)} epochs"


def _targets(results: dict[str, Any], arm: str) -> str:
    made = any(run.get("targets_responses") for run in results["budgets"] if run["arm"] == arm)
    if not made:
        imitates = results["arms"][arm]["q"] == "teacher"
        return "its targets came with the data and cost nothing here" if imitates else "it needs no targets"
    counted = results["budget"]["count_targets"] and results["budget"]["match"] != "prompts"
    return f"the cost of its targets counted {'in' if counted else 'out'}"


def _audit(results: dict[str, Any], arm: str) -> str:
    found = results["overview"]["arms"][arm]["confounds"]
    if found is None:
        return "not audited"
    return f"confounded by {', '.join(found)}" if found else "controlled, says the audit"


def _of_both(rows: dict[str, Any], one: dict[str, Any]) -> list[str]:
    """Conditions of two arms: once where they are alike, else of each."""
    own, other = (rows[one[key]]["conditions"] for key in ("model", "against"))
    return [
        own[key] if own[key] == other[key] else f"{one['model']}: {own[key]}; {one['against']}: {other[key]}"
        for key in own
    ]


def _cost(results: dict[str, Any], arm: str) -> dict[str, Any]:
    """Means over seeds of what a run took, with the targets' cost in beside it."""
    runs = [run for run in results["budgets"] if run["arm"] == arm]
    keys = ("epochs", "spent_trained_tokens", "spent_flops", "spent_flops_with_targets", "spent_device_seconds")
    return {key: mean_of([run.get(key) for run in runs]) for key in keys}
