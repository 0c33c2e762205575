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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from pebble import ProcessExpired, ProcessPool

from rewards.verdict import Result, Task

MEMORY = 4 * 1024**3  # bytes of address space a worker may take
GRACE = 2.0  # seconds after which a worker that nobody killed ends itself, for the parent may be gone
START = 60.0  # seconds a worker may take to start
ATTEMPTS = 3  # a worker may be killed by something other than its task; when three die on it, it is the task's fault

_lock = threading.RLock()
_pools: dict[tuple[int, "Prepare"], ProcessPool] = {}

Prepare = Callable[[], None] | None

def run(tasks: Sequence[Task], workers: int = 1) -> list[Result]:
    """What the tasks' functions returned, in order; `unscorable`, `timeout` or `crash`, where a worker had to go."""
    found: list[Result] = [("unscorable", "crash")] * len(tasks)
    for prepare in {task.prepare for task in tasks}:
        places = [i for i, task in enumerate(tasks) if task.prepare is prepare]
        results = _persistent([tasks[i] for i in places], max(1, workers), prepare)
        for i, result in zip(places, results, strict=True):
            found[i] = result
    return found


def _persistent(tasks: Sequence[Task], workers: int, prepare: Prepare) -> list[Result]:
    """The results of tasks that need the same preparation; what a dying worker held is tried again."""
    found: list[Result] = [("unscorable", "crash")] * len(tasks)
    for _ in range(ATTEMPTS):
        left = [i for i, (_, reason, *_) in enumerate(found) if reason == "crash"]
        for i, result in zip(left, _attempt([tasks[i] for i in left], workers, prepare), strict=True):
            found[i] = result
    return found


def _attempt(tasks: Sequence[Task], workers: int, prepare: Prepare) -> list[Result]:
    """One try at every task. The pool breaks where a worker dies idle: what it held is a `crash`, and tried again."""
    if not tasks:
        return []
    pool = _pool(workers, prepare)
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


def _start(prepare: Prepare) -> None:
    """In the worker, before its first task: limits, silence, and the imports that no time limit should count."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.disable(logging.CRITICAL)
    if prepare is not None:
        prepare()


def _pool(workers: int, prepare: Prepare) -> ProcessPool:
    """The pool of so many workers prepared so, made at its first use."""
    key = workers, prepare
    with _lock:
        broken = key in _pools and not _pools[key].active
        if broken:
            _end(_pools.pop(key))
        if key not in _pools:
            context: Any = _Context()
            context.set_forkserver_preload(["math_verify"])
            _pools[key] = ProcessPool(max_workers=workers, initializer=_start, initargs=[prepare], context=context)
        return _pools[key]


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
