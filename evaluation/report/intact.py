"""Reading what may be damaged, of another version, or still being written: what cannot be used is named, never guessed.

`Told` gathers one sentence a fault: where it is, what is wrong, and what became of it. The page shows them all.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from evaluation import likelihood
from evaluation.scores import Columns, item_scores
from evaluation.summing import SCORED, all_scores

Told = list[str]
KEY = ("benchmark", "item", "sample")  # of a row of items.parquet
NEEDED = (*KEY, "group", "outcome", "strategy", "truncated")
CELLS = ("greedy", "sampled")
COUNTS = ("items", "unscorable", "truncated")
TOLERANCE = 1e-6  # points


def json_of(path: Path, root: Path, told: Told) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none, and where it cannot be read, which is told."""
    try:
        found = read_json(path)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        told.append(f"{_name(path, root)} cannot be read ({_line(error)}) and is taken for absent")
        return {}
    if not isinstance(found, dict):
        told.append(f"{_name(path, root)} is of another form (no object) and is taken for absent")
        return {}
    return found


def rows_of(path: Path, root: Path, told: Told) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl or ledger.jsonl that have a step, without values that are no number; what is left
    out is told. A last line cut short is being written."""
    if not path.is_file():
        return []
    lines = path.read_bytes().rpartition(b"\n")[0].split(b"\n")
    rows, broken, odd = [], 0, set[str]()
    for line in (line for line in lines if line.strip()):
        row = _row(line)
        if row is None:
            broken += 1
            continue
        odd |= {key for key, value in row.items() if not_finite(value)}
        rows.append({key: value for key, value in row.items() if not not_finite(value)})
    if broken:
        told.append(f"{_name(path, root)}: {broken} of {len(lines)} lines cannot be read and are left out")
    if odd:
        told.append(f"{_name(path, root)}: {', '.join(sorted(odd))} is nan or infinite at some steps, left out there")
    return rows


def configuration_of(path: Path, root: Path, told: Told) -> Configuration | None:
    """The frozen configuration; None where there is none that can be read."""
    try:
        return freeze.read(path)
    except FileNotFoundError:
        why = "is not there"
    except (UserError, yaml.YAMLError, ValueError, OSError) as error:
        why = f"cannot be read ({_line(error)})"
    told.append(f"{_name(path, root)} {why}: the run is left out")
    return None


def scores_of(folder: Path, root: Path, told: Told) -> dict[str, Any] | None:
    """What scores.json holds; made again of items.parquet where it cannot be used. None where the evaluation is not
    done, or its responses cannot be read."""
    path = folder / "scores.json"
    if not path.is_file():
        return None
    if wrong := _unreadable(folder / "items.parquet"):
        told.append(f"{_name(folder, root)}: {wrong}; this evaluation is left out")
        return None
    try:
        scores = read_json(path)
    except FileNotFoundError:
        return None  # it is being made again
    except (ValueError, OSError) as error:
        scores, wrong = {}, f"cannot be read ({_line(error)})"
    wrong = wrong or fault(scores)
    if not wrong:
        return dict(scores)
    told.append(f"{_name(path, root)} {wrong}; its scores are made again of items.parquet")
    about = {"label": "", "settings": {}} | {k: v for k, v in dict_of(scores).items() if k in ("label", "settings")}
    step = folder.name.removeprefix("step-")
    about["step"] = int(step) if step.isdigit() else 0
    return about | again(folder, read(folder))


def again(folder: Path, table: pa.Table, missing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`benchmarks`, `groups`, `missing` and `skills` of the rows of items.parquet that `table` has."""
    there = [name for name in SCORED if name in table.column_names]
    kept = set(zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True))
    return all_scores(table.select(there).to_pydict(), missing, _weighed(folder, kept))


def read(folder: Path, columns: tuple[str, ...] = SCORED) -> pa.Table:
    """Those of `columns` that items.parquet has; of rows that stand twice the first."""
    path = folder / "items.parquet"
    there = set(pq.read_schema(path).names)
    table = pq.read_table(path, columns=[name for name in dict.fromkeys((*KEY, *columns)) if name in there])
    return without(table) if doubled(table) else table


def doubled(table: pa.Table) -> int:
    """How many rows of items.parquet repeat another one's benchmark, item and sample."""
    return int(table.num_rows - table.group_by(list(KEY)).aggregate([]).num_rows)


def without(table: pa.Table, dropped: frozenset[tuple[str, str]] = frozenset()) -> pa.Table:
    """The first row of each benchmark, item and sample, but for `dropped` (benchmark, item)."""
    seen, places = set(), []
    for place, key in enumerate(zip(*(table[name].to_pylist() for name in KEY), strict=True)):
        if key not in seen and key[:2] not in dropped:
            places.append(place)
        seen.add(key)
    return table.take(pa.array(places, pa.int64()))


def disagrees(scores: Mapping[str, Any], columns: Columns) -> bool:
    """Whether greedy scores are others than the responses give: one of the two files is of another time."""
    own = item_scores(columns)
    if set(own) != set(scores["benchmarks"]):
        return True
    for name, items in own.items():
        told, there = scores["benchmarks"][name]["greedy"]["score"], items.greedy[items.greedy == items.greedy]
        found = 100 * float(there.mean()) if len(there) else None
        if (told is None) != (found is None) or abs((told or 0.0) - (found or 0.0)) > TOLERANCE:
            return True
    return False


def fault(scores: Any) -> str:
    """What keeps a scores.json from being used; empty where nothing does."""
    if not isinstance(scores, dict) or not isinstance(scores.get("step"), int):
        return "is of another form (no `step`)"
    for name in ("benchmarks", "groups"):
        if not isinstance(scores.get(name), dict) or not all(isinstance(one, dict) for one in scores[name].values()):
            return f"is of another form (`{name}`)"
    for name, one in scores["benchmarks"].items():
        cells = [one.get(cell) for cell in CELLS]
        whole = all(isinstance(cell, dict) and {"score", "low", "high"} <= set(cell) for cell in cells)
        counted = all(isinstance(one.get(key), int) for key in COUNTS) and isinstance(one.get("pass_at_k"), dict)
        if not (whole and counted and isinstance(one.get("group"), str)):
            return f"is of another form (`benchmarks.{name}`)"
    odd = next((key for key, value in _leaves(scores) if not_finite(value)), None)
    return f"has a number that is nan or infinite ({odd})" if odd else ""


def not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def finite(value: Any, told: Told, at: str = "") -> Any:
    """`value` with None in place of every number that is nan or infinite; where they stood is told."""
    if isinstance(value, dict):
        return {key: finite(one, told, f"{at}.{key}" if at else str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one, told, f"{at}[{number}]") for number, one in enumerate(value)]
    if not_finite(value):
        told.append(at)
        return None
    return value


def dict_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unreadable(path: Path) -> str:
    """What keeps an items.parquet from being used; empty where nothing does."""
    try:
        about = pq.read_metadata(path)
    except FileNotFoundError:
        return f"{path.name} is not there"
    except (pa.ArrowException, OSError) as error:
        return f"{path.name} cannot be read ({_line(error)})"
    lacking = [name for name in NEEDED if name not in about.schema.to_arrow_schema().names]
    if lacking:
        return f"{path.name} is of another form (no column {lacking[0]})"
    return "" if about.num_rows else f"{path.name} is empty"


def _weighed(folder: Path, kept: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """Rows of likelihood.parquet of the items that are kept; none where it cannot be read."""
    try:
        table = pq.read_table(folder / "likelihood.parquet", columns=list(likelihood.SCHEMA.names))
    except (pa.ArrowException, OSError):
        return []
    return [row for row in table.to_pylist() if (row["benchmark"], row["item"]) in kept]


def _leaves(tree: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{at}.{key}" if at else str(key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{at}[{number}]")
    else:
        yield at, tree


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
