"""What scores.json holds: `benchmarks`, `groups`, by name what could not be had, and where it has any, `skills`."""

from collections.abc import Iterable, Mapping
from typing import Any

from evaluation import skills
from evaluation.likelihood import group_likelihood, likelihoods
from evaluation.modes import MODES, group_modes, mode_scores
from evaluation.scores import Columns, benchmark_scores, by_group, counts, group_scores, item_scores

# the columns of items.parquet that scores are made from
SCORED = ("benchmark", "group", "item", "sample", "outcome", *MODES, "strategy", "truncated", "twin", "labels")
Missing = Mapping[str, Mapping[str, str]]  # benchmark -> its group and the reason


def all_scores(
    columns: Columns, missing: Missing | None = None, weighed: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Scores from the columns of items.parquet and the rows of likelihood.parquet (`weighed`). A group's are over
    `benchmarks`; what it lacks is `missing`."""
    items, modes, lacking = item_scores(columns), mode_scores(columns), missing or {}
    likely = {name: {"likelihood": own} for name, own in likelihoods(weighed).items()}
    benchmarks = {
        name: benchmark_scores(own) | counts(name, columns) | modes.get(name, {}) | likely.get(name, {})
        for name, own in items.items()
    }
    groups = {
        group: group_scores([items[n] for n in names], [benchmarks[n] for n in names])
        | group_modes(names, benchmarks)
        | group_likelihood(names, benchmarks)
        | {"benchmarks": names, "missing": [n for n, own in lacking.items() if own["group"] == group]}
        for group, names in by_group(items).items()
    }
    without = {name: dict(own) for name, own in lacking.items()}
    return {"benchmarks": benchmarks, "groups": groups, "missing": without} | skills.profiles(columns)


def unscored(scores: Mapping[str, Any]) -> dict[str, str]:
    """Benchmark -> why it has no score: it could not be had, or no response to it could be judged."""
    found = {name: own["reason"] for name, own in scores.get("missing", {}).items()}
    for name, own in scores["benchmarks"].items():
        if own["greedy"]["score"] is None:
            found[name] = f"none of its {own['items']} items could be judged"
    return found
