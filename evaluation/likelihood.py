"""Scores that need no format: how likely the model holds each choice's text after the prompt.

`acc`: the choice with the highest log-probability is the right one; `acc_norm`: with the highest log-probability a
character, for a sum falls with every token. Both as lm-eval computes them for `output_type: multiple_choice`. Of an
item without choices the right response in the asked form is weighed (`reference_logp`, nats a token): no score, but it
falls when a model forgets how or what to answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from data.items import Item, gold, worked
from evaluation.scores import mean_of, share

REFERENCE = -1  # in place of a choice's number
KEY = ("benchmark", "item", "choice")

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("benchmark", "group", "item")),
        ("choice", pa.int32()),
        ("text", pa.string()),
        ("right", pa.bool_()),
        ("logp", pa.float64()),
        ("tokens", pa.int32()),
        ("characters", pa.int32()),
    ]
)

Cell = dict[str, Any]


def weighed(item: Item) -> list[tuple[int, str]]:
    """The texts whose likelihood is taken, with their numbers; none where the reference is no response."""
    if item.choices:
        return list(enumerate(item.choices))
    answer = worked(item)
    return [] if answer is None else [(REFERENCE, answer)]


def rows(items: Sequence[Item], logps: Sequence[Sequence[Sequence[float]]]) -> list[dict[str, Any]]:
    """A row a text of `weighed`; `logps`: of the tokens of each text of each item."""
    return [
        {
            **{"benchmark": item.benchmark, "group": item.group, "item": item.id, "choice": number, "text": text},
            **{"right": number in (gold(item), REFERENCE), "logp": float(np.sum(own, dtype=np.float64))},
            **{"tokens": len(own), "characters": len(text)},
        }
        for item, of_item in zip(items, logps, strict=True)
        for (number, text), own in zip(weighed(item), of_item, strict=True)
    ]


def likelihoods(table: Iterable[Mapping[str, Any]]) -> dict[str, Cell]:
    """Benchmark -> acc and acc_norm (percent, with Wilson's interval) and the number of their items, or
    reference_logp; from rows of likelihood.parquet."""
    items: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in table:
        items.setdefault(row["benchmark"], {}).setdefault(row["item"], []).append(row)
    return {name: _benchmark(list(own.values())) for name, own in items.items()}


def group_likelihood(names: Sequence[str], benchmarks: Mapping[str, Mapping[str, Any]]) -> Cell:
    """Means over those benchmarks of a group that have choices, and which these are."""
    own = {name: found for name in names if "acc" in (found := benchmarks[name].get("likelihood", {}))}
    if not own:
        return {}
    means = {key: mean_of([one[key]["score"] for one in own.values()]) for key in ("acc", "acc_norm")}
    return {"likelihood": means | {"over": list(own)}}


def _benchmark(items: Sequence[Sequence[Mapping[str, Any]]]) -> Cell:
    chosen = [own for own in items if own[0]["choice"] != REFERENCE]
    if not chosen:
        return {"reference_logp": float(np.mean([own[0]["logp"] / max(1, own[0]["tokens"]) for own in items]))}
    right = np.array([[_best(own, key) for key in (_sum, _a_character)] for own in chosen], dtype=np.float64)
    return {"acc": share(right[:, 0]), "acc_norm": share(right[:, 1]), "items": len(chosen)}


def _best(choices: Sequence[Mapping[str, Any]], key: Any) -> bool:
    """Whether the likeliest choice is the right one; of equals the first counts, as in lm-eval."""
    return bool(choices[int(np.argmax([key(choice) for choice in choices]))]["right"])


def _sum(choice: Mapping[str, Any]) -> float:
    return float(choice["logp"])


def _a_character(choice: Mapping[str, Any]) -> float:
    return float(choice["logp"]) / max(1, choice["characters"])
