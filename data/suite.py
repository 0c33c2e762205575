"""The suite's items: the same for the base and for every arm, by construction."""

from importlib import import_module
from typing import cast

from conf.errors import UserError
from conf.schema import Suite
from data.items import Collection, Item

COLLECTIONS = {  # name in suite.collections -> module
    "world": "data.world",
    "skills": "data.skills",
    "skills_tiny": "data.skills.tiny",
}


def items(suite: Suite) -> list[Item]:
    """`suite.items` items of every benchmark asked for (all of the collections' where none is named)."""
    held = [(name, collection(kind)) for kind in suite.collections for name in collection(kind).BENCHMARKS]
    unknown = [name for name in suite.benchmarks if name not in dict(held)]
    if unknown:
        raise UserError(
            f"suite.benchmarks={suite.benchmarks}",
            f"unknown: {', '.join(unknown)}",
            f"choose among {', '.join(dict(held))}",
        )
    asked = [(name, own) for name, own in held if name in suite.benchmarks or not suite.benchmarks]
    return [item for name, own in asked for item in own.items(name, suite.split, suite.items)]


def collection(name: str) -> Collection:
    """The module of `data/` that holds a collection's benchmarks."""
    if name not in COLLECTIONS:
        raise UserError(
            f"suite.collections holds {name}", "there is no such collection", f"choose among {', '.join(COLLECTIONS)}"
        )
    return cast(Collection, import_module(COLLECTIONS[name]))
