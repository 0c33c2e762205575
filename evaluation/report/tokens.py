"""Token shift: KL, ranks and shifted words of each arm's compared checkpoint, and KL along training."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.inference import difference
from evaluation.report import budgets
from evaluation.report.read import Evaluation, Experiment, Run
from evaluation.scores import mean_of
from evaluation.statistics import Array

MEASURE, FILE = "tokens", "responses.parquet"
TEXTS = {"own": "on its own responses", "base": "on the base's responses"}
NUMBERS = ("kl_tuned_base", "kl_base_tuned", "rank_shift", "unshifted", "marginal", "shifted", "beyond")
BOUNDED = ("kl_tuned_base", "kl_base_tuned", "rank_shift")  # with an interval over seeds and items
CLASSES = ("structural", "content", "form")

Cell = dict[str, Any]
Items = dict[tuple[str, str, str], Cell]  # (text, benchmark, item) -> its row of FILE


def tokens(experiment: Experiment, benchmarks: dict[str, str], steps: dict[str, list[Cell]]) -> Cell:
    """Of the arms whose seeds were all measured at their compared checkpoint; empty where there is none."""
    measured = {arm: runs for arm, runs in experiment.arms.items() if all(_measured(run.last) for run in runs)}
    _tell(experiment)
    if not measured:
        return {}
    first = next(iter(measured.values()))[0].last.drift[MEASURE]
    return {
        **{name: first[name] for name in ("items", "shifted_rank", "dtypes")},
        "lacking": [arm for arm in experiment.arms if arm not in measured],
        "arms": {arm: _arm(runs, benchmarks) for arm, runs in measured.items()},
        "words": {arm: _words([run.last for run in runs], "top_words") for arm, runs in measured.items()},
        "pieces": {arm: _words([run.last for run in runs], "top_tokens") for arm, runs in measured.items()},
        "kinds": {arm: _kinds([run.last for run in runs]) for arm, runs in measured.items()},
        "positions": {arm: _positions([run.last for run in runs]) for arm, runs in measured.items()},
        "steps": {
            arm: [_curve(run, curve) for run, curve in zip(experiment.arms[arm], steps[arm], strict=True)]
            for arm in measured
        },
    }


def _measured(one: Evaluation) -> bool:
    """Whether the measure is there, in the form that it has today."""
    own = one.drift.get(MEASURE, {})
    texts = own.get("texts")
    if not isinstance(texts, dict) or set(texts) != set(TEXTS):
        return False
    cells = [cell for text in texts.values() for cell in (*text["benchmarks"].values(), *text["groups"].values())]
    whole = all(set(cell) >= {*NUMBERS, "published", "tokens", "responses"} for cell in cells)
    listed = all(name in own for name in ("items", "shifted_rank", "dtypes", "kinds", "positions"))
    return whole and listed and all(name in own for name in ("top_words", "top_tokens"))


def _tell(experiment: Experiment) -> None:
    for run in experiment.runs:
        for one in run.evaluations:
            if MEASURE in one.drift and not _measured(one):
                where = f"{run.arm}, seed {run.seed}, step {one.step}"
                experiment.told.append(f"{where}: drift/{MEASURE} is of another form; it is left out")


def _arm(runs: list[Run], benchmarks: dict[str, str]) -> Cell:
    """text -> benchmarks and groups: means over seeds, with intervals where every seed's responses can be read."""
    seeds = [run.last for run in runs]
    tables = [_items(one) for one in seeds]
    found: Cell = {}
    for text in TEXTS:
        own = [one.drift[MEASURE]["texts"][text] for one in seeds]
        names = [name for name in benchmarks if all(name in one["benchmarks"] for one in own)]
        arrays = {name: _values(tables, text, name) for name in names}
        cells = {
            name: _cell([one["benchmarks"][name] for one in own], [arrays[name]]) | {"group": benchmarks[name]}
            for name in names
        }
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(benchmarks[name], []).append(name)
        found[text] = {
            "benchmarks": cells,
            "groups": {
                group: _cell(
                    [_mean_cell([one["benchmarks"][name] for name in members]) for one in own],
                    [arrays[name] for name in members],
                )
                for group, members in groups.items()
            },
        }
    return found


def _mean_cell(cells: list[Cell]) -> Cell:
    """A seed's group: its benchmarks count equally."""
    found: Cell = {key: sum(cell[key] for cell in cells) for key in ("responses", "tokens")}
    found["read_otherwise"] = sum(cell.get("read_otherwise", 0) for cell in cells)
    found["published"] = mean_of([cell["published"] for cell in cells])
    for name in NUMBERS:
        found[name] = {over: mean_of([cell[name][over] for cell in cells]) for over in ("tokens", "responses")}
    return found


def _cell(seeds: list[Cell], arrays: list[dict[str, Array]]) -> Cell:
    """Means over seeds; intervals over seeds and items, or over items of fewer than three seeds."""
    found: Cell = {key: sum(one.get(key, 0) for one in seeds) for key in ("responses", "tokens", "read_otherwise")}
    found |= {"seeds": len(seeds), "published": mean_of([one["published"] for one in seeds])}
    for name in NUMBERS:
        found[name] = {over: mean_of([one[name][over] for one in seeds]) for over in ("tokens", "responses")}
        if name in BOUNDED:
            found[name] |= _bounds([own[name] for own in arrays if name in own], len(arrays))
    return found


def _bounds(arrays: list[Array], asked: int) -> Cell:
    if len(arrays) < asked or any(one.shape[1] < 2 for one in arrays):
        return {"low": None, "high": None}
    own = difference(arrays)
    return {"low": own.low, "high": own.high}


def _items(one: Evaluation) -> Items:
    """The rows of every response; none where the file cannot be read."""
    try:
        rows = pq.read_table(one.folder / "drift" / MEASURE / FILE).to_pylist()
        return {(row["text"], row["benchmark"], row["item"]): row for row in rows}
    except (pa.ArrowException, OSError, KeyError):
        return {}


def _values(tables: list[Items], text: str, benchmark: str) -> dict[str, Array]:
    """Of each of BOUNDED [seeds, items that every seed has]; empty where there are none."""
    keys = [key for key in tables[0] if key[:2] == (text, benchmark) and all(key in table for table in tables)]
    if not keys or any(name not in tables[0][keys[0]] for name in BOUNDED):
        return {}
    return {name: np.array([[table[key][name] for key in keys] for table in tables]) for name in BOUNDED}


def _words(seeds: list[Evaluation], name: str) -> list[Cell]:
    """Words over all seeds, those shifted most often first. A seed lists its top ones, so a word that another seed
    left out lacks that seed's uses."""
    found: dict[str, list[Cell]] = {}
    for one in seeds:
        for row in one.drift[MEASURE][name]:
            found.setdefault(row["word"], []).append(row)
    merged = [_merged(rows) for rows in found.values()]
    return sorted(merged, key=lambda row: (-row["shifted"], row["word"]))


def _merged(rows: list[Cell]) -> Cell:
    pieces: Counter[str] = Counter(piece for row in rows for piece in row["tokens"])
    shifted = sum(row["shifted"] for row in rows)
    return {
        **{name: rows[0][name] for name in ("word", "kind")},
        "uses": sum(row["uses"] for row in rows),
        "shifted": shifted,
        "rank_shift": sum(row["rank_shift"] * row["shifted"] for row in rows) / shifted,
        "tokens": [piece for piece, _ in pieces.most_common(3)],
        "seeds": len(rows),
    }


def _kinds(seeds: list[Evaluation]) -> dict[str, float | None]:
    """Share of shifted uses that each class has, percent; None where nothing is shifted."""
    counts = {name: sum(one.drift[MEASURE]["kinds"].get(name, 0) for one in seeds) for name in CLASSES}
    whole = sum(counts.values())
    return {name: 100 * count / whole if whole else None for name, count in counts.items()}


def _positions(seeds: list[Evaluation]) -> dict[str, list[Cell]]:
    """Group -> means over the tokens of all seeds at each range of positions."""
    bins: dict[tuple[str, int, int], list[Cell]] = {}
    for one in seeds:
        for group, rows in one.drift[MEASURE]["positions"].items():
            for row in rows:
                bins.setdefault((group, row["from"], row["to"]), []).append(row)
    found: dict[str, list[Cell]] = {}
    for (group, first, last), rows in sorted(bins.items(), key=lambda pair: pair[0][1]):
        weights = [row["tokens"] for row in rows]
        means = {
            name: float(np.average([row[name] for row in rows], weights=weights))
            for name in ("kl_tuned_base", "rank_shift")
        }
        found.setdefault(group, []).append({"from": first, "to": last, "tokens": sum(weights), **means})
    return found


def _curve(run: Run, curve: Cell) -> Cell:
    """Group means at each measured step; step 0 is the base, which is at no distance from itself."""
    spent = budgets.along(run)["spent"]
    points = [(place, one) for place, one in enumerate((o for o in run.evaluations if o.step > 0), 1) if _measured(one)]
    found: Cell = {"seed": run.seed, "steps": [0, *(one.step for _, one in points)]}
    found["spent"] = {unit: [values[0], *(values[place] for place, _ in points)] for unit, values in spent.items()}
    found["greedy"] = {
        group: [values[0], *(values[place] for place, _ in points)] for group, values in curve["greedy"].items()
    }
    for text in TEXTS:
        cells = [one.drift[MEASURE]["texts"][text]["groups"] for _, one in points]
        found[text] = {
            name: {group: [0.0, *(_over(cell, group, name) for cell in cells)] for group in curve["greedy"]}
            for name in BOUNDED
        }
    return found


def _over(groups: Cell, group: str, name: str) -> float | None:
    return groups[group][name]["responses"] if group in groups else None
