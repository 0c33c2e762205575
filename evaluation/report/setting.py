"""What was held equal and what differed, and what a reader must know before the numbers."""

from typing import Any

from conf.control import CONFOUND, DERIVED, HARMLESS, TREATMENT
from conf.freeze import classify_all, flatten
from evaluation.report.budgets import ended_by_budget
from evaluation.report.overview import rate_of
from evaluation.report.read import Experiment, Run

WORDS = {
    TREATMENT: "declared treatment",
    DERIVED: "follows from it",
    HARMLESS: "does not enter the result",
    CONFOUND: "not declared",
}
PACKAGES = ("torch", "transformers", "trl", "accelerate", "datasets", "numpy")


def changed_keys(experiment: Experiment) -> list[dict[str, Any]]:
    """Every key in which the runs' configurations differ, seeds left out: its values per arm, and its class."""
    flats = [flatten(run.configuration.model_dump(mode="json")) for run in experiment.runs]
    rows = []
    for key, one in sorted(classify_all(flats).items()):
        values: dict[str, list[Any]] = {}
        for run, own in zip(experiment.runs, flats, strict=True):
            if own.get(key) not in values.setdefault(run.arm, []):
                values[run.arm].append(own.get(key))
        rows += [{"key": key, "values": values, "class": WORDS[one.kind]}] if key != "seed" else []
    return rows


def notes(experiment: Experiment) -> list[str]:
    """What the base is; runs left out or cut short; rates other than the chosen ones; unequal seeds and prompts."""
    about = experiment.runs[0].configuration.model.note
    found = [f"The base: {about.rstrip('.')}."] if about else []
    found += [f"Left out: {unread}." for unread in experiment.unread]
    arms = experiment.arms
    found += [
        f"{arm} has been asked for and has no evaluated run."
        for arm in experiment.runs[0].configuration.experiment.arms
        if arm not in arms
    ]
    for run in experiment.runs:
        planned = run.configuration.train.steps
        if run.last.step < planned and not ended_by_budget(run):
            found.append(f"{run.arm}, seed {run.seed}: evaluated last at step {run.last.step} of {planned}.")
    if len({tuple(run.seed for run in runs) for runs in arms.values()}) > 1:
        found.append("The arms were not run with the same seeds.")
    if unmatched(experiment.runs) and experiment.runs[0].configuration.budget.match == "prompts":
        found.append("The runs were shown different numbers of prompts at the compared checkpoints.")
    return found + _rates(experiment)


def _rates(experiment: Experiment) -> list[str]:
    """What keeps an arm's rate from being the one that the experiment's sweep chose; nothing without a sweep."""
    if experiment.sweep is None:
        return []
    rates = {arm: rate_of(experiment, arm, runs) for arm, runs in experiment.arms.items()}
    return [_said(arm, one) for arm, one in rates.items() if one["verdict"] in ("other", "unswept", "departed")]


def _said(arm: str, one: dict[str, Any]) -> str:
    used = ", ".join(f"{value:g}" for value in one["used"])
    return {
        "other": f"{arm} ran at learning rate {used}; the sweep chose {one['chosen'] or 0:g}.",
        "unswept": f"{arm}: no learning rate was chosen by the sweep.",
        "departed": f"{arm}: its learning rate was chosen under other settings: {'; '.join(one['departures'])}.",
    }[str(one["verdict"])]


def unmatched(runs: list[Run]) -> bool:
    """Whether runs were shown different numbers of prompts at their compared checkpoints, as far as ledgers say."""
    return len({row["prompts_shown"] for run in runs for row in run.ledger if row["step"] == run.last.step}) > 1


def flat(tree: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping as one with dotted keys; lists stay as they are."""
    return flatten(tree)


def packages(experiment: Experiment) -> dict[str, Any]:
    """Code and machine, from the manifest of the first run, of its last start."""
    start = (experiment.runs[0].manifest.get("starts") or [{}])[-1]
    known = start.get("packages") or {}
    named = {name: known[name] for name in PACKAGES if name in known}
    git = start.get("git") or {}
    return {
        "commit": git.get("commit"),
        "changed": bool(git.get("diff_sha256")),
        "device": start.get("device"),
        "sandbox": start.get("sandbox"),
        **named,
    }
