"""Two ways of doing one thing, timed in turns, so that what else the machine does falls on both alike."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

Seconds = dict[str, list[float]]


def in_turns(sides: Mapping[str, Callable[[], object]], repeats: int) -> Seconds:
    """Seconds of each side, so many times in turns. Call each once before, so that nothing is cold."""
    seconds: Seconds = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def best(seconds: Seconds, name: str) -> float:
    """The least: what the others took longer was something else's."""
    return min(seconds[name])


@contextmanager
def settings(matmul_precision: str, threads: int = 1) -> Iterator[None]:
    """Matrix products and threads of what is timed; one thread, for threads that wait spin and starve the others."""
    before, count = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision(matmul_precision)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.set_num_threads(count)
