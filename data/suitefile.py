"""A suite's items, compiled once an experiment into one Parquet file, which scores, lock and decontamination read.

The file has both splits (no training row may hold a prompt of either), the worked examples that few shots are taken
from, what is missing and why, and digests of all of it. It is whole or absent.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from conf.errors import UserError
from conf.files import sync_folder
from conf.schema import Configuration, Suite
from data import suite as suites
from data.items import Item

SPLITS = ("validation", "test")
EXAMPLES = "examples"  # a part of the file, beside the splits
DECIDING = ("collections", "split", "benchmarks", "items")  # keys of a suite
NAME = "suite.parquet"  # beside the scores of an evaluation that belongs to no experiment
ROWS = 256  # in a group of the file
_LISTS = ("choices", "shots")
_JSON = (*_LISTS, "options", "labels")

Row = dict[str, Any]


class Compiled(NamedTuple):
    """What a file holds."""

    items: dict[str, list[Item]]  # split -> its items
    missing: dict[str, dict[str, str]]  # split -> benchmark -> why it cannot be had
    examples: list[Item]  # of the split that is not scored, one more a benchmark than are shown
    shots: int  # as many are shown

    @property
    def parts(self) -> dict[str, list[Item]]:
        return {**self.items, EXAMPLES: self.examples}

    @property
    def digests(self) -> dict[str, dict[str, str]]:
        """Of the items of each benchmark, by part."""
        return {part: suites.digests(items) for part, items in self.parts.items()}


def path(experiment: Path, name: str = "") -> Path:
    """The file of an experiment's suite, or of a further one that `suites` names."""
    return experiment / "suite" / (f"suites/{name}.parquet" if name else "items.parquet")


def compile_all(configuration: Configuration, experiment: Path) -> None:
    """Write the files of all suites of an experiment; those that stand are kept, and refused where they are others."""
    for name, suite in {"": configuration.suite, **configuration.suites}.items():
        compile_one(suite, path(experiment, name))


def compile_one(suite: Suite, file: Path) -> None:
    """Write one suite's file where it does not stand. UserError where another suite's stands there."""
    if file.is_file():
        _current(suite, file)
    else:
        _write(_compiled(suite), suite, file)


def found(suite: Suite, file: Path | None = None) -> tuple[list[Item], dict[str, str]]:
    """`data.suite.found`, from `file` where that stands. What was missing there and is to be had by now is added to it.

    UserError where the file is damaged, or another suite's.
    """
    if file is None or not file.is_file():
        return suites.found(suite)
    held = _current(suite, file)
    return held.items[suite.split], held.missing[suite.split]


def missing(split: str, file: Path) -> dict[str, str]:
    """Benchmark -> why it could not be had when `file` was written; nothing else is read of it."""
    import pyarrow.parquet as pq

    described = json.loads((pq.read_schema(file).metadata or {})[b"suite"])
    return dict(described["missing"][split])


def with_shots(
    suite: Suite, items: list[Item], count: int, file: Path | None = None
) -> tuple[list[Item], dict[str, str]]:
    """`data.suite.with_shots`, from `file` where that stands."""
    return suites.with_shots(suite, items, count, _examples(suite, file))


def told(suite: Suite, items: list[Item], file: Path | None = None) -> list[Item]:
    """`data.suite.told`, from `file` where that stands."""
    return suites.told(suite, items, _examples(suite, file) if suite.num_fewshot else None)


def _examples(suite: Suite, file: Path | None) -> list[Item] | None:
    return _current(suite, file).examples if file is not None and file.is_file() else None


def both_splits(suite: Suite, file: Path | None = None) -> list[Item]:
    """The items of both splits, those for validation first."""
    if file is not None and file.is_file():
        held = _current(suite, file)
        return [item for split in SPLITS for item in held.items[split]]
    splits = [suite.model_copy(update={"split": split}) for split in SPLITS]
    return [item for one in splits for item in suites.items(one)]


def _compiled(suite: Suite) -> Compiled:
    items, missing = dict[str, list[Item]](), dict[str, dict[str, str]]()
    for split in SPLITS:
        items[split], missing[split] = suites.found(suite.model_copy(update={"split": split}))
    return Compiled(items, missing, suites.examples(suite) if suites.shown(suite) else [], suites.shown(suite))


def _current(suite: Suite, file: Path) -> Compiled:
    """What the file holds, compiled again where it lacks what is to be had now. The other items must be the same."""
    held = _read(suite, file)
    if held.shots >= suites.shown(suite) and not _to_be_had(suite, list(held.missing[suite.split])):
        return held
    fresh = _compiled(suite)
    now = fresh.digests
    if any(now[split].get(name) != own for split in SPLITS for name, own in held.digests[split].items()):
        why = "its items are not those that the suite has now, so scores from before and after would be of two tests"
        raise UserError(f"{file}", why, "set experiment.name to a new name, or delete the folder")
    _write(fresh, suite, file)
    return fresh


def _to_be_had(suite: Suite, names: Sequence[str]) -> bool:
    """Whether any of these benchmarks can be had now."""
    local = {name: place for name, place in suite.local.items() if name in names}
    return bool(names) and bool(suites.items(suite.model_copy(update={"benchmarks": list(names), "local": local})))


def _inputs(suite: Suite) -> dict[str, Any]:
    return suite.model_dump(mode="json", include=set(DECIDING))


def _write(compiled: Compiled, suite: Suite, file: Path) -> None:
    """Beside its place, synced, renamed: two processes that write the same file at once do not harm it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = {"inputs": _inputs(suite), "missing": compiled.missing, "shots": compiled.shots}
    described |= {"digests": compiled.digests, "seal": _seal(compiled)}
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    schema = _schema().with_metadata({"suite": json.dumps(described, sort_keys=True)})
    with aside.open("wb") as opened:
        with pq.ParquetWriter(opened, schema, compression="zstd") as writer:
            for rows in _grouped(compiled):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        opened.flush()
        os.fsync(opened.fileno())
    aside.replace(file)
    sync_folder(file.parent)


def _grouped(compiled: Compiled) -> Iterator[list[Row]]:
    for part, items in compiled.parts.items():
        for start in range(0, len(items), ROWS):
            yield [_row(part, item) for item in items[start : start + ROWS]]


def _row(part: str, item: Item) -> Row:
    own = {key: json.dumps(value) if key in _JSON else value for key, value in asdict(item).items()}
    return {"part": part} | own


def _item(row: Row) -> Item:
    own = {key: json.loads(value) if key in _JSON else value for key, value in row.items() if key != "part"}
    shots = tuple((prompt, response) for prompt, response in own.pop("shots"))
    return Item(**own | {"choices": tuple(own["choices"])}, shots=shots)


def _seal(compiled: Compiled) -> str:
    """sha256 of everything that is compiled."""
    total = hashlib.sha256(json.dumps([compiled.missing, compiled.shots], sort_keys=True).encode())
    for rows in _grouped(compiled):
        for row in rows:
            total.update(json.dumps(row, sort_keys=True).encode())
    return total.hexdigest()


def _schema() -> Any:
    import pyarrow as pa

    names = ("id", "benchmark", "group", "kind", "prompt", "reference", "options", "choices", "shots", "labels", "twin")
    return pa.schema([("part", pa.string()), *((name, pa.large_string()) for name in names)])


def _read(suite: Suite, file: Path) -> Compiled:
    """What the file holds; UserError where it is another suite's, or not what was written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts: dict[str, list[Item]] = {part: [] for part in (*SPLITS, EXAMPLES)}
    try:
        with pq.ParquetFile(file) as opened:
            described = json.loads((opened.schema_arrow.metadata or {})[b"suite"])
            for batch in opened.iter_batches(ROWS):
                for row in batch.to_pylist():
                    parts[row["part"]].append(_item(row))
        examples = parts.pop(EXAMPLES)
        compiled = Compiled(parts, described["missing"], examples, described["shots"])
        whole = _seal(compiled) == described["seal"]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _damaged(file) from error
    if not whole:
        raise _damaged(file)
    if described["inputs"] != _inputs(suite):
        raise _another(file, described["inputs"], _inputs(suite))
    return compiled


def _damaged(file: Path) -> UserError:
    why = "the compiled items are damaged: they are not those that were written"
    return UserError(f"{file}", why, "delete the file and start again; the same items are compiled anew, or refused")


def _another(file: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> UserError:
    differing = ", ".join(f"suite.{key}: {theirs.get(key)!r} there, {ours[key]!r} here" for key in ours)
    why = f"its items were compiled for another suite ({differing})"
    return UserError(f"{file}", why, "set experiment.name to a new name, or delete the folder")
