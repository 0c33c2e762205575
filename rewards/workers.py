"""Processes that do what may take long, each task under a hard time limit: at the limit the process is killed.

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
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from pebble import ProcessExpired, ProcessPool

from rewards.verdict import Outcome, Task

MEMORY = 4 * 1024**3  # bytes of address space a worker may take
GRACE = 2.0  # seconds after which a worker that nobody killed ends itself, for the parent may be gone
START = 60.0  # seconds a worker may take to start
ATTEMPTS = 3  # a worker may be killed by something other than its task; when three die on it, it is the task's fault

_lock = threading.RLock()
_pools: dict[int, ProcessPool] = {}

Result = tuple[Outcome, str]  # and the reason


def run(tasks: Sequence[Task], workers: int = 1) -> list[Result]:
    """(outcome, reason) of every task, in order; `unscorable` with `timeout` or `crash` where a worker had to go."""
    workers = max(1, workers)
    found: list[Result] = [("unscorable", "crash")] * len(tasks)
    for _ in range(ATTEMPTS):
        left = [i for i, (_, reason) in enumerate(found) if reason == "crash"]
        for i, result in zip(left, _attempt([tasks[i] for i in left], workers), strict=True):
            found[i] = result
    return found


def _attempt(tasks: Sequence[Task], workers: int) -> list[Result]:
    """One try at every task. The pool breaks where a worker dies idle: what it held is a `crash`, and tried again."""
    if not tasks:
        return []
    pool = _pool(workers)
    until = time.monotonic() + START + sum(task.timeout + GRACE for task in tasks) / workers
    try:
        futures = [pool.schedule(_work, args=(task,), timeout=task.timeout) for task in tasks]
    except RuntimeError:  # it broke between two calls
        return [("unscorable", "crash")] * len(tasks)
    return [_result(future, until) for future in futures]


def _result(future: Any, until: float) -> Result:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:  # the task's, or ours: no worker came up to take it
        if future.done():
            return "unscorable", "timeout"
        future.cancel()
        return "unscorable", "crash"
    except (ProcessExpired, BrokenProcessPool, MemoryError, RecursionError, CancelledError):
        return "unscorable", "crash"


def _work(task: Task) -> Result:
    """In the worker: do it, with an alarm that nothing catches behind the parent's own limit."""
    signal.setitimer(signal.ITIMER_REAL, task.timeout + GRACE)
    try:
        return task.function(*task.arguments)
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
        broken = workers in _pools and not _pools[workers].active
        if broken:
            _end(_pools.pop(workers))
        if workers not in _pools:
            context: Any = _Context()
            context.set_forkserver_preload(["math_verify"])
            _pools[workers] = ProcessPool(max_workers=workers, initializer=_prepare, context=context)
        return _pools[workers]


def stop() -> None:
    """End every worker; the next call starts new ones."""
    with _lock:
        while _pools:
            _end(_pools.popitem()[1])


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()


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
    hidden: dict[str, Any] = {
        name: main.__dict__.pop(name) for name in ("__spec__", "__file__") if name in main.__dict__
    }
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
