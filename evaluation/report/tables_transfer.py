"""Transfer as rows of a table."""

from collections.abc import Iterator
from typing import Any

Rows = Iterator[dict[str, Any]]


def transfer(results: dict[str, Any]) -> Rows:
    """One row an arm, kind of response, form and group. `ti` is empty where it is undefined or unbounded (`reason`);
    `ratio` is 100 * index / math's index all the same, where that is above zero."""
    for arm, by_measure in results["transfer"].items():
        for measure, forms in by_measure.items():
            for form, found in forms.items():
                for group, index in found["index"].items():
                    about = {"arm": arm, "measure": measure, "form": form, "group": group, "index": index}
                    about |= {"sigma": found["sigma"][group], "ti": found["ti"].get(group)}
                    for basis, kind in (("interval", ""), ("over_items", "_over_items")):
                        for name, bounds in found[basis].items():
                            own = bounds.get(group, {"low": None, "high": None})
                            about |= {f"{name}_{end}{kind}": value for end, value in own.items()}
                    about |= {"ratio": found["point"].get(group), "seeds": found["seeds"]}
                    yield about | {"over_seeds": found["over_seeds"], "reason": found["reason"].get(group, "")}


def steps(results: dict[str, Any]) -> Rows:
    """One row an arm, group and step; what was spent by then is the mean over the seeds."""
    for arm, own in results["transfer_steps"].items():
        for group, cells in own["cells"].items():
            for place, (step, cell) in enumerate(zip(own["steps"], cells, strict=True)):
                spent = {f"spent_{unit}": values[place] for unit, values in own["spent"].items()}
                yield {"arm": arm, "group": group, "step": step, "seeds": own["seeds"], **cell, **spent}
