"""The stored order: which rows every arm sees at which step."""

import math

import numpy as np


def make(rows: int, steps: int, prompts_per_step: int, seed: int) -> np.ndarray:
    """Row numbers as int64[steps, prompts_per_step]: a fresh permutation an epoch, one after another, cut to length."""
    rng = np.random.Generator(np.random.PCG64(seed))
    needed = steps * prompts_per_step
    epochs = [rng.permutation(rows) for _ in range(math.ceil(needed / rows))]
    return np.concatenate(epochs)[:needed].reshape(steps, prompts_per_step).astype(np.int64)
