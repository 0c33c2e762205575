"""Rows that are nearly another row: their word 5-grams overlap by a given Jaccard similarity or more.

Found exactly, not by chance: two sets of similarity t share an element among the |A| - ceil(t |A|) + 1 rarest of each
(prefix filtering: Chaudhuri et al. 2006; Bayardo et al. 2007, "Scaling up all pairs similarity search"). Only rows that
share one are compared. MinHash with LSH finds the same pairs with a probability; this needs no more memory.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from data.ngrams import ngrams, whole, words

N = 5  # words
_BUCKETS = 2**24  # counters of how often an n-gram occurs; two that share one are only ordered less well
_BLOCK = 2**16  # rows whose n-grams are in memory at a time


class Shingles:
    """The 5-gram sets of all rows, in a file of 8 bytes an n-gram; a row of fewer words is one run of all of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")
        self.sizes: list[np.ndarray] = []
        self.counters = np.zeros(_BUCKETS, np.uint32)

    def add(self, texts: Sequence[str]) -> None:
        """The next rows."""
        numbers, owners = ngrams(texts, N, words)
        short = np.setdiff1d(np.arange(len(texts)), owners)
        numbers = np.concatenate([numbers, whole([texts[i] for i in short], words)])
        owners = np.concatenate([owners, short])
        order = np.lexsort((numbers, owners))
        numbers, owners = numbers[order], owners[order]
        again = (numbers[1:] == numbers[:-1]) & (owners[1:] == owners[:-1])
        kept = np.concatenate([np.ones(min(1, len(numbers)), bool), ~again])
        with self.path.open("ab") as file:
            numbers[kept].tofile(file)
        self.sizes.append(np.bincount(owners[kept], minlength=len(texts)))
        np.add.at(self.counters, _bucket(numbers[kept]), 1)

    def duplicates(self, similarity: float) -> np.ndarray:
        """bool[rows]: whether a row is as similar as that to an earlier one that is none itself."""
        sizes = np.concatenate(self.sizes) if self.sizes else np.empty(0, np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        groups, rows = self._shared(sizes, starts, similarity)
        found = np.zeros(len(sizes), bool)
        kept: dict[int, list[int]] = {}  # group -> its rows that stay
        for start, end in pairwise(np.flatnonzero(np.diff(rows, prepend=-1, append=-1))):
            row, mine = int(rows[start]), groups[start:end].tolist()
            others = sorted({other for group in mine for other in kept.get(group, ())})
            found[row] = any(self._similar(row, other, sizes, starts, similarity) for other in others)
            for group in mine if not found[row] else ():
                kept.setdefault(group, []).append(row)
        return found

    def _shared(self, sizes: np.ndarray, starts: np.ndarray, similarity: float) -> tuple[np.ndarray, np.ndarray]:
        """(n-gram, row) of every rare n-gram that several rows have, by row."""
        pairs = [self._rarest(sizes, starts, first, similarity) for first in range(0, len(sizes), _BLOCK)]
        numbers = np.concatenate([numbers for numbers, _ in pairs]) if pairs else np.empty(0, np.uint64)
        rows = np.concatenate([rows for _, rows in pairs]) if pairs else np.empty(0, np.int64)
        order = np.argsort(numbers, kind="stable")
        numbers, rows = numbers[order], rows[order]
        same = numbers[1:] == numbers[:-1]
        shared = np.zeros(len(numbers), bool)
        shared[1:] |= same
        shared[:-1] |= same
        numbers, rows = numbers[shared], rows[shared]
        order = np.argsort(rows, kind="stable")
        return numbers[order], rows[order]

    def _rarest(
        self, sizes: np.ndarray, starts: np.ndarray, first: int, similarity: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n-gram, row) of the rarest n-grams of a block of rows, as many as two similar rows need to share one."""
        here = sizes[first : first + _BLOCK]
        numbers = self._read(starts[first], int(here.sum()))
        owners = np.repeat(np.arange(len(here)), here)
        order = np.lexsort((numbers, self.counters[_bucket(numbers)], owners))
        rank = np.arange(len(numbers)) - (starts[first : first + len(here)] - starts[first])[owners]
        wanted = here - np.ceil(similarity * here - 1e-9).astype(np.int64) + 1
        chosen = rank < wanted[owners]
        return numbers[order][chosen], (first + owners[chosen]).astype(np.int32)

    def _similar(self, a: int, b: int, sizes: np.ndarray, starts: np.ndarray, similarity: float) -> bool:
        small, large = sorted((int(sizes[a]), int(sizes[b])))
        if small < similarity * large - 1e-9:
            return False
        one, other = (self._read(starts[row], int(sizes[row])) for row in (a, b))
        common = len(np.intersect1d(one, other, assume_unique=True))
        return common >= similarity * (small + large - common) - 1e-9

    def _read(self, start: int, count: int) -> np.ndarray:
        return np.fromfile(self.path, np.uint64, count, offset=int(start) * 8)


def _bucket(numbers: np.ndarray) -> np.ndarray:
    return numbers % np.uint64(_BUCKETS)
