"""A gate before a model is taken: conditions on what it gained or lost against the base, judged by 95% intervals.

`non_reasoning < -3` fails where the whole interval of the difference to the base lies below -3 points, `NAME > POINTS`
where it lies above. An interval with the bound in it is unsure, and fails only where that is asked for. A condition
that could not be measured fails: what nobody has looked at is not passed.
"""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from conf.errors import UserError

BASE = "base"
KEY = "gate.fail_if"
GRAMMAR = 'write NAME < POINTS or NAME > POINTS, several joined by , or ;: FAIL_IF="non_reasoning < -3; math < 0"'
FAILS, UNSURE, PASSES, UNMEASURED = "fails", "unsure", "passes", "not measured"


class Condition(NamedTuple):
    """It fails where the difference to the base on `name` lies beyond `bound` points."""

    name: str  # of a group or benchmark
    sign: str  # < or >
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.bound:g}"


def parse(text: str, names: Iterable[str]) -> list[Condition]:
    """The conditions in `text`; UserError where it is not in the form of GRAMMAR, or speaks of none of `names`."""
    parts = [part.strip() for part in re.split("[,;]", text) if part.strip()]
    if not parts:
        raise UserError(f"{KEY}={text!r}", "it holds no condition, so it would pass whatever comes", GRAMMAR)
    return [_condition(part, list(names)) for part in parts]


def judge(results: dict[str, Any], conditions: Sequence[Condition], unsure: bool = False) -> dict[str, Any]:
    """What results.json says under `gate`: {fail_if, fail_if_unsure, failed, rows}, a row a model and condition."""
    rows = [_row(results, model, one) for model in results["arms"] for one in conditions]
    failing = (FAILS, UNMEASURED, UNSURE) if unsure else (FAILS, UNMEASURED)
    rows = [row | {"fails": row["verdict"] in failing} for row in rows]
    about = {"fail_if": "; ".join(map(str, conditions)), "fail_if_unsure": unsure}
    return about | {"failed": any(row["fails"] for row in rows), "rows": rows}


def names_of(results: dict[str, Any]) -> list[str]:
    """Groups and benchmarks that a condition may speak of, those that are missing too."""
    missing = [name for one in results["missing"] for name in (one["group"], one["benchmark"]) if name]
    return list(dict.fromkeys([*results["groups"], *results["benchmarks"], *missing]))


def _condition(part: str, names: list[str]) -> Condition:
    sign = next((one for one in "<>" if one in part), "")
    name, _, number = (piece.strip() for piece in part.partition(sign)) if sign else (part, "", "")
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not name or not math.isfinite(bound):
        raise UserError(f"{KEY}: {part!r}", "it is no condition", GRAMMAR)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        change = f"write {near[0]}" if near else f"choose among {', '.join(names)}"
        raise UserError(f"{KEY}: {part!r}", f"there is no group or benchmark {name}", change)
    return Condition(name, sign, bound)


def _row(results: dict[str, Any], model: str, one: Condition) -> dict[str, Any]:
    keys = (model, BASE, one.name)
    found = [row for row in results["verdicts"] if (row["model"], row["against"], row["name"]) == keys]
    about = {"model": model, "condition": str(one), **one._asdict()}
    if not found or None in (found[0]["low"], found[0]["high"]):
        gap = results["gains"].get(model, {})
        cells = [gap[kind][one.name] for kind in ("groups", "benchmarks") if one.name in gap.get(kind, {})]
        difference = cells[0]["greedy"]["difference"] if cells else None
        about |= {"difference": difference, "low": None, "high": None, "seeds": None, "over_seeds": None}
        return about | {"verdict": UNMEASURED, "sentence": f"{model}: {one}: not measured, so it fails"}
    low, high = found[0]["low"], found[0]["high"]
    verdict = _verdict(one, low, high)
    about |= {key: found[0][key] for key in ("difference", "low", "high", "seeds", "over_seeds")}
    told = f"{found[0]['difference']:+.1f} points, 95% interval {low:+.1f} to {high:+.1f}"
    return about | {"verdict": verdict, "sentence": f"{model}: {one}: {verdict} ({told})"}


def _verdict(one: Condition, low: float, high: float) -> str:
    beyond, within = (high < one.bound, low >= one.bound) if one.sign == "<" else (low > one.bound, high <= one.bound)
    return FAILS if beyond else PASSES if within else UNSURE
