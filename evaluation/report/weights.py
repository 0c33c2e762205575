"""What each arm did to the weights, and how its gradient norms went."""

from collections.abc import Sequence
from typing import Any

from evaluation import gradients
from evaluation.published import tables
from evaluation.report import drifts
from evaluation.report.read import Experiment, Run

NAME = "weights"
UNCHANGED = ("bf16", "float32", "relative", "of_largest")
SCALARS = ("norm", "relative_norm", "effective_rank", "rank_share", "stable_rank")


def weights(experiment: Experiment) -> dict[str, Any]:
    """{arms, steps, lacking, published}; empty where no run has the measure."""
    lasts = drifts.lasts(experiment, NAME)
    if not lasts:
        return {}
    return {
        "arms": {arm: _arm(own) for arm, own in lasts.items()},
        "steps": {arm: [drifts.along(run, NAME, _total) for run in experiment.arms[arm]] for arm in lasts},
        "lacking": drifts.lacking(experiment, NAME),
        "published": {row: value for row, (value,) in tables()["sparsity"].rows.items()},
    }


def _arm(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"stored": seeds[0].get("stored", {}), "total": _cell([own["total"] for own in seeds])}
    for kind in ("kinds", "layers"):
        names = dict.fromkeys(name for own in seeds for name in own.get(kind, {}))
        found[kind] = {name: _cell([own.get(kind, {}).get(name, {}) for own in seeds]) for name in names}
    return found


def _cell(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flat = [_flat(own) for own in seeds]
    cell: dict[str, Any] = {"parameters": seeds[0].get("parameters")}
    return cell | {key: drifts.over_seeds([own.get(key) for own in flat]) for key in (*UNCHANGED, *SCALARS)}


def _flat(cell: dict[str, Any]) -> dict[str, float | None]:
    """Shares unchanged in percent, and the rest."""
    shares = {key: cell.get("unchanged", {}).get(key) for key in UNCHANGED}
    percent = {key: None if share is None else 100 * share for key, share in shares.items()}
    return percent | {key: cell.get(key) for key in SCALARS}


def _total(values: dict[str, Any]) -> dict[str, float | None]:
    return _flat(values["total"])


def gradient_norms(experiment: Experiment) -> dict[str, Any]:
    """{arms, published, reasons}: each indicator over seeds, and the published rows; empty where no norm was logged."""
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for arm, runs in experiment.arms.items():
        own = [norms(run) for run in runs]
        try:
            each = [gradients.indicators(one) for one in own]
        except ValueError as error:
            reasons[arm] = str(error)
            continue
        found[arm] = {"steps": min(gradients.STEPS, *map(len, own)), "seeds": len(own)}
        found[arm] |= {name: drifts.over_seeds([one[name] for one in each]) for name in gradients.NAMES}
    if not found:
        return {}
    return {"arms": found, "published": gradients.published(), "reasons": reasons}


def norms(run: Run) -> list[float]:
    """The logged gradient norms in the order of the steps."""
    return [row["grad_norm"] for row in run.metrics if row.get("grad_norm") is not None]
