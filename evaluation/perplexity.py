"""Perplexity of each model's right sampled answers under base and tuned, and on request the entropy-matched control.

Responses are read from the stored evaluations of both; docs/method.md says what it means.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.schema import Suite
from evaluation import matching, parts, quadrants
from evaluation.drift import Model, Pair, rendered
from evaluation.grade import SCHEMA as GRADED
from evaluation.grade import STOP
from evaluation.quadrants import FILE, LIKELIER, QUADRANTS, SCHEMA, likelier
from evaluation.scores import GREEDY
from models import batch_response_ids, continuation_logps

ASKED = ("benchmark", "group", "item", "prompt", "context")
COLUMNS = (*ASKED, "sample", "response", "completion_tokens")
KEY = ("benchmark", "item")


class Asked(NamedTuple):
    """One item, with right samples of both models."""

    about: dict[str, str]  # benchmark, group, item, prompt
    base: list[tuple[str, int]]  # a response, and how many tokens were drawn
    tuned: list[tuple[str, int]]


def measure(pair: Pair) -> dict[str, Any]:
    """The quadrants over the first `drift.reach_items` items of each benchmark that both models solved, a row an item
    in FILE; with `drift.reach_entropy_matched` `matched`, too. ValueError where they solved none in common."""
    asked, suite = pair.configuration.drift, suite_of(pair)
    sides = [beside(one, asked.reach_suite) for one in (pair.base, pair.tuned)]
    items = _items(_right(sides[0]), _right(sides[1]), asked.reach_items, asked.reach_responses)
    if not items:
        raise ValueError("no item has a right sample of both models, whose perplexity could be compared")
    rows, renewed = _weighed(pair, items)
    parts.write(pa.Table.from_pylist(rows, schema=SCHEMA), pair.out / FILE)
    found = {"items": len(items), "suite": suite.name, "retokenised": renewed, **quadrants.cells([rows])}
    if asked.reach_entropy_matched:
        found["matched"] = matching.matched(pair, suite, sides)
    return found


def suite_of(pair: Pair) -> Suite:
    """The suite whose responses are weighed."""
    name, suites = pair.configuration.drift.reach_suite, pair.configuration.suites
    if name and name not in suites:
        why = "it is none of the suites that are scored beside the run's own"
        raise UserError(
            f"drift.reach_suite={name}", why, f"add it by suites=[{name}], or leave drift.reach_suite empty"
        )
    return suites[name] if name else pair.configuration.suite


def beside(model: Model, suite: str) -> Model:
    """The model with the evaluation of a further suite; UserError where it was not scored on it."""
    if not suite:
        return model
    found = replace(model, evaluation=model.evaluation / "suites" / suite)
    if not (found.evaluation / "items.parquet").is_file():
        why = "perplexity is that of stored responses, and the suite was not scored at this moment"
        change = f"let suites.{suite}.when and drift.when name the same moments"
        raise UserError(f"drift.reach_suite={suite}: {found.evaluation} holds no responses", why, change)
    return found


def _right(model: Model) -> pa.Table:
    """Right samples that ended by themselves."""
    wanted = [("sample", ">", GREEDY), ("outcome", "=", "right"), ("finish_reason", "=", STOP)]
    return pq.read_table(model.evaluation / "items.parquet", columns=list(COLUMNS), filters=wanted, schema=GRADED)


def _items(base: pa.Table, tuned: pa.Table, most: int, responses: int) -> list[Asked]:
    """The first `most` of each benchmark in the base's order, with their first right samples."""
    solved = set(zip(*(tuned[name].to_pylist() for name in KEY), strict=True))
    counts: dict[str, int] = {}
    chosen: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(zip(*(base[name].to_pylist() for name in KEY), strict=True)):
        if key in solved and counts.get(key[0], 0) < most:
            counts[key[0]] = counts.get(key[0], 0) + 1
            chosen[key] = len(chosen)
    found: list[Asked] = [Asked({}, [], []) for _ in chosen]
    for side, table in (("base", base), ("tuned", tuned)):
        few = table.filter(pc.is_in(table["item"], value_set=pa.array([item for _, item in chosen])))
        for row in few.to_pylist():
            place = chosen.get((row["benchmark"], row["item"]))
            if place is not None and len(texts := getattr(found[place], side)) < responses:
                texts.append((row["response"], row["completion_tokens"]))
                found[place].about.update({key: row[key] for key in ASKED})
    return found


def _weighed(pair: Pair, items: Sequence[Asked]) -> tuple[list[dict[str, Any]], float]:
    """A row of SCHEMA an item, and the share of responses that are other tokens than were drawn: stored is the text."""
    tokenizer = pair.tokenizer
    prompts = rendered(tokenizer, [one.about for one in items])
    texts = [batch_response_ids(tokenizer, [text for text, _ in (*one.base, *one.tuned)]) for one in items]
    drawn = [count for one in items for _, count in (*one.base, *one.tuned)]
    renewed = np.mean([len(ids) != count for ids, count in zip(chain.from_iterable(texts), drawn, strict=True)])
    nats = []
    for one in (pair.base, pair.tuned):
        logps = continuation_logps(one.model, tokenizer.pad_token_id, prompts, texts)
        nats.append([[-float(np.mean(own)) for own in of_item] for of_item in logps])
    rows = []
    for one, by_base, by_tuned in zip(items, *nats, strict=True):
        cut = len(one.base)
        four = (by_base[:cut], by_tuned[:cut], by_base[cut:], by_tuned[cut:])
        means = {name: float(np.mean(own)) for name, own in zip(QUADRANTS, four, strict=True)}
        about = {key: one.about[key] for key in ("benchmark", "group", "item")}
        rows.append(about | means | {LIKELIER: likelier(by_base[cut:], by_base[:cut])})
    return rows, float(renewed)
