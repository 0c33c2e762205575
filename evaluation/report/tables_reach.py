"""Reach as tables: one fact a row."""

from collections.abc import Iterator
from typing import Any

from evaluation.reach import bin_names

Rows = Iterator[dict[str, Any]]
KINDS = ("groups", "benchmarks")


def curves(results: dict[str, Any]) -> Rows:
    """pass@k with its interval, and what answers to other items would get right."""
    for suite in results["reach"]:
        for label, own in suite["curves"].items():
            for kind in KINDS:
                for name, points in own[kind].items():
                    guessed = suite["guessing"][kind][name] or [None] * len(points)
                    about = {"suite": suite["suite"], "model": label, "kind": kind.removesuffix("s"), "name": name}
                    for point, guess in zip(points, guessed, strict=True):
                        yield about | point | ({"answers_to_other_items": guess} if label == "base" else {})


def arms(results: dict[str, Any]) -> Rows:
    """Of each arm against the base: differences at both ends, the crossover, who solves what."""
    for about, found in _cells(results):
        row = about | {"k": found["k"]}
        for key in ("first", "last", "efficiency"):
            row |= _flat(key, found[key])
        row |= _flat("crossover", {key: found["crossover"][key] for key in ("k", "low", "high", "crossed")})
        for key in ("once", "often", "half", "chance"):
            row |= _flat(key, found["sets"][key])
        for who, cell in found["sets"]["beyond_chance"].items():
            row |= _flat(f"beyond_chance_{who}", cell)
        yield row


def explored(results: dict[str, Any]) -> Rows:
    """Distinct right responses and strategies at equal numbers of right samples."""
    for about, found in _cells(results):
        for what, own in found["explored"].items():
            row = about | {"what": what, "items": own["items"], "right": own["right"]}
            yield row | _flat("distinct", own["distinct"]) | _flat("effective", own["effective"])


def steps(results: dict[str, Any]) -> Rows:
    """The two ends of pass@k, their gap and distinct right responses at every evaluated step, with what was spent."""
    for suite in results["reach"]:
        for arm, runs in suite["steps"].items():
            for run in runs:
                for group, own in run["groups"].items():
                    for place, step in enumerate(run["steps"]):
                        about = {"suite": suite["suite"], "arm": arm, "seed": run["seed"], "group": group, "step": step}
                        spent = {unit: values[place] for unit, values in run["spent"].items()}
                        yield about | {key: values[place] for key, values in own.items()} | spent


def histogram(results: dict[str, Any]) -> Rows:
    """Share of items in each bin of accuracy."""
    for suite in results["reach"]:
        for label, groups in suite["histogram"].items():
            for group, shares in groups.items():
                for name, share in zip(bin_names(), shares, strict=True):
                    about = {"suite": suite["suite"], "model": label, "group": group}
                    yield about | {"right_samples_percent": name, "items_percent": share}


def likely(results: dict[str, Any]) -> Rows:
    """Perplexities of the compared checkpoints, and at every measured step (`step`) of a run without intervals."""
    for arm, own in results["likely"].items():
        for kind in KINDS:
            for name, cell in own["cells"][kind].items():
                row = {"arm": arm, "kind": kind.removesuffix("s"), "name": name, "step": "", "seed": ""}
                for key, value in cell.items():
                    row |= _flat(key, value) if isinstance(value, dict) else {key: value}
                yield row
        for run in own["steps"]:
            for group, curves in run["groups"].items():
                for place, step in enumerate(run["steps"]):
                    about = {"arm": arm, "kind": "group", "name": group, "step": step, "seed": run["seed"]}
                    yield about | {f"{key}_value": values[place] for key, values in curves.items()}


def matched(results: dict[str, Any]) -> Rows:
    """pass@k at the base's entropy."""
    for arm, own in results["likely"].items():
        for kind, cells in own["matched"].items():
            for name, cell in cells.items():
                row = {"arm": arm, "kind": kind.removesuffix("s"), "name": name}
                for key, value in cell.items():
                    row |= _flat(key, value) if isinstance(value, dict) else {key: value}
                yield row


def _cells(results: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for suite in results["reach"]:
        for arm, own in suite["arms"].items():
            for kind in KINDS:
                for name, found in own[kind].items():
                    yield {"suite": suite["suite"], "arm": arm, "kind": kind.removesuffix("s"), "name": name}, found


def _flat(prefix: str, cell: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{key}": value for key, value in cell.items()}
