"""The suite's items: the same for the base and for every arm, by construction."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from conf.errors import UserError
from conf.schema import Suite
from data.items import GROUPS, Collection, Decoding, Item, Missing, gold, worked
from rewards import KINDS

COLLECTIONS = {  # name in suite.collections -> module
    "world": "data.world",
    "arithmetic": "data.arithmetic",
    "skills": "data.skills",
    "skills_tiny": "data.skills.tiny",
    "published": "data.published",
    "wide": "data.published.wide",
    "offline": "data.offline",
    "procedural": "data.procedural",
}
FREE = {"batch_size", "shots", "when", "where", "local", "download"}  # keys of a suite that decide no score of it
FEW_SHOTS = "few_shots"  # folder of the scores with worked examples, beside those without
OTHER_SPLIT = {"test": "validation", "validation": "test"}


def items(suite: Suite) -> list[Item]:
    """`suite.items` items of every benchmark asked for that can be had: `found`, without what is missing."""
    return found(suite)[0]


def found(suite: Suite) -> tuple[list[Item], dict[str, str]]:
    """`suite.items` items of every benchmark asked for (all of the collections' where none is named), and of each that
    cannot be had the reason. One that is empty or holds a broken item is left out whole: a score over a part of it
    would be another score."""
    there: list[Item] = []
    missing: dict[str, str] = {}
    for name, own in asked(suite).items():
        try:
            there += _whole(_items(own, name, suite), name, suite.split)
        except Missing as absent:
            missing[name] = absent.reason
    return there, missing


def asked(suite: Suite) -> dict[str, Collection]:
    """The benchmarks that the suite names, each with its collection."""
    held = {name: collection(kind) for kind in suite.collections for name in collection(kind).BENCHMARKS}
    _check("benchmarks", suite.benchmarks, held)
    _check("local", suite.local, held)
    return {name: own for name, own in held.items() if name in suite.benchmarks or not suite.benchmarks}


def decoding(suite: Suite) -> dict[str, Decoding]:
    """How the responses to each benchmark asked for are generated."""
    common = Decoding(suite.samples, suite.temperature, suite.top_p, suite.max_new_tokens)
    if suite.decoding == "suite":
        return dict.fromkeys(asked(suite), common)
    return {name: getattr(own.BENCHMARKS[name], "decoding", common) for name, own in asked(suite).items()}


def responses(suite: Suite) -> int:
    """How many are generated for one model, where everything can be had."""
    sizes = {name: getattr(own.BENCHMARKS[name], "size", 0) or suite.items for name, own in asked(suite).items()}
    return sum(min(suite.items, sizes[name]) * (1 + own.samples) for name, own in decoding(suite).items())


def _check(key: str, names: Iterable[str], held: Iterable[str]) -> None:
    """UserError where `names` holds no benchmark's."""
    unknown = [name for name in names if name not in set(held)]
    if unknown:
        raise UserError(f"suite.{key}={names}", f"unknown: {', '.join(unknown)}", f"choose among {', '.join(held)}")


def digests(items: Iterable[Item]) -> dict[str, str]:
    """Benchmark -> sha256 of what its items are: ids, prompts, references, options, choices."""
    rows: dict[str, list[Any]] = {}
    for item in items:
        own = [item.id, item.kind, item.prompt, item.reference, item.options]
        rows.setdefault(item.benchmark, []).append([*own, *([list(item.choices)] if item.choices else [])])
    return {name: hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest() for name, own in rows.items()}


def examples(suite: Suite) -> list[Item]:
    """Items of the split that is not scored, one more of each benchmark than are shown: one may be the item itself."""
    other = suite.model_copy(update={"split": OTHER_SPLIT[suite.split], "items": shown(suite) + 1})
    found: list[Item] = []
    for name, own in asked(suite).items():
        try:
            found += _items(own, name, other)
        except Missing:
            continue
    return found


def shown(suite: Suite) -> int:
    """Worked examples that some model is shown before a prompt, at most."""
    return max(suite.shots, suite.num_fewshot)


def told(suite: Suite, items: list[Item], pool: Sequence[Item] | None = None) -> list[Item]:
    """The items as every model is asked them: with `suite.num_fewshot` worked examples, where there are any."""
    bare = [replace(item, shots=()) for item in items]
    if not suite.num_fewshot:
        return bare
    having = {(item.benchmark, item.id): item for item in with_shots(suite, items, suite.num_fewshot, pool)[0]}
    return [having.get((item.benchmark, item.id), item) for item in bare]


def with_shots(
    suite: Suite, items: list[Item], count: int, pool: Sequence[Item] | None = None
) -> tuple[list[Item], dict[str, str]]:
    """`count` worked examples before every item: its own, else items of `pool` (`examples` where that is None),
    never the item itself; and of each benchmark that has none the reason."""
    pools: dict[str, list[tuple[str, str]]] = {}
    for one in examples(suite) if pool is None and not all(item.shots for item in items) else pool or ():
        if (answer := worked(one)) is not None:
            pools.setdefault(one.benchmark, []).append((one.prompt, answer))
    shown: list[Item] = []
    without: dict[str, str] = {}
    for item in items:
        shots = item.shots or tuple(one for one in pools.get(item.benchmark, ()) if one[0] != item.prompt)
        if shots:
            shown.append(replace(item, shots=shots[:count]))
        else:
            without[item.benchmark] = "it has no worked examples to show"
    return shown, without


def _items(own: Collection, name: str, suite: Suite) -> list[Item]:
    """A collection that is read from somewhere says so by a function `read`, which knows the suite's keys."""
    read: Callable[[str, Suite], list[Item]] | None = getattr(own, "read", None)
    return read(name, suite) if read else own.items(name, suite.split, suite.items)


def collection(name: str) -> Collection:
    """The module of `data/` that holds a collection's benchmarks."""
    if name not in COLLECTIONS:
        raise UserError(
            f"suite.collections holds {name}", "there is no such collection", f"choose among {', '.join(COLLECTIONS)}"
        )
    return cast(Collection, import_module(COLLECTIONS[name]))


def _whole(found: list[Item], name: str, split: str) -> list[Item]:
    """A benchmark's items; Missing where there are none, or one could not be asked or judged."""
    if not found:
        raise Missing(name, f"its split {split} is empty")
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
        "has no reference": not isinstance(item.reference, str) or not item.reference.strip(),
        f"is of the unknown kind {item.kind}": item.kind not in KINDS,
        f"is of the unknown group {item.group}": item.group not in GROUPS,
        f"says it is of {item.benchmark}": item.benchmark != benchmark,
    }
    broken = next((fault for fault, found in faults.items() if found), "")
    if not broken and item.choices and gold(item) is None:
        return "has choices, and its reference is none of them"
    return broken
