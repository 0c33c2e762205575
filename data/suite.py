"""The suite's items: the same for the base and for every arm, by construction."""

from conf.errors import UserError
from conf.schema import Suite
from data import world


def items(suite: Suite) -> list[world.Item]:
    """`suite.items` items of every benchmark asked for (all of them where none is named), in the world's order."""
    unknown = [name for name in suite.benchmarks if name not in world.BENCHMARKS]
    if unknown:
        raise UserError(
            f"suite.benchmarks={suite.benchmarks}",
            f"unknown: {', '.join(unknown)}",
            f"choose among {', '.join(world.BENCHMARKS)}",
        )
    names = [name for name in world.BENCHMARKS if name in suite.benchmarks or not suite.benchmarks]
    return [item for name in names for item in world.items(name, suite.split, suite.items)]
