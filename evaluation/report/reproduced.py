"""Published numbers beside ours, row by row: how far apart, whether ours could be the same, in which order arms lie.

Where the run is not the published set-up, a row says in what it departs and nothing but signs and orders is compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import PurePath
from typing import Any, NamedTuple

from evaluation.published import Table, tables
from evaluation.report import as_published as ours_of
from evaluation.report.as_published import BASE, Measured, Ours
from evaluation.report.read import Experiment

Measure = Callable[[Ours, str, str], Measured]
SAME, ORDER = "same set-up", "sign and order only"
INSIDE, OUTSIDE, NO_INTERVAL = "within our interval", "outside our interval", "we have no interval"
SAME_SIGN, OTHER_SIGN, NO_SIGN = "same sign", "other sign", "our sign is not shown"
NO_NUMBER, ORDERED, GAINED = "no number", "see the order", "see the gains"

MAIN = {
    "Qwen3-14B-Base": BASE,
    "UniReason think SFT": "sft",
    "UniReason no-think SFT": "sft_no_think",
    "UniReason RL": "grpo",
}
ABLATION = {
    **{"base": BASE, "off-policy SFT": "sft", "on-policy SFT": "iterative_rft", "off-policy RL": "offpolicy_rl"},
    **{"on-policy RL, no KL": "grpo", "on-policy RL": "grpo_kl"},
}
REACH = {
    **{"Qwen2.5-7B": BASE, "GRPO": "grpo", "PPO": "ppo", "RLOO": "rloo"},
    **{"Reinforce++": "reinforce_pp", "DAPO": "dapo"},
}


DATA = "math_rl_48k"  # the released prompts


class Setup(NamedTuple):
    """What a published run had; `other` is what no run of ours has of it."""

    base: str
    prompts: int = 0  # shown in training; 0 where it is not known
    other: str = ""


QWEN_14B = Setup("Qwen3-14B-Base", 140 * 512)
QWEN_8B = Setup("Qwen3-8B-Base")
YUE = Setup("Qwen2.5-7B", other="trained and tested on Omni-MATH there")
GRADIENTS = QWEN_14B._replace(
    other="the paper names the indicators and does not define them; these are our definitions"
)
RANKS = QWEN_14B._replace(other="how the paper averages ranks is not published")
STATES = QWEN_14B._replace(other="texts are our prompts with their references, not the data sets' raw columns")
LLAMA = Setup("Llama-3.1-8B", other="trained on another task there")


class Beside(NamedTuple):
    """How a published table is read beside an experiment."""

    arms: Mapping[str, str]  # row -> arm
    setup: Setup
    measure: Measure
    signed: bool = False  # whether the sign of a value says something
    columns: tuple[str, ...] = ()  # those that ours can stand beside; empty: all


BESIDE: dict[str, Beside] = {
    "scores": Beside(MAIN, QWEN_14B, ours_of.score),
    "averages": Beside(MAIN, QWEN_14B, ours_of.group_score),
    "gains": Beside(MAIN, QWEN_14B, ours_of.gain, True),
    "transfer": Beside(MAIN, QWEN_14B, ours_of.ti("published"), True),
    "transfer_first_version": Beside(MAIN, QWEN_14B, ours_of.ti("relative"), True),
    "ablation": Beside(ABLATION, QWEN_8B, ours_of.group_score),
    "ablation_gains": Beside(ABLATION, QWEN_8B, ours_of.gain, True),
    "ablation_transfer": Beside(ABLATION, QWEN_8B, ours_of.ti("published"), True),
    "kl": Beside(MAIN, QWEN_14B, ours_of.drift("tokens", "texts", "own", "published")),
    "kl_released": Beside(MAIN, QWEN_14B, ours_of.drift("tokens", "texts", "own", "published")),
    "rank_shift": Beside(MAIN, RANKS, ours_of.drift("tokens", "texts", "own", "rank_shift/responses")),
    "rank_shift_mean": Beside(MAIN, RANKS, ours_of.rank_mean),
    "pca_groups": Beside(MAIN, STATES, ours_of.drift("representation", "as_published", "d")),
    "pca_tasks": Beside(MAIN, STATES, ours_of.drift("representation", "as_published", "d")),
    "gradients": Beside(MAIN, GRADIENTS, ours_of.gradient),
    "sparsity": Beside(MAIN, QWEN_14B, ours_of.unchanged),
    "reach": Beside(REACH, YUE, ours_of.reach, columns=("omni_test@1", "omni_test@256")),
    "retaining": Beside(
        {"SFT": "sft", "GRPO": "grpo"}, LLAMA, ours_of.retained, True, ("countdown_gain", "countdown_drop")
    ),
}
NOT_BESIDE = {  # tables that no number of an experiment is set beside
    "prompts": "settings, not results",
    "pca_qwen2.5_7b": "another pair of models",
    "shifted_tokens": "one query each, without a threshold",
    "efficiency_best": "the best of six algorithms; compare `reach`",
    "efficiency_text": "compare `reach`",
    "training_length": "another training, by step",
    "solvable": "of single models; the report's section on pass@k has these sets",
    "solved_of_30": "of single models; the report's section on pass@k has these sets",
    "forgetting_law": "the report's section on distance has the fit over its own checkpoints",
    "forgetting_cknna": "CKNNA is not measured here; linear CKA is",
    "retaining_correlation": "over other runs than these",
}
UNORDERED = ("averages", "ablation")  # their gains are ordered: paired with the base
NOTES = {
    "off-policy RL": "ours trains on all responses of a group, the paper's on the one of highest reward",
    "on-policy RL": "the published beta is not given",
}


@dataclass(frozen=True)
class Row:
    """One published value and ours; `difference` is ours minus published, where that may be compared."""

    table: str
    row: str
    column: str
    published: float
    erratum: str
    arm: str
    ours: float | None
    low: float | None
    high: float | None
    difference: float | None
    level: str
    verdict: str
    why: str


@dataclass(frozen=True)
class Order:
    """Two rows of a published table, and whether ours lie in the same order."""

    table: str
    column: str
    higher: str
    lower: str
    verdict: str


def rows(experiment: Experiment) -> list[Row]:
    """Every published value that an arm of the experiment, or its base, stands for; without ours, the reason."""
    ours = Ours(experiment)
    return [one for name, table in published().items() if name in BESIDE for one in _rows(ours, name, table)]


def orders(found: Sequence[Row]) -> list[Order]:
    """Each two rows of a column that we measured both; `not shown` where our intervals overlap, or are not there."""
    told = []
    by_column: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        if row.ours is not None and row.table not in UNORDERED:
            by_column.setdefault((row.table, row.column), []).append(row)
    for (table, column), own in by_column.items():
        for one, other in combinations(own, 2):
            if one.published != other.published:
                high, low = (one, other) if one.published > other.published else (other, one)
                told.append(Order(table, column, high.row, low.row, _order(high, low)))
    return told


def published() -> dict[str, Table]:
    """The published tables, and the gains that follow from their averages (errata corrected)."""
    found = dict(tables())
    added = {"averages": ("gains", "Qwen3-14B-Base"), "ablation": ("ablation_gains", "base")}
    named: dict[str, Table] = {}
    for name, table in found.items():
        named[name] = table
        if name in added:
            key, base = added[name]
            named[key] = _gains(table, base)
    return named


def plain(found: Sequence[Row] | Sequence[Order]) -> list[dict[str, Any]]:
    return [asdict(one) for one in found]


def departures(ours: Ours, setup: Setup) -> list[str]:
    """In what the experiment is not the published set-up."""
    configuration = ours.experiment.runs[0].configuration
    base = PurePath(configuration.model.path).name
    found = [] if base.casefold() == setup.base.casefold() else [f"base {base}, not {setup.base}"]
    if not ours.on_published and not set(tables()["scores"].columns) <= set(ours.benchmarks):
        found.append(f"suite {configuration.suite.name}, not the published one")
    if setup.prompts and (data := PurePath(configuration.data.source).name) != DATA:
        found.append(f"data {data}, not {DATA}")
    shown = configuration.train.steps * configuration.train.prompts_per_step
    if setup.prompts and shown != setup.prompts:
        found.append(f"{shown:,} prompts shown, not {setup.prompts:,}")
    return found + ([setup.other] if setup.other else [])


def _gains(table: Table, base: str) -> Table:
    def value(row: str, column: str) -> float | None:
        erratum = table.erratum(row, column)
        return erratum.correct if erratum else table.value(row, column)

    values: dict[str, list[float | None]] = {}
    for row in (row for row in table.rows if row != base):
        pairs = [(value(row, column), value(base, column)) for column in table.columns]
        values[row] = [None if a is None or b is None else round(a - b, 2) for a, b in pairs]
    source = f"{table.source}, differences" + (" (errata corrected)" if table.errata else "")
    return table.model_copy(update={"rows": values, "errata": [], "source": source, "unit": "points over the base"})


def _rows(ours: Ours, name: str, table: Table) -> list[Row]:
    beside = BESIDE[name]
    found, departed = [], departures(ours, beside.setup)
    for row, values in table.rows.items():
        arm = beside.arms.get(row)
        for column, value in zip(table.columns, values, strict=True):
            if arm is None or value is None or column not in (beside.columns or table.columns):
                continue
            known = arm == BASE or arm in ours.experiment.arms
            measured = beside.measure(ours, arm, column) if known else Measured(reason=f"no arm {arm} in this run")
            found.append(_row(name, table, row, column, value, arm, measured, beside.signed, departed))
    return found


def _row(
    name: str,
    table: Table,
    row: str,
    column: str,
    value: float,
    arm: str,
    own: Measured,
    signed: bool,
    departed: list[str],
) -> Row:
    erratum = table.erratum(row, column)
    right = erratum.correct if erratum else value
    told = f"printed {value:g}, should be {erratum.correct:g}: {erratum.why}" if erratum else ""
    departed = departed + ([f"{own.instead} instead"] if own.instead else [])
    level = "" if own.value is None else ORDER if departed else SAME
    why = own.reason if own.value is None else "; ".join(departed + ([NOTES[row]] if row in NOTES else []))
    gap = own.value - right if own.value is not None and level == SAME else None
    verdict = _verdict(own, right, level, signed)
    verdict = GAINED if verdict == ORDERED and name in UNORDERED else verdict
    return Row(name, row, column, value, told, arm, own.value, own.low, own.high, gap, level, verdict, why)


def _verdict(own: Measured, right: float, level: str, signed: bool) -> str:
    if own.value is None:
        return NO_NUMBER
    if level == SAME:
        if own.low is None or own.high is None:
            return NO_INTERVAL
        return INSIDE if own.low <= right <= own.high else OUTSIDE
    if not signed:
        return ORDERED
    if own.low is None or own.high is None or own.low <= 0 <= own.high or right == 0:
        return NO_SIGN
    return SAME_SIGN if own.value * right > 0 else OTHER_SIGN


def _order(high: Row, low: Row) -> str:
    if None in (high.low, high.high, low.low, low.high):
        return "not shown"
    if high.low > low.high:  # type: ignore[operator]
        return "same"
    return "reversed" if high.high < low.low else "not shown"  # type: ignore[operator]
