"""The suite's items: the same for the base and for every arm, by construction."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import cast

from conf.errors import UserError
from conf.schema import Suite
from data.items import Collection, Item, Missing

COLLECTIONS = {  # name in suite.collections -> module
    "world": "data.world",
    "published": "data.published",
    "wide": "data.published.wide",
    "offline": "data.offline",
}


def items(suite: Suite) -> list[Item]:
    """`suite.items` items of every benchmark asked for that can be had: `found`, without what is missing."""
    return found(suite)[0]


def found(suite: Suite) -> tuple[list[Item], dict[str, str]]:
    """`suite.items` items of every benchmark asked for (all of the collections' where none is named), and of each that
    cannot be had the reason."""
    held = [(name, collection(kind)) for kind in suite.collections for name in collection(kind).BENCHMARKS]
    _check("benchmarks", suite.benchmarks, dict(held))
    _check("local", suite.local, dict(held))
    asked = [(name, own) for name, own in held if name in suite.benchmarks or not suite.benchmarks]
    there: list[Item] = []
    missing: dict[str, str] = {}
    for name, own in asked:
        try:
            there += _items(own, name, suite)
        except Missing as absent:
            missing[name] = absent.reason
    return there, missing


def _check(key: str, names: Iterable[str], held: Iterable[str]) -> None:
    """UserError where `names` holds no benchmark's."""
    unknown = [name for name in names if name not in set(held)]
    if unknown:
        raise UserError(f"suite.{key}={names}", f"unknown: {', '.join(unknown)}", f"choose among {', '.join(held)}")


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
