"""One graded row a response: the columns of items.parquet.

`outcome` is the grade that every score rests on: the strict one, or that of the extraction an item asks for itself.
Beside it stand three that part ability from form: `strict` (the asked format only), `aware` (any clear statement of the
answer after the thought) and `paper` (the published extractor, null where the benchmark has none).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from data import world
from data.items import Item
from evaluation.modes import MODES, PAPER
from rewards import Request, Verdict, canary, paper, verify_many

_checked: set[str] = set()  # kinds whose verifier this process has tried

Wanted = tuple[Item, int]  # an item, and the number of its sample; 0 is greedy

LONG = 10_000  # characters of a reference that every row repeats
STOP, LENGTH = "stop", "length"  # finish reasons: the model ended its response, or its tokens ran out
_STRINGS = ("benchmark", "group", "kind", "item", "prompt", "prompt_digest", "reference", "twin", "labels", "context")
_JUDGED = ("response", "outcome", "reason", "extracted", *MODES, "strategy")

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _STRINGS),
        ("shots", pa.int32()),
        ("sample", pa.int32()),
        *((name, pa.string()) for name in _JUDGED),
        ("completion_tokens", pa.int32()),
        ("mean_logp", pa.float64()),
        ("finish_reason", pa.string()),
        ("truncated", pa.bool_()),
    ]
)


def grade(
    wanted: Sequence[Wanted],
    texts: Sequence[str],
    ids: Sequence[Sequence[int]],
    end_id: int,
    workers: int = 0,
    logps: Sequence[Sequence[float]] | None = None,
) -> list[dict[str, Any]]:
    """The rows of the responses to `wanted`, in order; `ids` still carry the end token where the model wrote one.

    `logps`: the log-probability of every token of each response, whose mean the rows keep; null without it.
    """
    found = judged([item for item, _ in wanted], texts, workers)
    means = [sum(own) / len(own) if own else None for own in logps or [()] * len(wanted)]
    return [
        about(item) | {"sample": sample, "response": text, **verdicts, **_written(own, mean, end_id)}
        for (item, sample), text, own, mean, verdicts in zip(wanted, texts, ids, means, found, strict=True)
    ]


def about(item: Item) -> dict[str, Any]:
    """What a row says of its item."""
    return {
        "benchmark": item.benchmark,
        "group": item.group,
        "kind": item.kind,
        "item": item.id,
        "prompt": item.prompt,
        "prompt_digest": hashlib.sha256(item.prompt.encode()).hexdigest(),
        "reference": stated(item.reference),
        "twin": item.twin,
        "shots": len(item.shots),
        "labels": json.dumps(item.labels, sort_keys=True, ensure_ascii=False),
        "context": json.dumps(item.shots, ensure_ascii=False),
    }


def stated(reference: str) -> str:
    """A reference as rows have it: one that is long, as tests of programs are, by its digest."""
    return reference if len(reference) <= LONG else f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def judged(items: Sequence[Item], texts: Sequence[str], workers: int = 0) -> list[dict[str, Any]]:
    """The grades of one response to each of `items`: the columns outcome, reason, extracted, MODES and strategy.

    An `aware` grade is asked for only where the strict one is not right: what is right in the asked format is right.
    """
    pairs = list(zip(items, texts, strict=True))
    strict = verify_many([_request(item, text, "strict") for item, text in pairs], workers)
    loose = [i for i, verdict in enumerate(strict) if verdict.outcome == "wrong"]
    aware = _chosen(strict, loose, verify_many([_request(*pairs[i], "aware") for i in loose], workers))
    own = [i for i, (item, _) in enumerate(pairs) if item.options.get("extraction", "strict") != "strict"]
    main = _chosen(strict, own, verify_many([_request(*pairs[i]) for i in own], workers))
    return [
        {"outcome": verdict.outcome, "reason": verdict.reason, "extracted": verdict.extracted}
        | {"strict": one.outcome, "aware": other.outcome, PAPER: published}
        | {"strategy": strategy(item, text)}
        for (item, text), verdict, one, other, published in zip(
            pairs, main, strict, aware, _as_published(pairs, workers), strict=True
        )
    ]


def _request(item: Item, text: str, extraction: str | None = None) -> Request:
    """The response as the verifier of its kind is to judge it; without `extraction`, as the item itself asks."""
    options = {name: value for name, value in item.options.items() if name != PAPER}
    return Request(item.kind, text, item.reference, options | ({"extraction": extraction} if extraction else {}))


def _chosen(verdicts: Sequence[Verdict], places: Sequence[int], others: Sequence[Verdict]) -> list[Verdict]:
    """`verdicts`, with `others` at `places`."""
    found = dict(zip(places, others, strict=True))
    return [found.get(i, verdict) for i, verdict in enumerate(verdicts)]


def _as_published(pairs: Sequence[tuple[Item, str]], workers: int) -> list[str | None]:
    """The outcome by the published extractor of each item's benchmark; None where it has none."""
    having = [(place, item, text) for place, (item, text) in enumerate(pairs) if PAPER in item.options]
    asked = [(item.options[PAPER], text, item.reference, item.options) for _, item, text in having]
    found: list[str | None] = [None] * len(pairs)
    for (place, _, _), verdict in zip(having, paper.grade_many(asked, workers), strict=True):
        found[place] = verdict.outcome
    return found


def _written(ids: Sequence[int], mean_logp: float | None, end_id: int) -> dict[str, Any]:
    """What a row says of the tokens; a response without its end token was cut at the limit."""
    truncated = end_id not in ids[-1:]
    return {
        "completion_tokens": len(ids),
        "mean_logp": mean_logp,
        "finish_reason": LENGTH if truncated else STOP,
        "truncated": truncated,
    }


def strategy(item: Item, response: str) -> str:
    """How a math item of the embedded world was answered; empty for everything else."""
    known = item.group == "math" and item.benchmark in world.BENCHMARKS
    return world.strategy(item.prompt, response) if known else ""


def read_items(path: Path, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """The columns of items.parquet as lists; None in one that a file of old does not have."""
    return pq.read_table(path, columns=None if columns is None else list(columns), schema=SCHEMA).to_pydict()


def check_verifiers(kinds: Iterable[str], workers: int = 0) -> None:
    """Judge the canary's known answers, once a process and kind; UserError where a verifier judges one otherwise."""
    new = set(kinds) - _checked
    failed = canary.failures(new, workers)
    if failed:
        raise UserError(
            f"the verifiers misjudge {len(failed)} known answers, the first: {failed[0]}",
            "rewards and scores from them would be wrong, silently",
            "repair the installation (`make` installs what constraints.txt says); a starved machine shows as timeout",
        )
    _checked.update(new)
