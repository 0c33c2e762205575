"""The same skills in the short form: prompts of at most 120 characters, in the alphabet and words of the tiny base."""

from data.items import Item
from data.skills import benchmarks, drawn

BENCHMARKS = benchmarks("tiny")


def items(benchmark: str, split: str, count: int, seed: int = 0) -> list[Item]:
    """The first `count` items of a split, twins side by side; another `seed` draws others."""
    return drawn(BENCHMARKS[benchmark], split, count, seed)
