"""Distance from the base on the new task: KL in both directions on prompts that were trained on; docs/method.md.

Forward, KL(base || tuned), in the states of the base's own responses, which are sampled once and shared by every model
that is compared. Reverse, KL(tuned || base), in those of the tuned model's own. Both are sums over the vocabulary in
each state, so only the states are sampled (Rao-Blackwell).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation import parts
from evaluation.drift import Model, Pair
from evaluation.statistics import group_draws, interval
from models import digest, generate
from models.comparing import Array, compare
from models.seeds import stream

FILE = "samples.parquet"
SCHEMA = pa.schema([("prompt", pa.int32()), ("sample", pa.int32()), ("response", pa.list_(pa.int32()))])
SETTINGS = b"settings"  # in the file's metadata, JSON

Cell = dict[str, Any]


def measure(pair: Pair) -> Cell:
    """Both directions over the first `drift.distance_prompts` training prompts; nats. ValueError without prompts."""
    asked, limit = pair.configuration.drift, _limit(pair)
    prompts = list(pair.new_task[: asked.distance_prompts])
    if not prompts:
        raise ValueError("no training prompt was handed on, so there is no new task to measure the distance on")
    shared = _of_base(pair, prompts)
    own = _sampled(pair, pair.tuned, prompts)
    both = [(prompts[row["prompt"]], row["response"]) for row in (*shared, *own)]
    found = compare(pair.base.model, pair.tuned.model, both, pair.tokenizer.pad_token_id)
    of_base, of_tuned = found[: len(shared)], found[len(shared) :]
    end = pair.tokenizer.eos_token_id
    return {
        "prompts": len(prompts),
        "samples": asked.distance_samples,
        "max_new_tokens": limit,
        "dtypes": [str(next(one.model.parameters()).dtype) for one in (pair.base, pair.tuned)],
        "forward": cell(shared, [one.forward for one in of_base], end),
        "reverse": cell(own, [one.reverse for one in of_tuned], end),
    }


def cell(rows: Sequence[Cell], kl: Sequence[Array], end_id: int) -> Cell:
    """A direction's mean over all tokens, and over responses of their sums, each with its interval over prompts; and
    how many responses were cut before their end.

    The sum over a response is the divergence of whole responses; of those cut, up to where they were. All samples of a
    prompt are drawn together in the bootstrap.
    """
    sums, lengths = (_by_prompt(rows, [value(one) for one in kl]) for value in (np.sum, len))
    drawn, counts = group_draws([sums]), group_draws([lengths])
    whole = [float(one.sum()) for one in kl]
    found = {}
    for name, value, draws in (
        ("per_token", sum(whole) / max(1, sum(map(len, kl))), drawn / np.maximum(counts, 1e-9)),
        ("per_response", float(np.mean(whole)), drawn * len(sums) / len(rows)),
    ):
        low, high = interval(draws)
        found[name] = {"mean": value, "low": low, "high": high}
    cut = sum(row["response"][-1:] != [end_id] for row in rows)
    return found | {"responses": len(rows), "tokens": sum(map(len, kl)), "cut": cut}


def _by_prompt(rows: Sequence[Cell], values: Sequence[float]) -> Array:
    """Sums over the samples of each prompt."""
    found: dict[int, float] = {}
    for row, value in zip(rows, values, strict=True):
        found[row["prompt"]] = found.get(row["prompt"], 0.0) + float(value)
    return np.array(list(found.values()))


def _limit(pair: Pair) -> int:
    return pair.configuration.drift.distance_max_new_tokens or pair.configuration.data.max_completion_length


def _of_base(pair: Pair, prompts: Sequence[Sequence[int]]) -> list[Cell]:
    """The base's responses: those stored beside its evaluation where they were made of this base, these prompts and
    these settings; otherwise they are made, and stored."""
    settings = {
        "base": digest(pair.base.weights),
        "dtype": str(next(pair.base.model.parameters()).dtype),
        "prompts": hashlib.sha256(json.dumps([list(one) for one in prompts]).encode()).hexdigest(),
        "samples": pair.configuration.drift.distance_samples,
        "max_new_tokens": _limit(pair),
        "seed": pair.configuration.suite.seed,
    }
    return stored(pair, settings, lambda: _sampled(pair, pair.base, prompts))


def stored(pair: Pair, settings: dict[str, Any], make: Callable[[], list[Cell]]) -> list[Cell]:
    """The base's responses of these settings; what `make` makes where there are none, or those of others."""
    path = pair.base.evaluation / "drift" / "distance" / FILE
    if path.is_file():
        table = pq.read_table(path)
        if json.loads((table.schema.metadata or {}).get(SETTINGS, b"null")) == settings:
            rows: list[Cell] = table.to_pylist()
            return rows
    rows = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    told = SCHEMA.with_metadata({SETTINGS: json.dumps(settings, sort_keys=True)})
    parts.write(pa.Table.from_pylist(rows, schema=told), path)
    return rows


def _sampled(pair: Pair, model: Model, prompts: Sequence[Sequence[int]]) -> list[Cell]:
    """A model's own responses at temperature 1, as token ids; the end token stands last where it was written. Equal
    (prompt, sample) draw from equal streams in every model."""
    asked, configuration = pair.configuration.drift, pair.configuration
    keys = [(prompt, sample) for prompt in range(len(prompts)) for sample in range(asked.distance_samples)]
    responses = generate(
        model.model,
        [prompts[prompt] for prompt, _ in keys],
        end_id=pair.tokenizer.eos_token_id,
        pad_id=pair.tokenizer.pad_token_id,
        max_new_tokens=_limit(pair),
        temperature=1.0,
        seeds=[stream(configuration.suite.seed, "distance", prompt, sample) for prompt, sample in keys],
        batch_size=configuration.suite.batch_size,
        batch_tokens=configuration.hardware.generation_tokens,
    )
    return [
        {"prompt": prompt, "sample": sample, "response": response}
        for (prompt, sample), response in zip(keys, responses, strict=True)
    ]
