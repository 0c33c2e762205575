"""Transfer as rows of a table."""

from collections.abc import Iterator
from typing import Any

Rows = Iterator[dict[str, Any]]


def transfer(results: dict[str, Any]) -> Rows:
    """One row an arm, kind of response, form and group; `suite` is empty for the run's own. `ti` is empty where it is
    undefined or unbounded (`reason`); `ratio` is 100 * index / math's index all the same, where that is above zero."""
    yield from _suite("", results["transfer"])
    for suite, own in results["transfer_suites"].items():
        yield from _suite(suite, own["arms"])


def _suite(suite: str, arms: dict[str, Any]) -> Rows:
    for arm, by_measure in arms.items():
        for measure, forms in by_measure.items():
            for form, found in forms.items():
                for group in found["index"]:
                    about = {"suite": suite, "arm": arm, "measure": measure, "form": form, "group": group}
                    yield about | _cell(found, group)


def _cell(found: dict[str, Any], group: str) -> dict[str, Any]:
    row = {"index": found["index"][group], "sigma": found["sigma"][group], "ti": found["ti"].get(group)}
    for basis, kind in (("interval", ""), ("over_items", "_over_items")):
        for name, bounds in found[basis].items():
            own = bounds.get(group, {"low": None, "high": None})
            row |= {f"{name}_{end}{kind}": value for end, value in own.items()}
    row |= {"ratio": found["point"].get(group), "seeds": found["seeds"], "over_seeds": found["over_seeds"]}
    return row | {"reason": found["reason"].get(group, "")}


def steps(results: dict[str, Any]) -> Rows:
    """One row an arm, group and step; what was spent by then is the mean over the seeds."""
    for arm, own in results["transfer_steps"].items():
        for group, cells in own["cells"].items():
            for place, (step, cell) in enumerate(zip(own["steps"], cells, strict=True)):
                spent = {f"spent_{unit}": values[place] for unit, values in own["spent"].items()}
                yield {"arm": arm, "group": group, "step": step, "seeds": own["seeds"], **cell, **spent}
