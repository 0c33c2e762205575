"""The stored order: which rows every arm sees at which step."""

import math

import numpy as np

from models.seeds import stream


def make(rows: int, steps: int, prompts_per_step: int, seed: int) -> np.ndarray:
    """Row numbers as int64[steps, prompts_per_step]: a fresh permutation an epoch, one after another, cut to length."""
    rng = np.random.Generator(np.random.PCG64(seed))
    needed = steps * prompts_per_step
    epochs = [rng.permutation(rows) for _ in range(math.ceil(needed / rows))]
    return np.concatenate(epochs)[:needed].reshape(steps, prompts_per_step).astype(np.int64)


def of_run(order: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """The order that every arm of run seed `seed` sees: the stored one, its row numbers exchanged by a permutation.

    Two seeds then differ in the prompts they see and when, in every arm; without that the seeds of an arm that samples
    nothing would be one and the same run.
    """
    exchanged = np.random.Generator(np.random.PCG64(stream(seed, "order"))).permutation(rows)
    return exchanged[order]
