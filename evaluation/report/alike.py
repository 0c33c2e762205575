"""Models are compared on the same items, asked in the same way, at the ends of runs that have ended.

What is not alike is brought down to what is, scores included, and said.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.report import intact
from evaluation.report.intact import Told
from evaluation.scores import GREEDY

if TYPE_CHECKING:
    from evaluation.report.read import Evaluation, Run

Item = tuple[str, str]  # benchmark, id
FEW = 6  # differing keys named one by one


def aligned(base: "Evaluation", runs: list["Run"], told: Told) -> tuple["Evaluation", list["Run"]]:
    """Base and runs, all evaluations on the items that every compared model was asked; runs that are on their way are
    left out where another seed of their arm has ended, and so is one whose compared responses cannot be read."""
    runs = [one for run in _ended(runs, told) if (one := _readable(run, told))]
    checked = _checked(base, told)
    if not runs or checked is None:
        return base, []
    base, runs = checked, _with_benchmarks(checked, runs, told)
    if not runs:
        return base, []
    dropped = _not_shared([base, *(run.last for run in runs)], told)
    _same_settings(base, runs, told)
    base = _on_shared(base, dropped)
    counts = {name: one["items"] for name, one in base.scores["benchmarks"].items()}
    return base, [
        replace(run, evaluations=[_as_many(_on_shared(one, dropped), counts, told) for one in run.evaluations])
        for run in runs
    ]


def _ended(runs: list["Run"], told: Told) -> list["Run"]:
    kept = []
    for run in runs:
        furthest = max(one.last.step for one in runs if one.arm == run.arm)
        planned = run.configuration.train.steps
        if run.last.step < min(furthest, planned):
            told.append(
                f"{run.arm}, seed {run.seed} was evaluated up to step {run.last.step}, other seeds of the arm up to "
                f"{furthest}: it is left out, and nothing is claimed of this seed"
            )
        else:
            kept.append(run)
    return kept


def _readable(run: "Run", told: Told) -> "Run | None":
    """The run, its last evaluation checked; one that cannot be read gives way to the one before."""
    evaluations = list(run.evaluations)
    while evaluations:
        checked = _checked(evaluations[-1], told)
        if checked:
            return replace(run, evaluations=[*evaluations[:-1], checked])
        evaluations.pop()
    return None


def _checked(one: "Evaluation", told: Told) -> "Evaluation | None":
    """The evaluation with scores that follow from its responses, each counted once."""
    where = str(one.folder.relative_to(one.root))
    try:
        columns = [name for name in intact.SCORED if name in pq.read_schema(one.folder / "items.parquet").names]
        table = pq.read_table(one.folder / "items.parquet", columns=columns)
    except (pa.ArrowException, OSError) as error:
        told.append(f"{where}: items.parquet cannot be read ({' '.join(str(error).split())[:120]}); it is left out")
        return None
    twice = intact.doubled(table)
    clean = intact.without(table) if twice else table
    if twice:
        told.append(f"{where}: {twice} responses stand twice in items.parquet; the first of each counts")
    elif not intact.disagrees(one.scores, table.to_pydict()):
        return one
    else:
        told.append(f"{where}: scores.json does not follow from items.parquet; its scores are made again")
    scores = one.scores | intact.again(one.folder, clean, one.scores.get("missing"))
    return replace(one, scores=scores, doubled=bool(twice))


def _with_benchmarks(base: "Evaluation", runs: list["Run"], told: Told) -> list["Run"]:
    """Without runs that leave the others nothing to be compared on, those with the fewest of the base's benchmarks."""
    kept, asked = list(runs), _scored(base)
    while kept and not asked.intersection(*(_scored(run.last) for run in kept)):
        fewest = min(kept, key=lambda run: len(asked & _scored(run.last)))
        kept.remove(fewest)
        told.append(f"{fewest.arm}, seed {fewest.seed} has no benchmark that base and other runs have: it is left out")
    return kept


def _scored(one: "Evaluation") -> set[str]:
    return {name for name, own in one.scores["benchmarks"].items() if own["greedy"]["score"] is not None}


def _not_shared(compared: list["Evaluation"], told: Told) -> frozenset[Item]:
    """Items that not all of these were asked, or not with the same prompt and reference; of each benchmark that all
    have. One that a model lacks altogether is missing, which is said elsewhere."""
    asked = [_asked(one) for one in compared]
    everywhere = set.intersection(*({benchmark for benchmark, _ in own} for own in asked))
    every = {item: None for own in asked for item in own if item[0] in everywhere}
    shared = {item for item in every if len({own.get(item) for own in asked}) == 1}
    dropped = frozenset(item for item in every if item not in shared)
    for benchmark in dict.fromkeys(item[0] for item in every if item in dropped):
        there, kept = (sum(item[0] == benchmark for item in own) for own in (every, shared))
        told.append(
            f"{benchmark}: the models were not asked the same items; of {there} they share {kept}, and all that is "
            "said of it is of those" + ("" if kept else ": nothing can be claimed of it")
        )
    return dropped


def _asked(one: "Evaluation") -> dict[Item, tuple[str, ...]]:
    """(benchmark, id) -> prompt and reference of each item."""
    there = pq.read_schema(one.folder / "items.parquet").names
    prompt = "prompt_digest" if "prompt_digest" in there else "prompt"
    columns = [name for name in ("benchmark", "item", prompt, "reference") if name in there]
    table = one.table(columns, [("sample", "=", GREEDY)])
    rows: Iterable[tuple[str, ...]] = zip(*(table[name].to_pylist() for name in columns), strict=True)
    return {(row[0], row[1]): row[2:] for row in rows}


def _on_shared(one: "Evaluation", dropped: frozenset[Item]) -> "Evaluation":
    """The evaluation without `dropped`, its scores made again."""
    if not {name for name, _ in dropped} & set(one.scores["benchmarks"]):
        return one
    found = replace(one, dropped=dropped)
    try:
        there = pq.read_schema(one.folder / "items.parquet").names
        table = found.table([name for name in intact.SCORED if name in there])
    except (pa.ArrowException, OSError):  # a checkpoint on the way; its benchmarks then differ in number, and go
        return one
    having = set(table["benchmark"].to_pylist())
    gone = {
        name: {"group": own["group"], "reason": "the models were asked other items"}
        for name, own in one.scores["benchmarks"].items()
        if name not in having
    }
    return replace(found, scores=one.scores | intact.again(one.folder, table, one.scores.get("missing", {}) | gone))


def _as_many(one: "Evaluation", counts: dict[str, int], told: Told) -> "Evaluation":
    """The evaluation without benchmarks of which it was asked another number of items than the base."""
    scores = one.scores["benchmarks"]
    odd = [name for name in scores if scores[name]["items"] != counts.get(name, scores[name]["items"])]
    if not odd:
        return one
    where = one.folder.relative_to(one.root)
    told.append(f"{where}: asked another number of items of {', '.join(odd)} than the base; left out of its scores")
    kept = {name: own for name, own in scores.items() if name not in odd}
    return replace(one, scores=one.scores | {"benchmarks": kept})


def _same_settings(base: "Evaluation", runs: list["Run"], told: Told) -> None:
    """Tell keys of the suite under which base and runs were not scored alike, where the files say."""
    own = _settings(base)
    for run in runs:
        other = _settings(run.last)
        keys = [key for key in own if key in other and own[key] != other[key]]
        if keys:
            named = ", ".join(f"suite.{key} ({own[key]} there, {other[key]} here)" for key in keys[:FEW])
            told.append(
                f"{run.arm}, seed {run.seed} was scored under other settings than the base: {named}. What it gained or "
                "lost may come from that"
            )


def _settings(one: "Evaluation") -> dict[str, Any]:
    return intact.dict_of(intact.dict_of(one.scores.get("settings")).get("suite"))
