"""How many ways a model has of being right: distinct right responses and strategies an item, at equal numbers of them.

A model with more right responses shows more of everything. So both models are reduced to as many right responses of the
item as the one with fewer has (rarefaction: Hurlbert 1971, Ecology 52, equation 14), in expectation over all ways to
choose them, without drawing.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import gammaln

from evaluation.reach import Counted, pass_at_ks
from evaluation.statistics import Array

KINDS = {"forms": "response", "strategies": "strategy"}  # what is counted -> the column of items.parquet
KEY = ("benchmark", "item")
FORMED = (*KEY, *KINDS.values())  # columns of items.parquet
ANSWERED = (*KEY, "kind", "reference", "extracted")
GUESSED = ("math", "choice", "text")  # kinds whose extracted answer can be compared with a reference
Integers = NDArray[np.int64]


class Forms(NamedTuple):
    """Distinct forms among the right samples of one benchmark: of each form its item and how often it came."""

    items: list[str]
    item: Integers  # place in `items`
    times: Integers

    @property
    def right(self) -> dict[str, int]:
        """Right samples of each item."""
        totals = np.bincount(self.item, self.times, len(self.items))
        return dict(zip(self.items, totals.astype(int).tolist(), strict=True))


def forms(right: pa.Table) -> dict[str, dict[str, Forms]]:
    """Kind of KINDS -> benchmark -> the forms of its right samples, from FORMED of the rows of right samples.

    Responses are alike that differ in case and white space alone. A response without a strategy counts in none.
    """
    return {kind: _forms(right.select([*KEY, column]), column) for kind, column in KINDS.items()}


def _forms(table: pa.Table, column: str) -> dict[str, Forms]:
    plain = pc.utf8_lower(table[column])
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, r"\s+", " "))
    table = table.set_column(table.schema.get_field_index(column), "form", plain)
    table = table.filter(pc.not_equal(plain, "")) if column == KINDS["strategies"] else table
    counted = table.group_by([*KEY, "form"], use_threads=False).aggregate([([], "count_all")])
    found = {}
    for benchmark in pc.unique(counted["benchmark"]).to_pylist():
        of_benchmark = counted.filter(pc.equal(counted["benchmark"], benchmark))
        coded = of_benchmark["item"].combine_chunks().dictionary_encode()
        counts = of_benchmark["count_all"].to_numpy().astype(np.int64)
        found[benchmark] = Forms(coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64), counts)
    return found


def distinct(forms: Forms, sizes: Mapping[str, int]) -> tuple[Array, Array]:
    """Of each item of `sizes`, in its order, when so many of its right samples are chosen: the expected number of
    distinct forms, sum_f 1 - C(N - N_f, m) / C(N, m), and the effective number, exp of the expected entropy.

    `sizes`: item -> m, at most the item's right samples.
    """
    place = {name: i for i, name in enumerate(sizes)}
    to = np.array([place.get(name, -1) for name in forms.items], dtype=np.int64)[forms.item]
    item, count = to[to >= 0], forms.times[to >= 0]
    total = np.bincount(item, count, len(sizes)).astype(np.int64)
    m = np.fromiter(sizes.values(), np.int64, len(sizes))
    if (m > total).any() or (m < 1).any():
        raise ValueError("distinct: an item has fewer right samples than are to be chosen, or none are")
    triples, back = np.unique(np.stack([total[item], count, m[item]]), axis=1, return_inverse=True)
    seen = np.array([pass_at_ks(c, n, [k])[0] for n, c, k in triples.T])
    spread = _entropy_parts(triples)
    summed = [np.bincount(item, own[back.ravel()], len(sizes)) for own in (seen, spread)]
    return summed[0].astype(np.float64), np.exp(summed[1])


def _entropy_parts(triples: Integers) -> Array:
    """Of each (N, N_f, m) in a column: E[-(j/m) log(j/m)] where j of the m chosen are of the form."""
    n, f, m = triples
    most = np.minimum(f, m)
    row = np.repeat(np.arange(len(most)), most)
    j = np.arange(len(row)) - np.repeat(np.cumsum(most) - most, most) + 1
    n, f, m = n[row], f[row], m[row]
    with np.errstate(invalid="ignore"):
        chance = np.exp(_choose(f, j) + _choose(n - f, m - j) - _choose(n, m))
    parts = np.where(m - j > n - f, 0.0, chance) * -(j / m) * np.log(j / m)
    return np.bincount(row, parts, len(most)).astype(np.float64)


def _choose(n: Integers, k: Integers) -> Array:
    """log C(n, k); inf where k > n."""
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(np.maximum(n - k, -1) + 1.0))


def guesses(table: pa.Table) -> dict[str, tuple[list[str], Counted]]:
    """Benchmark -> items, and how many of the answers sampled to its *other* items are each item's reference, from
    ANSWERED of the rows of scorable samples.

    What a model would get right by answering with no regard to the question, from its own mix of answers. Only where an
    answer can be compared with a reference as text.
    """
    table = table.filter(pc.is_in(table["kind"], value_set=pa.array(GUESSED)))
    return {
        name: _guessed(table.filter(pc.equal(table["benchmark"], name)))
        for name in pc.unique(table["benchmark"]).to_pylist()
    }


def _guessed(table: pa.Table) -> tuple[list[str], Counted]:
    answers = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(table["extracted"], "")))
    wanted = pc.utf8_lower(pc.utf8_trim_whitespace(table["reference"]))
    per_item = pa.table({"item": table["item"], "wanted": wanted, "own": pc.equal(answers, wanted).cast(pa.int64())})
    rows = per_item.group_by(["item", "wanted"], use_threads=False).aggregate([("own", "sum"), ([], "count_all")])
    given = dict(zip(*(one.to_pylist() for one in pc.value_counts(answers).flatten()), strict=True))
    everywhere = np.array([given.get(one, 0) for one in rows["wanted"].to_pylist()])
    own, asked = rows["own_sum"].to_numpy(), rows["count_all"].to_numpy()
    return rows["item"].to_pylist(), Counted(everywhere - own, asked.sum() - asked)
