"""Grade the stored responses again, from items.parquet and the suite as it is now; nothing is generated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Suite
from data import suite as suites
from data.items import Item
from evaluation import parts
from evaluation.grade import LENGTH, SCHEMA, STOP, about, check_verifiers, judged, stated
from evaluation.modes import MODES
from evaluation.summing import SCORED, all_scores

ROWS = 4096  # graded at a time
GRADES = ("outcome", *MODES)

Row = dict[str, Any]
Where = Mapping[str, Any]


def regrade_all(folder: Path, where: Where | None = None, workers: int = 0) -> dict[str, dict[str, Any]]:
    """Regrade every evaluation in and below `folder`: folder -> what changed, which is printed, too.

    `where` the items are: the keys `local` and `download` of a suite.
    """
    found = {}
    for path in sorted(folder.rglob("scores.json")):
        if path.with_name("items.parquet").is_file():
            found[str(path.parent)] = changed = regrade(path.parent, where, workers)
            print(f"{path.parent}: {words(changed)}", flush=True)
    if not found:
        why = "there are no stored responses to grade"
        raise UserError(f"{folder} holds no evaluation", why, "run `make evaluate` or `make pair` first")
    return found


def regrade(folder: Path, where: Where | None = None, workers: int = 0) -> dict[str, Any]:
    """New grades in items.parquet and scores.json of one evaluation.

    {responses, grades_changed: {mode: n}, items_changed, items_gone}: an item whose reference or options are others is
    graded by the new ones; one whose prompt is another, or that the suite no longer has, keeps its grades, for its
    response answers something else.
    """
    scores = read_json(folder / "scores.json")
    items = _items(scores["settings"], folder, where or {})
    check_verifiers((item.kind for item in items.values()), workers)
    rows: list[Row] = []
    changed: dict[str, Any] = {"responses": 0, "grades_changed": dict.fromkeys(GRADES, 0)}
    others: dict[str, set[tuple[str, str]]] = {"items_changed": set(), "items_gone": set()}
    for batch in pq.ParquetFile(folder / "items.parquet").iter_batches(ROWS):
        rows += _regraded(batch.to_pylist(), items, workers, changed, others)
    changed |= {name: len(own) for name, own in others.items()}
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    likely = folder / "likelihood.parquet"
    weighed = pq.read_table(likely).to_pylist() if likely.is_file() else []
    scores |= all_scores(table.select(SCORED).to_pydict(), scores.get("missing", {}), weighed)
    parts.write(table, folder / "items.parquet")
    write_json(folder / "scores.json", scores | {"regraded": changed})
    return changed


def words(changed: Mapping[str, Any]) -> str:
    """One line of what `regrade` returns."""
    grades = ", ".join(f"{mode} {count}" for mode, count in changed["grades_changed"].items() if count)
    text = f"{changed['responses']} responses; grades that changed: {grades or 'none'}"
    text += f"; items that changed: {changed['items_changed']}" if changed["items_changed"] else ""
    return text + (f"; items that are gone: {changed['items_gone']}" if changed["items_gone"] else "")


def _items(settings: Mapping[str, Any], folder: Path, where: Where) -> dict[tuple[str, str], Item]:
    """The items of the suite that the evaluation was made with, as they are now."""
    if not settings.get("suite"):
        why = "its scores.json does not say which suite it is of"
        raise UserError(f"{folder} cannot be graded again", why, "evaluate the model again")
    suite = Suite.model_validate(settings["suite"])
    local = {name: path for name, path in where.get("local", {}).items() if name in suites.asked(suite)}
    suite = suite.model_copy(update={**where, "local": local})
    return {(item.benchmark, item.id): item for item in suites.items(suite)}


def _regraded(
    rows: list[Row],
    items: Mapping[tuple[str, str], Item],
    workers: int,
    changed: dict[str, Any],
    others: dict[str, set[tuple[str, str]]],
) -> list[Row]:
    """The rows in order, with new grades where their item asks what it asked."""
    known = [(place, items.get((row["benchmark"], row["item"]))) for place, row in enumerate(rows)]
    asked = [(place, item) for place, item in known if item is not None and item.prompt == rows[place]["prompt"]]
    verdicts = judged([item for _, item in asked], [rows[place]["response"] for place, _ in asked], workers)
    found = [
        dict.fromkeys(SCHEMA.names) | {"twin": "", "labels": "{}", "shots": 0, "context": "[]"} | _ended(row)
        for row in rows
    ]
    for (place, item), verdict in zip(asked, verdicts, strict=True):
        row = found[place]
        if row["reference"] != stated(item.reference):
            others["items_changed"].add((item.benchmark, item.id))
        for mode in GRADES:
            changed["grades_changed"][mode] += row[mode] != verdict[mode] and row[mode] is not None
        row.update(about(item) | {name: row[name] for name in ("shots", "context")} | verdict)
    changed["responses"] += len(asked)
    there = {place for place, _ in asked}
    for place, other in known:
        if place not in there:
            name = "items_gone" if other is None else "items_changed"
            others[name].add((rows[place]["benchmark"], rows[place]["item"]))
    return found


def _ended(row: Row) -> Row:
    """The row, with the finish reason that files of old do not state."""
    return {"finish_reason": LENGTH if row["truncated"] else STOP} | row
