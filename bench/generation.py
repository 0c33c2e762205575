"""How fast the one generator is: against transformers' own ways of sampling several responses a problem."""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.generation import ContinuousBatchingConfig

from bench import Figure
from bench.timing import best, in_turns, settings
from conf.schema import Suite
from data import suite
from models import generate, load, prompt_ids
from models.seeds import stream

MODEL = "models/embedded"
PROBLEMS, SAMPLES, LIMIT = 64, 4, 112  # the limit is the embedded suite's
REPEATS = 7

Responses = list[list[int]]


def figures() -> Iterator[Figure]:
    """Ours and theirs in turns, on the same problems, with one thread and the same matrix products."""
    with settings("highest"):
        ours, tokenizer = load(MODEL)
        asked = problems(tokenizer)
        common = {"tokenizer": tokenizer, "asked": asked}
        sides = {
            "ours": partial(written, ours, **common),
            "theirs": partial(as_people_write, AutoModelForCausalLM.from_pretrained(MODEL), **common),
        }
        mix = lengths(sides["ours"](), sides["theirs"]())
        seconds = in_turns(sides, REPEATS)
        name = f"times faster than generate(num_return_sequences={SAMPLES}), {mix}"
        yield Figure(name, best(seconds, "theirs") / best(seconds, "ours"), 3, "times", True)
        worst = min(b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True))
        yield Figure(f"the same, in the worst of {REPEATS} turns", worst, 1, "times", True)
        paged = AutoModelForCausalLM.from_pretrained(MODEL)
        sides["theirs"] = partial(continuously, paged, **common)
        sides["theirs"]()
        seconds = in_turns(sides, 2)
        times = best(seconds, "theirs") / best(seconds, "ours")
        yield Figure("times faster than continuous batching", times, 1, "times", True)


def problems(tokenizer: Any) -> list[list[int]]:
    """Token ids of problems drawn from all benchmarks of the embedded suite."""
    items = suite.items(Suite())
    return [prompt_ids(tokenizer, item.prompt) for item in random.Random(0).sample(items, PROBLEMS)]


def written(model: Any, tokenizer: Any, asked: Sequence[list[int]]) -> Responses:
    """By our generator, with a random stream of its own for every response."""
    return generate(
        model,
        [prompt for prompt in asked for _ in range(SAMPLES)],
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        max_new_tokens=LIMIT,
        temperature=1.0,
        seeds=[stream(number, sample) for number in range(len(asked)) for sample in range(SAMPLES)],
    )


def as_people_write(model: Any, tokenizer: Any, asked: Sequence[list[int]]) -> Responses:
    """By `model.generate`, all at once."""
    torch.manual_seed(0)
    batch = tokenizer.pad({"input_ids": list(asked)}, padding_side="left", return_tensors="pt")
    found = model.generate(**batch, generation_config=wanted(tokenizer, num_return_sequences=SAMPLES))
    rows = found[:, batch["input_ids"].shape[1] :].tolist()
    return [row[: row.index(end) + 1] if (end := tokenizer.eos_token_id) in row else row for row in rows]


def continuously(model: Any, tokenizer: Any, asked: Sequence[list[int]]) -> Responses:
    """By transformers' continuous batching, in a cache that holds all rows."""
    torch.manual_seed(0)
    cache = ContinuousBatchingConfig(num_blocks=1024, page_size=32, max_batch_tokens=512)
    rows = [prompt for prompt in asked for _ in range(SAMPLES)]
    found = model.generate_batch(
        rows, generation_config=wanted(tokenizer), continuous_batching_config=cache, progress_bar=False
    )
    return [one.generated_tokens for one in found.values()]


def wanted(tokenizer: Any, **more: int) -> GenerationConfig:
    """Plain sampling, as ours."""
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return GenerationConfig(do_sample=True, top_k=0, top_p=1.0, temperature=1.0, max_new_tokens=LIMIT, **ends, **more)


def lengths(*sides: Responses) -> str:
    """The mix of response lengths in tokens of each side: quartiles and the longest."""
    told = (np.percentile([len(row) for row in rows], [25, 50, 75, 100]).astype(int) for rows in sides)
    return "tokens at quartiles and longest: " + " and ".join("/".join(map(str, found)) for found in told)
