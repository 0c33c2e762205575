"""Processes that compare mathematical answers, each with a hard time limit: at the limit the process is killed and replaced.

Workers start from a fork server, which holds no torch, no threads and no GPU of this process. They never import the
program's main module, so that a script without a `__main__` guard may call `rewards.verify`.
"""

import atexit
import logging
import multiprocessing.context
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, TimeoutError
from contextlib import contextmanager
from typing import Any

from pebble import ProcessExpired, ProcessPool

from rewards.mathematics import compare

MEMORY = 4 * 1024**3  # bytes of address space a worker may take
GRACE = 2.0  # seconds after which a worker that nobody killed ends itself, for the parent may be gone
ATTEMPTS = 2  # a worker may be killed by something other than its task; one that dies twice on it is the task's fault

_lock = threading.RLock()
_pools: dict[int, ProcessPool] = {}

Task = tuple[str, str, float]  # reference, answer, time limit in seconds


def run(tasks: Sequence[Task], workers: int = 1) -> list[tuple[str, str]]:
    """(outcome, reason) of every task, in order; `unscorable` with `timeout` or `crash` where a worker had to go."""
    found: dict[int, tuple[str, str]] = {}
    for _ in range(ATTEMPTS):
        left = [i for i in range(len(tasks)) if i not in found or found[i][1] == "crash"]
        pool = _pool(max(1, workers)) if left else None
        futures = [pool.schedule(_work, args=tasks[i], timeout=tasks[i][2]) for i in left] if pool else []
        found |= {i: _result(future) for i, future in zip(left, futures, strict=True)}
    return [found[i] for i in range(len(tasks))]


def _result(future: Any) -> tuple[str, str]:
    try:
        return future.result()
    except TimeoutError:
        return "unscorable", "timeout"
    except (ProcessExpired, MemoryError, RecursionError, CancelledError):
        return "unscorable", "crash"


def _work(gold: str, answer: str, timeout: float) -> tuple[str, str]:
    """In the worker: compare, with an alarm that nothing catches behind the parent's own limit."""
    signal.setitimer(signal.ITIMER_REAL, timeout + GRACE)
    try:
        return compare(gold, answer)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _prepare() -> None:
    """In the worker, before its first task: limits, silence, and the imports that no time limit should count."""
    import resource

    import math_verify

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.disable(logging.CRITICAL)
    math_verify.verify(*(math_verify.parse("$1$", parsing_timeout=None) for _ in range(2)), timeout_seconds=None)


def _pool(workers: int) -> ProcessPool:
    """The pool of so many workers, made at its first use."""
    with _lock:
        if workers not in _pools or not _pools[workers].active:
            context: Any = _Context()
            context.set_forkserver_preload(["math_verify"])
            _pools[workers] = ProcessPool(max_workers=workers, initializer=_prepare, context=context)
        return _pools[workers]


def stop() -> None:
    """End every worker; the next call starts new ones."""
    with _lock:
        for pool in _pools.values():
            pool.stop()
            pool.join()
        _pools.clear()


def _forget() -> None:
    """After a fork: the pools' threads stayed with the parent, so the child must make its own."""
    global _lock
    _lock = threading.RLock()
    _pools.clear()


atexit.register(stop)
os.register_at_fork(after_in_child=_forget)


@contextmanager
def _without_main() -> Iterator[None]:
    """While a process starts: nothing tells it which file the program's main module came from, so it imports none."""
    main = sys.modules["__main__"]
    hidden = {name: main.__dict__.pop(name) for name in ("__spec__", "__file__") if name in main.__dict__}
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


class _Process(multiprocessing.context.ForkServerProcess):
    def start(self) -> None:
        with _lock, _without_main():
            super().start()


class _Context(multiprocessing.context.ForkServerContext):
    Process = _Process  # type: ignore[assignment]
