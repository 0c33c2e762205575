"""What a sweep's runs scored, for sweep.json: one point a run and checkpoint, on each split, item by item.

The items are there so that fronts have intervals wherever the file is, without the sweep's folder: a letter an item, in
the same order everywhere: 1 right, 0 wrong, - without a verdict.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from conf.files import read_json, read_jsonl
from evaluation.scores import GREEDY, ItemScores, item_scores
from evaluation.spending import COLUMNS, spent

READ = ("benchmark", "group", "item", "sample", "outcome")
LETTERS = {0.0: "0", 1.0: "1"}

Splits = Mapping[str, str]  # split -> where its evaluation lies below one of a checkpoint


def points(base: Path, runs: Iterable[tuple[str, float, int, Path]], splits: Splits) -> dict[str, Any]:
    """`benchmarks` (name -> group), `bases` (split -> scores) and `points` of sweep.json, out of the base's evaluation
    and (arm, rate, seed, folder) of each run; of the splits that the base was scored on."""
    there = {split: base / inside for split, inside in splits.items() if (base / inside / "scores.json").exists()}
    items = {split: _items(folder) for split, folder in there.items()}
    ids = {split: {name: one.ids for name, one in own.items()} for split, own in items.items()}
    found = []
    for arm, rate, seed, folder in runs:
        for place in sorted(folder.glob("evaluation/step-*")):
            scored = {split: _scored(place / splits[split], ids[split]) for split in ids}
            step = int(place.name.removeprefix("step-"))
            about = {"arm": arm, "learning_rate": rate, "seed": seed, "step": step, "spent": _spent(folder, step)}
            found.append({**about, "splits": {split: one for split, one in scored.items() if one}})
    groups = {name: one.group for own in items.values() for name, one in own.items()}
    bases = {split: _scored(base / splits[split], ids[split]) for split in ids}
    return {"benchmarks": groups, "bases": bases, "points": found}


def _items(folder: Path) -> dict[str, ItemScores]:
    table = pq.read_table(folder / "items.parquet", columns=list(READ), filters=[("sample", "=", GREEDY)])
    return item_scores(table.to_pydict())


def _scored(folder: Path, ids: Mapping[str, list[str]]) -> dict[str, Any]:
    """Greedy percent of every group, and the items' letters in the order of `ids`; empty where nothing was scored."""
    if not (folder / "scores.json").exists():
        return {}
    groups = {name: float(own["greedy"]["score"]) for name, own in read_json(folder / "scores.json")["groups"].items()}
    found = _items(folder)
    return {"groups": groups, "items": {name: _letters(found[name], own) for name, own in ids.items() if name in found}}


def _letters(items: ItemScores, ids: list[str]) -> str:
    by_id = dict(zip(items.ids, items.greedy.tolist(), strict=True))
    return "".join(LETTERS.get(by_id.get(one, np.nan), "-") for one in ids)


def _spent(folder: Path, step: int) -> dict[str, float | None]:
    """What the run had spent by then, in each unit that budgets are matched on."""
    entries = read_jsonl(folder / "ledger.jsonl") if (folder / "ledger.jsonl").exists() else []
    entry = ([one for one in entries if one["step"] <= step] or [{}])[-1]
    return {unit: spent(entry, unit, False) for unit in COLUMNS}
