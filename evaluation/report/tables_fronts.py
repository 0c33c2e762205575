"""The tables of the fronts, one row a model, an arm and gain, a pair and gain."""

from collections.abc import Iterator
from typing import Any

Rows = Iterator[dict[str, Any]]


def points(results: dict[str, Any]) -> Rows:
    """Every model of the sweep, and what it had spent."""
    for point in (results["front"] or {"points": []})["points"]:
        gains = {f"gain_{group}": value for group, value in point["gains"].items()}
        spent = {f"spent_{unit}": value for unit, value in point["spent"].items()}
        yield {name: value for name, value in point.items() if name not in ("gains", "spent")} | gains | spent


def at(results: dict[str, Any]) -> Rows:
    """What each arm keeps at each stated gain."""
    yield from (results["front"] or {"at": []})["at"]


def between(results: dict[str, Any]) -> Rows:
    """Pairs of arms at equal gain; without a gain the mean over all that both reach, and the area."""
    yield from (results["front"] or {"between": []})["between"]


def second(results: dict[str, Any]) -> Rows:
    """What the first task left of each arm, and what the second did to it."""
    for row in (results["second"] or {"rows": []})["rows"]:
        plain = {name: value for name, value in row.items() if not isinstance(value, dict)}
        changes = {
            f"{name}_{key}": value for name, own in row.items() if isinstance(own, dict) for key, value in own.items()
        }
        yield plain | changes
