"""Runs of n words of many texts at once, as 64-bit numbers: what decontamination and near duplicates compare."""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

_SIGNS = {code: None for code in range(2**16) if unicodedata.category(chr(code))[0] in "PS"}

Split = Callable[[str], list[str]]


def words(text: str) -> list[str]:
    """Lower case, split at white space."""
    return text.lower().split()


def bare_words(text: str) -> list[str]:
    """The same without punctuation and symbols, as in GPT-3's overlap analysis (arXiv:2005.14165, appendix C)."""
    return text.lower().translate(_SIGNS).split()


def ngrams(texts: Sequence[str], n: int, split_words: Split) -> tuple[np.ndarray, np.ndarray]:
    """(uint64[m], int64[m]): a number for every run of `n` words, and the text it stands in, text by text in order.

    Equal runs have equal numbers, in every process and on every machine; unequal ones differ but for a chance of
    2**-64. A text of fewer than `n` words has none.
    """
    split = [split_words(text) for text in texts]
    owners = np.repeat(np.arange(len(texts)), [len(found) for found in split])
    if len(owners) < n:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    numbers = _numbers([word for found in split for word in found])
    windows = len(numbers) - n + 1
    total = np.zeros(windows, np.uint64)
    for place, factor in enumerate(_factors(n)):
        total += numbers[place : place + windows] * factor  # modulo 2**64
    whole = owners[:windows] == owners[n - 1 :]
    return total[whole], owners[:windows][whole]


def whole(texts: Sequence[str], split_words: Split) -> np.ndarray:
    """uint64[len(texts)]: a number for the words of each text, all of them."""
    return _numbers([" ".join(split_words(text)) for text in texts])


def _numbers(strings: list[str]) -> np.ndarray:
    from pandas.util import hash_array

    return hash_array(np.array(strings, dtype=object), categorize=False) if strings else np.empty(0, np.uint64)


def _factors(n: int) -> np.ndarray:
    """`n` odd numbers of 64 bits, always the same: the place of a word in its run matters."""
    return np.random.Generator(np.random.PCG64(n)).integers(0, 2**64, n, dtype=np.uint64) | np.uint64(1)
