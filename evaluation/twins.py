"""Whether a question and its twin are answered alike: the measure of overfitting to surface patterns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.statistics import wilson

Columns = Mapping[str, Sequence[Any]]
Right = Mapping[str, bool]  # item -> whether its greedy response is right
Pair = tuple[str, str]  # a question and its twin: their items' ids


def pairs(columns: Columns) -> list[Pair]:
    """Each question that has its twin in the file, with it; the question first, as it comes first in the file."""
    twins = dict(zip(columns["item"], columns["twin"], strict=True))
    found: dict[frozenset[str], Pair] = {}
    for item, twin in twins.items():
        if twin in twins:
            found.setdefault(frozenset((item, twin)), (item, twin))
    return list(found.values())


def agreement(chosen: Sequence[Pair], seeds: Sequence[Right]) -> dict[str, Any]:
    """Shares in percent with Wilson's 95% intervals over pairs; pairs that not every seed could score are left out.

    `alike`: both right or both wrong. A model that is always wrong is always alike, so beside it stand `by_chance`, the
    share that the two scores alone would give if they were independent; `kappa`, what of the rest is there (Cohen 1960:
    (alike - by_chance) / (1 - by_chance), None where by_chance is 1); and `kept`, of the questions that are right, the
    share whose twin is right, too: what is missing from it is right-then-wrong. Counts are means over seeds.
    """
    usable = [pair for pair in chosen if all(item in right for right in seeds for item in pair)]
    scored = [(right[a], right[b]) for right in seeds for a, b in usable]
    counts = {name: scored.count(both) / len(seeds) for name, both in _OUTCOMES.items()}
    about: dict[str, Any] = {"pairs": len(usable), **counts}
    about["alike"] = share(counts["both_right"] + counts["both_wrong"], len(usable))
    about["kept"] = share(counts["both_right"], counts["both_right"] + counts["right_then_wrong"])
    if not scored:
        return about | {"by_chance": None, "kappa": None}
    first, second = (float(np.mean([pair[place] for pair in scored])) for place in (0, 1))
    chance = first * second + (1 - first) * (1 - second)
    alike = (counts["both_right"] + counts["both_wrong"]) / len(usable)
    return about | {"by_chance": 100 * chance, "kappa": None if chance == 1 else (alike - chance) / (1 - chance)}


_OUTCOMES = {
    "both_right": (True, True),
    "right_then_wrong": (True, False),
    "wrong_then_right": (False, True),
    "both_wrong": (False, False),
}


def share(count: float, n: float) -> dict[str, float | None]:
    """A share in percent with Wilson's interval; means over seeds count as one seed, to the nearest whole."""
    if not n:
        return {"score": None, "low": None, "high": None}
    low, high = wilson(min(round(count), max(1, round(n))), max(1, round(n)))
    return {"score": 100 * count / n, "low": 100 * low, "high": 100 * high}
