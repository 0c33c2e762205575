"""Rows that overlap the suite: they hold n words in a row of one of its prompts, or are one of its prompts."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from conf.schema import Suite
from data.ngrams import bare_words, ngrams


class Held(NamedTuple):
    """What no training row may hold."""

    n: int  # words; 0: runs of words are not compared
    prompts: dict[str, str]  # prompt, white space made one -> its benchmark
    numbers: np.ndarray  # uint64[m], ascending: the runs of n words in all prompts
    benchmarks: np.ndarray  # str[m]: where each of them stands


def plain(text: str) -> str:
    """The text with its white space made one: what makes two prompts the same."""
    return " ".join(text.split())


def held_out(suites: Sequence[Suite], n: int, files: Sequence[Path | None] = ()) -> Held:
    """The prompts of the suites, of both their splits; from the file of each where it stands (data/suitefile.py)."""
    from data.suitefile import both_splits

    found = [item for suite, file in zip_longest(suites, files) for item in both_splits(suite, file)]
    return hold([(item.benchmark, item.prompt) for item in found], n)


def hold(prompts: Sequence[tuple[str, str]], n: int) -> Held:
    """(benchmark, prompt) pairs, ready to be compared with; a prompt of fewer than `n` words only as a whole."""
    names = np.array([name for name, _ in prompts], dtype=object)
    numbers, owners = ngrams([text for _, text in prompts] if n else [], n, bare_words)
    numbers, first = np.unique(numbers, return_index=True)
    by_text = {plain(text): name for name, text in reversed(prompts)}
    return Held(n, by_text, numbers, names[owners[first]])


def overlaps(held: Held, prompts: Sequence[str]) -> list[str | None]:
    """Of every prompt the benchmark it overlaps, or None."""
    found = [held.prompts.get(plain(prompt)) for prompt in prompts]
    if held.n and len(held.numbers):
        numbers, owners = ngrams(prompts, held.n, bare_words)
        places = np.minimum(np.searchsorted(held.numbers, numbers), len(held.numbers) - 1)
        for place in np.flatnonzero(held.numbers[places] == numbers):
            owner = owners[place]
            found[owner] = found[owner] or held.benchmarks[places[place]]
    return found
