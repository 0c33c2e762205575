"""What the representation shift takes: seconds on the embedded model, and whether memory grows with the items."""

import resource
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench import Figure
from bench.timing import settings
from conf.schema import Suite
from data import suite
from evaluation.moments import Moments
from evaluation.representation import of_moments, representation_shift
from models import batch_prompt_ids, load
from models.means import mean_states

MODEL = "models/embedded"
FEW, MANY = 2_000, 20_000  # items
LAYERS, WIDTH, CHUNK = 4, 48, 50
MORE = 10  # times the embedded suite's prompts
MIB = 2**20


def figures() -> Iterator[Figure]:
    """Between the embedded model and itself: the numbers are of no interest, what they take is."""
    with settings("highest"):
        (model, tokenizer), other = load(MODEL), load(MODEL)[0]
        texts = batch_prompt_ids(tokenizer, [item.prompt for item in suite.items(Suite())])
        start = time.process_time()
        representation_shift(model, other, texts, pad_id=tokenizer.pad_token_id)
        name = f"processor seconds of the representation shift of {len(texts)} prompts, embedded model, one thread"
        yield Figure(name, time.process_time() - start, 6, "seconds", False)
        before = max(grown(model, texts) for _ in range(2))  # what torch's allocator keeps settles at the second
        growth = (grown(model, texts * MORE) - before) / MIB
        name = f"memory that {MORE * len(texts)} prompts take beyond {len(texts)}; their features alone are 115 MB"
        yield Figure(name, growth, 32, "MiB", False)
    few, many = peak(FEW), peak(MANY)
    yield Figure(f"memory of the shift at {MANY:,} items over that at {FEW:,}", many / few, 1.1, "times", False)


def grown(model: Any, texts: list[list[int]]) -> int:
    """The process's largest memory so far, in bytes, after the texts went through one model twice."""
    moments = Moments()
    for _, states in mean_states(model, texts, 0):
        moments.add(states, states)
    of_moments(moments)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak(items: int) -> int:
    """Most bytes that numpy held while so many made-up items were accumulated and measured."""
    made = np.random.default_rng(0)
    tracemalloc.start()
    moments = Moments()
    for _ in range(items // CHUNK):
        base = made.normal(size=(CHUNK, LAYERS, WIDTH))
        moments.add(base, base + made.normal(size=base.shape))
    of_moments(moments)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found
