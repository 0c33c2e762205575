"""Processes that do what may take long, each task under a hard time limit: at the limit the process is killed.

Every worker is a pebble pool of one process, so that a worker that dies, whoever killed it, takes along nothing but
the task in its hands; that task is done again by another. Tasks that look endless are done beside the others, by more
workers, which give way to the others on a busy machine: a few of them together cost one time limit, not several.

Workers start from a fork server, which holds no torch, no threads and no GPU of this process. They never import the
program's main module, so that a script without a `__main__` guard may call `rewards.verify`.
"""

import atexit
import logging
import multiprocessing.context
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pebble import ProcessExpired, ProcessPool

from rewards.mathematics import prepare_aside
from rewards.verdict import Result, Task

_GIB = 1024**3
_PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MEMORY = max(_GIB, min(4 * _GIB, _PHYSICAL // 4))  # bytes of address space a worker may take
GRACE = 2.0  # seconds after which a worker that nobody killed ends itself, for the parent may be gone
START = 60.0  # seconds a worker may take to start
ATTEMPTS = 20  # workers that may be killed from outside on one task, before it is taken for the task's fault
STARTS = 20  # workers in a row that may end before they begin
OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, 255)  # ends that no task brings about; 255: multiprocessing does not know
ASIDE = 6  # workers of one call for what looks endless, beside the ordinary ones
ROOM = max(16, 2 * (os.cpu_count() or 1))  # workers at work at any time, whatever the calls ask for
TICK = 0.2  # seconds between two looks at workers that do not answer

CRASH: Result = ("unscorable", "crash")
TIMED_OUT: Result = ("unscorable", "timeout")

Prepare = Callable[[], None] | None


@dataclass
class _Worker:
    pool: ProcessPool  # of one process
    prepare: Prepare


@dataclass
class _Job:
    place: int  # of the task in its batch
    worker: _Worker
    until: float  # monotonic seconds at which an answer, or the news of a death, must have come


_lock = threading.RLock()
_room = threading.BoundedSemaphore(ROOM)
_idle: list[_Worker] = []


def run(tasks: Sequence[Task], workers: int = 1) -> list[Result]:
    """What every task's function returned, in order; `unscorable` with `timeout` or `crash` where a worker had to go.

    `workers`: processes at once, those for what looks endless not counted. Raises RuntimeError where none can start.
    """
    found: dict[int, Result] = {}
    kills: Counter[int] = Counter()
    misses = 0
    left = _queues(tasks)
    busy: dict[Future[Result], _Job] = {}
    try:
        while len(found) < len(tasks):
            _start(tasks, left, busy, max(1, workers))
            for future in _finished(busy):
                job = busy.pop(future)
                result = _result(future)
                _release(job.worker, alive=isinstance(result, tuple) and result != CRASH)
                misses = _missed(misses) if result == "not begun" else 0
                kills[job.place] += result == "killed"
                if isinstance(result, tuple):
                    found[job.place] = result
                elif kills[job.place] < ATTEMPTS:
                    left[_aside(tasks[job.place])].appendleft(job.place)
                else:
                    found[job.place] = CRASH
    finally:
        for job in busy.values():
            _release(job.worker, alive=False)
    return [found[place] for place in range(len(tasks))]


def _missed(misses: int) -> int:
    """Count one more worker that ended before it began. Raises RuntimeError after too many in a row."""
    if misses + 1 < STARTS:
        return misses + 1
    raise RuntimeError(
        f"{STARTS} verifier processes in a row ended before they began, so nothing can be judged; "
        "what they wrote to the standard error stream says why (memory? a package that is missing?)"
    )


def _aside(task: Task) -> bool:
    return task.prepare is prepare_aside


def _queues(tasks: Sequence[Task]) -> dict[bool, deque[int]]:
    """The places of the tasks to be done aside, which start first, and of the others, each in order."""
    queues: dict[bool, deque[int]] = {True: deque(), False: deque()}
    for place, task in enumerate(tasks):
        queues[_aside(task)].append(place)
    return queues


def _start(tasks: Sequence[Task], left: dict[bool, deque[int]], busy: dict[Future[Result], _Job], workers: int) -> None:
    """Give out tasks until all workers of this call are busy, or other calls have taken all the room there is."""
    for aside, queue in left.items():
        free = (ASIDE if aside else workers) - sum(_aside(tasks[job.place]) == aside for job in busy.values())
        for _ in range(min(free, len(queue))):
            task = tasks[queue[0]]
            worker = _borrow(task.prepare, patient=not busy)
            if worker is None:
                return
            until = time.monotonic() + START + task.timeout + GRACE
            busy[_given(worker, task)] = _Job(queue.popleft(), worker, until)


def _given(worker: _Worker, task: Task) -> Future[Result]:
    """What will come of the task."""
    try:
        return worker.pool.schedule(_work, args=(task,), timeout=task.timeout)
    except RuntimeError as broken:  # its process could not start, or died while it was idle
        future: Future[Result] = Future()
        future.set_exception(BrokenProcessPool(str(broken)))
        return future


def _finished(busy: dict[Future[Result], _Job]) -> list[Future[Result]]:
    """The futures that are done, or whose worker is gone without a word."""
    done, waiting = wait(busy, timeout=TICK, return_when=FIRST_COMPLETED)
    now = time.monotonic()
    return [*done, *(f for f in waiting if now > busy[f].until or not busy[f].worker.pool.active)]


def _result(future: Future[Result]) -> Result | Literal["killed", "not begun"]:
    """What the task came to, CRASH where its worker died of it; or why nobody knows."""
    try:
        return future.result(timeout=0)
    except TimeoutError:
        return TIMED_OUT if future.done() else "not begun"
    except ProcessExpired as death:
        if death.exitcode == -signal.SIGALRM:
            return TIMED_OUT
        return "killed" if death.exitcode in OUTSIDE else CRASH
    except (BrokenProcessPool, CancelledError):
        return "not begun"


def _work(task: Task) -> Result:
    """In the worker: do it, with an alarm that nothing catches behind the parent's own limit."""
    signal.setitimer(signal.ITIMER_REAL, task.timeout + GRACE)
    try:
        return task.function(*task.arguments)
    except MemoryError:
        return "unscorable", "memory"
    except Exception:  # the verifier's boundary: a failure is an outcome, to be counted
        return "unscorable", "error"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _prepare(prepare: Prepare, source: str) -> None:
    """In the worker, before its first task: limits, silence, and the imports that no time limit should count."""
    import resource

    if not os.path.samefile(source, __file__):
        raise ImportError(f"this process found {__file__}, its parent {source}: put the parent's folder on PYTHONPATH")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's handler would wait for sympy to come back
    logging.disable(logging.WARNING)
    if prepare is not None:
        prepare()


def _borrow(prepare: Prepare, patient: bool) -> _Worker | None:
    """A worker so prepared, idle or new; where there is no room left, None or, with `patient`, what comes free."""
    if not _room.acquire(blocking=patient):
        return None
    with _lock:
        for worker in [worker for worker in _idle if worker.prepare is prepare]:
            _idle.remove(worker)
            if worker.pool.active:
                return worker
            _end(worker)
        return _Worker(_new(prepare), prepare)


def _new(prepare: Prepare) -> ProcessPool:
    context: Any = _Context()
    context.set_forkserver_preload(["rewards.algebra", __name__])
    return ProcessPool(max_workers=1, initializer=_prepare, initargs=[prepare, __file__], context=context)


def _release(worker: _Worker, alive: bool) -> None:
    with _lock:
        if alive:
            _idle.append(worker)
        else:
            _end(worker)
    _room.release()


def _end(worker: _Worker) -> None:
    """Stop a worker without waiting for it: what is written to a dead one may never be read."""
    worker.pool.stop()
    threading.Thread(target=worker.pool.join, daemon=True).start()


def stop() -> None:
    """End every idle worker; the next call starts new ones."""
    with _lock:
        ended = [_idle.pop() for _ in range(len(_idle))]
    for worker in ended:
        worker.pool.stop()
    for worker in ended:
        worker.pool.join()


def _forget() -> None:
    """After a fork: the pools' threads and the fork server stayed with the parent, so the child must make its own."""
    global _lock, _room
    _lock, _room = threading.RLock(), threading.BoundedSemaphore(ROOM)
    _idle.clear()
    server: Any = multiprocessing.forkserver._forkserver  # type: ignore[attr-defined]
    server._lock, server._forkserver_pid = threading.Lock(), None  # else it waits for a process that is not its child


atexit.register(stop)
os.register_at_fork(after_in_child=_forget)


@contextmanager
def _importing_ours() -> Iterator[None]:
    """While a process starts: the fork server, which starts with the first, finds the modules this process has."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


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
        self.daemon = True  # at its end, a process that was itself started by multiprocessing waits for no worker
        with _lock, _importing_ours(), _without_main():
            super().start()


class _Context(multiprocessing.context.ForkServerContext):
    Process = _Process  # type: ignore[assignment]
