"""Which published values follow from the published numbers beside them, and which cannot be computed again.

`make reproduce` shows the list, and a test holds it: a value that is said to follow does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.published import Table, tables
from evaluation.transfer import MATH, transfer_index

FOLLOWS, DIFFERS, FITTED = "follows", "does not follow", "used for the fit"
ROUNDING = 0.1  # of a mean or difference of values printed with one decimal
TI_ROUNDING = 0.35  # percent: what rounded scores move a TI by, seen on the rows that match
FITTED_ROW = "UniReason RL"
NO_INPUTS = {
    "ablation": "scores per benchmark of the Qwen3-8B runs are not published",
    "ablation_transfer": "scores per benchmark of the Qwen3-8B runs are not published",
    "pca_groups": "the hidden states, and which tasks enter a mean, are not published",
    "pca_tasks": "the hidden states are not published",
    "pca_qwen2.5_7b": "the hidden states are not published",
    "kl": "no log-probabilities of this run are published",
    "kl_released": "the released log-probabilities are not part of this repository",
    "rank_shift": "no ranks are published",
    "shifted_tokens": "no ranks, and no threshold, are published",
    "gradients": "the gradient norms by step are not published",
    "reach": "right responses by problem are not published",
    "training_length": "right responses by problem are not published",
    "sparsity": "it takes the released weights",
    "forgetting_law": "the runs behind the fit are not published",
    "forgetting_cknna": "the hidden states are not published",
    "retaining": "the responses are not part of this repository",
    "retaining_correlation": "the runs behind it are not part of this repository",
    "scores": "the responses are not published",
}


@dataclass(frozen=True)
class Check:
    """One published value beside what its neighbours give."""

    table: str
    row: str
    column: str
    published: float
    recomputed: float | None
    tolerance: float | None
    verdict: str
    how: str


def checks() -> list[Check]:
    """Every published value that other published numbers imply."""
    found = tables()
    return [
        *_averages(found),
        *_transfer(found),
        *_first_version(found),
        *_prompts(found),
        *_ranks(found),
        *_efficiency(found),
        *_solvable(found),
    ]


def not_computed() -> dict[str, str]:
    """Table -> why no number of it can be computed from what is published."""
    done = {one.table for one in checks()}
    return {name: NO_INPUTS[name] for name in tables() if name not in done}


def calibrated(row: str = FITTED_ROW) -> dict[str, float]:
    """One sigma a group, such that the published TI of `row` follows: (TI without sigma / published TI) squared."""
    table, scores = tables()["transfer"], tables()["scores"]
    raw = transfer_index(scores.scores(table.base[row]), scores.scores(row), scale="none").ti
    return {MATH: 1.0} | {group: (raw[group] / table.value(row, group)) ** 2 for group in table.columns}  # type: ignore[operator]


def _check(table: str, row: str, column: str, published: float, recomputed: float, tolerance: float, how: str) -> Check:
    near = abs(published - recomputed) <= tolerance + 1e-9
    return Check(table, row, column, published, recomputed, tolerance, FOLLOWS if near else DIFFERS, how)


def _averages(found: Mapping[str, Table]) -> Iterator[Check]:
    scores = found["scores"]
    for row in found["averages"].rows:
        for group, own in scores.scores(row).items():
            printed = found["averages"].rows[row][found["averages"].columns.index(group)]
            how = "mean of the four scores"
            yield _check("averages", row, group, _there(printed), float(np.mean(list(own.values()))), ROUNDING, how)


def _transfer(found: Mapping[str, Table]) -> Iterator[Check]:
    """With the sigma fitted on one row; that row proves nothing."""
    scores, table, sigma = found["scores"], found["transfer"], calibrated()
    how = f"one sigma a group, fitted on {FITTED_ROW}"
    for row, base in table.base.items():
        ti = transfer_index(scores.scores(base), scores.scores(row), scale=sigma).ti
        for group, printed in zip(table.columns, table.rows[row], strict=True):
            one = _check("transfer", row, group, _there(printed), _there(ti[group]), TI_ROUNDING, how)
            yield Check(**(vars(one) | {"verdict": FITTED})) if row == FITTED_ROW else one


def _first_version(found: Mapping[str, Table]) -> Iterator[Check]:
    scores, table = found["scores"], found["transfer_first_version"]
    for row, base in table.base.items():
        ti = transfer_index(scores.scores(base), scores.scores(row), formula="relative").ti
        for group, printed in zip(table.columns, table.rows[row], strict=True):
            how = "the first version's formula on the second version's scores"
            yield _check("transfer_first_version", row, group, _there(printed), _there(ti[group]), TI_ROUNDING, how)


def _prompts(found: Mapping[str, Table]) -> Iterator[Check]:
    for row, values in found["prompts"].rows.items():
        steps, batch, prompts, epochs = (_there(value) for value in values)
        yield _check(
            "prompts", row, "epochs", epochs, steps * batch / prompts, 0.05, "steps x prompts a step / prompts"
        )


def _ranks(found: Mapping[str, Table]) -> Iterator[Check]:
    for row, values in found["rank_shift_mean"].rows.items():
        mean = float(np.mean([_there(value) for value in found["rank_shift"].rows[row]]))
        yield _check("rank_shift_mean", row, "mean", _there(values[0]), mean, 0.05, "mean of the five tasks")


def _efficiency(found: Mapping[str, Table]) -> Iterator[Check]:
    """Delta_SE: pass@256 of the base less pass@1 of the tuned."""
    reach, base = found["reach"], "Qwen2.5-7B"

    def gap(row: str, task: str) -> float:
        return _there(reach.value(base, f"{task}@256")) - _there(reach.value(row, f"{task}@1"))

    tuned = [row for row in reach.rows if row != base]
    for task in (table := found["efficiency_best"]).columns:
        least = min(gap(row, task) for row in tuned)
        yield _check("efficiency_best", "best", task, _there(table.value("best", task)), least, ROUNDING, "Table 2")
    for row, values in found["efficiency_text"].rows.items():
        task = found["efficiency_text"].columns[0]
        yield _check("efficiency_text", row, task, _there(values[0]), gap(row, task), ROUNDING, "Table 2")


def _solvable(found: Mapping[str, Table]) -> Iterator[Check]:
    """Shares of four exclusive sets, and what they mean in problems."""
    for row, values in found["solvable"].rows.items():
        total = sum(_there(value) for value in values)
        yield _check("solvable", row, "all four", 100.0, total, 2 * ROUNDING, "the four sets together")
    row = next(iter(found["solved_of_30"].rows))
    both, base_only, tuned_only, _ = (_there(value) for value in found["solvable"].rows[row])
    for column, share in (("base", both + base_only), ("tuned", both + tuned_only)):
        printed = _there(found["solved_of_30"].value(row, column))
        yield _check("solved_of_30", row, column, printed, share * 30 / 100, 0.05, "the shares of `solvable`, of 30")


def _there(value: float | None) -> float:
    if value is None:
        raise ValueError("a published value that a check rests on is not there")
    return value
