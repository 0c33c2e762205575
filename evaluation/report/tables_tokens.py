"""Tables of token shift and of forgetting against distance, one fact a row."""

from collections.abc import Iterator
from typing import Any

Rows = Iterator[dict[str, Any]]


def relations(results: dict[str, Any]) -> Rows:
    """Each number that relates points lost to a direction of the distance, of all arms and of each."""
    for direction, own in (results["distance"] or {"relations": {}})["relations"].items():
        for over, found in (
            ("all", own["all"]),
            (f"all but {own['without']['arm']}", own["without"]),
            ("within arms", own["within"]),
            *own["arms"].items(),
        ):
            about = {"direction": direction, "over": over, "points": found["points"], "runs": found["runs"]}
            if "reason" in found:
                yield about | {"reason": found["reason"]}
            for name, cell in found.items():
                if isinstance(cell, dict):
                    yield about | {"number": name, **cell}


def tokens(results: dict[str, Any]) -> Rows:
    """Each benchmark and group of each arm's compared checkpoint."""
    for arm, texts in _of(results, "arms").items():
        for text, own in texts.items():
            for kind in ("benchmarks", "groups"):
                for name, cell in own[kind].items():
                    about = {"arm": arm, "text": text, "kind": kind.removesuffix("s"), "name": name}
                    yield about | _flat({key: value for key, value in cell.items() if key != "group"})


def steps(results: dict[str, Any]) -> Rows:
    """Means over responses by group along training, with scores and what was spent."""
    for arm, runs in _of(results, "steps").items():
        for run in runs:
            for place, step in enumerate(run["steps"]):
                for group, scores in run["greedy"].items():
                    row = {"arm": arm, "seed": run["seed"], "step": step, "group": group, "greedy": scores[place]}
                    row |= {f"spent_{unit}": values[place] for unit, values in run["spent"].items()}
                    for text in ("own", "base"):
                        row |= {f"{text}_{name}": by[group][place] for name, by in run[text].items()}
                    yield row


def positions(results: dict[str, Any]) -> Rows:
    for arm, groups in _of(results, "positions").items():
        for group, rows in groups.items():
            for row in rows:
                yield {"arm": arm, "group": group, **row}


def words(results: dict[str, Any]) -> Rows:
    """Shifted words, and shifted tokens by themselves."""
    for listed in ("words", "pieces"):
        for arm, rows in _of(results, listed).items():
            for row in rows:
                yield {"arm": arm, "listed": listed, **row, "tokens": " ".join(row["tokens"])}


def _of(results: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = (results["tokens"] or {name: {}})[name]
    return found


def _flat(cell: dict[str, Any]) -> dict[str, Any]:
    """{a: {b: 1}} as {a_b: 1}."""
    found: dict[str, Any] = {}
    for name, value in cell.items():
        inner = isinstance(value, dict)
        found |= {f"{name}_{key}": own for key, own in value.items()} if inner else {name: value}
    return found
