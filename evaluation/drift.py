"""What is measured of a trained model with its base beside it: how far it went, and where.

Each measure is a function of a `Pair` in a module of its own, and returns plain numbers that become `values` of
result.json; larger tables it writes into `pair.out`. A measure that cannot be made raises, and that is recorded.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from conf.errors import UserError
from conf.schema import Configuration
from evaluation.scores import GREEDY

# name -> module of evaluation/ whose `measure(pair)` makes it
MEASURES: dict[str, str] = {
    "tokens": "tokens",
    "distance": "distance",
    "representation": "representation",
    "weights": "weights",
    "reach": "perplexity",
}
GENERATING = ("distance",)  # of them; `make compare` makes these only where they are asked for
OF_WEIGHTS = ("weights",)  # that need no common vocabulary
COLUMNS = (
    *("benchmark", "group", "item", "prompt", "sample", "response", "outcome", "finish_reason"),
    *("reference", "completion_tokens", "context"),
)


@dataclass(frozen=True)
class Model:
    """A model in evaluation mode, the folder or hub id of its weights, and the folder of its evaluation."""

    model: Any
    weights: str
    evaluation: Path

    @cached_property
    def responses(self) -> list[dict[str, Any]]:
        """The stored responses, COLUMNS each, greedy (sample 0) and sampled, in the order of items.parquet."""
        path = self.evaluation / "items.parquet"
        if not path.is_file():
            why = "drift is measured on the responses of the suite, and there are none"
            raise UserError(f"{path} is not there", why, "have the suite scored at the same moments (suite.when)")
        there = set(pq.read_schema(path).names)  # an evaluation of an earlier version lacks some
        rows: list[dict[str, Any]] = pq.read_table(path, columns=[one for one in COLUMNS if one in there]).to_pylist()
        return rows

    @cached_property
    def greedy(self) -> list[dict[str, Any]]:
        return [row for row in self.responses if row["sample"] == GREEDY]


@dataclass(frozen=True)
class Pair:
    """What a measure is given. `new_task`: prompts of what was trained on as token ids, in the stored order."""

    base: Model
    tuned: Model
    tokenizer: Any
    configuration: Configuration
    new_task: Sequence[list[int]]
    out: Path


def measure(name: str, pair: Pair) -> dict[str, Any]:
    """The values of one of MEASURES; ValueError or UserError where it cannot be made."""
    found: dict[str, Any] = importlib.import_module(f"evaluation.{MEASURES[name]}").measure(pair)
    return found


def rendered(tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """The token ids that each row's prompt was asked with, the worked examples before it included."""
    from models import batch_prompt_ids

    shots = [json.loads(row.get("context") or "[]") for row in rows]
    return batch_prompt_ids(tokenizer, [row["prompt"] for row in rows], shots)


def new_task(data: Path, most: int = 1024) -> list[list[int]]:
    """Prompts of the first training rows of a compiled data folder, as compiled; none where there is no such folder."""
    if not (data / "rows.parquet").is_file():
        return []
    ids: list[list[int]] = pq.read_table(data / "rows.parquet", columns=["prompt_ids"])[0][:most].to_pylist()
    return ids
