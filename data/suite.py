"""The suite's items: the same for the base and for every arm, by construction."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import NamedTuple, cast

from conf.errors import UserError
from conf.schema import Suite
from data.items import GROUPS, Collection, Item, Missing, gold, worked
from rewards import KINDS

COLLECTIONS = {"world": "data.world"}  # name in suite.collections -> module
OTHER_SPLIT = {"test": "validation", "validation": "test"}


class Compiled(NamedTuple):
    """What was asked for: the items that could be had, and of each benchmark that could not its group and why."""

    items: list[Item]
    missing: dict[str, dict[str, str]]


def items(suite: Suite) -> list[Item]:
    """`suite.items` items of every benchmark asked for (all of the collections' where none is named) that is there."""
    return compiled(suite).items


def compiled(suite: Suite) -> Compiled:
    """The same, with what is missing named: a benchmark that cannot be had, is empty or holds a broken row is left out
    whole, for a score over a part of it would be another score."""
    found = Compiled([], {})
    for name, own in asked(suite):
        try:
            found.items.extend(_whole(own, name, suite))
        except Missing as error:
            found.missing[name] = {"group": own.BENCHMARKS[name].group, "reason": error.reason}
    return found


def asked(suite: Suite) -> list[tuple[str, Collection]]:
    """The benchmarks that the suite names, each with its collection."""
    held = [(name, collection(kind)) for kind in suite.collections for name in collection(kind).BENCHMARKS]
    unknown = [name for name in suite.benchmarks if name not in dict(held)]
    if unknown:
        raise UserError(
            f"suite.benchmarks={suite.benchmarks}",
            f"unknown: {', '.join(unknown)}",
            f"choose among {', '.join(dict(held))}",
        )
    return [(name, own) for name, own in held if name in suite.benchmarks or not suite.benchmarks]


def with_shots(suite: Suite, items: list[Item]) -> tuple[list[Item], dict[str, str]]:
    """`suite.shots` worked examples before every item: its own, else items of the other split, never the item itself;
    and of each benchmark that has none the reason."""
    named, pools, without = dict(asked(suite)), dict[str, list[tuple[str, str]]](), dict[str, str]()
    found = []
    for item in items:
        shots = item.shots
        if not shots and item.benchmark not in pools:
            pools[item.benchmark] = _pool(named[item.benchmark], item.benchmark, suite)
        shots = shots or tuple(one for one in pools[item.benchmark] if one[0] != item.prompt)
        if shots:
            found.append(replace(item, shots=shots[: suite.shots]))
        else:
            without[item.benchmark] = "it has no worked examples to show"
    return found, without


def collection(name: str) -> Collection:
    """The module of `data/` that holds a collection's benchmarks."""
    if name not in COLLECTIONS:
        raise UserError(
            f"suite.collections holds {name}", "there is no such collection", f"choose among {', '.join(COLLECTIONS)}"
        )
    return cast(Collection, import_module(COLLECTIONS[name]))


def _whole(own: Collection, name: str, suite: Suite) -> list[Item]:
    """The benchmark's items; Missing where there are none, or one could not be asked or judged."""
    found = own.items(name, suite.split, suite.items)
    if not found:
        raise Missing(name, f"its split {suite.split} is empty")
    doubled = [one for one, count in Counter(item.id for item in found).items() if count > 1]
    if doubled:
        raise Missing(name, f"broken: {len(doubled)} ids stand twice, the first {doubled[0]}")
    for item in found:
        if fault := _fault(item, name):
            raise Missing(name, f"broken: item {item.id} {fault}")
    return found


def _fault(item: Item, benchmark: str) -> str:
    """What is wrong with an item; empty where nothing is."""
    faults: Mapping[str, bool] = {
        "has no prompt": not isinstance(item.prompt, str) or not item.prompt.strip(),
        "has no reference": not item.reference and item.kind != "instruction",
        f"is of the unknown kind {item.kind}": item.kind not in KINDS,
        f"is of the unknown group {item.group}": item.group not in GROUPS,
        f"says it is of {item.benchmark}": item.benchmark != benchmark,
        "has choices, and its reference is none of them": bool(item.choices) and gold(item) is None,
    }
    return next((fault for fault, found in faults.items() if found), "")


def _pool(own: Collection, benchmark: str, suite: Suite) -> list[tuple[str, str]]:
    """Worked items of the split that is not scored, one more than are shown: one may be the item itself."""
    try:
        others = own.items(benchmark, OTHER_SPLIT[suite.split], suite.shots + 1)
    except Missing:
        return []
    return [(item.prompt, answer) for item in others if (answer := worked(item)) is not None]
