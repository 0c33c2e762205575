"""The stored order: which rows every arm sees at which step."""

import numpy as np

from models.seeds import stream


def make(rows: int, steps: int, prompts_per_step: int, seed: int) -> np.ndarray:
    """Row numbers as int64[steps, prompts_per_step]: a fresh permutation an epoch, one after another, cut to length.

    No prompt comes twice in a batch, as long as there are as many rows as a batch has prompts. More steps go on where
    fewer end: the shorter order is how the longer one begins.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    needed = steps * prompts_per_step
    epochs: list[np.ndarray] = []
    total = 0
    while total < needed:
        epoch = rng.permutation(rows)
        begun = total % prompts_per_step  # prompts that the last epoch gave to a batch which this one fills up
        if begun and rows >= prompts_per_step:
            epoch = _others_first(epoch, epochs[-1][-begun:], prompts_per_step - begun)
        epochs.append(epoch)
        total += rows
    return np.concatenate(epochs)[:needed].reshape(steps, prompts_per_step).astype(np.int64)


def _others_first(epoch: np.ndarray, seen: np.ndarray, count: int) -> np.ndarray:
    """The epoch with `count` rows that are not among `seen` moved to its front; nothing else changes its place."""
    others = np.flatnonzero(~np.isin(epoch, seen))[:count]
    return np.concatenate([epoch[others], np.delete(epoch, others)])


def of_run(order: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """The order that every arm of run seed `seed` sees: the stored one, its row numbers exchanged by a permutation.

    Two seeds then differ in the prompts they see and when, in every arm; without that the seeds of an arm that samples
    nothing would be one and the same run.
    """
    exchanged = np.random.Generator(np.random.PCG64(stream(seed, "order"))).permutation(rows)
    return exchanged[order]
