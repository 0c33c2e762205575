"""A place to run model-written Python, and what it answers there.

The idea: nothing inside is believed. A program gets inputs and gives back plain data (what it printed, what it returned
as JSON); the right answers never enter the process that runs it, and are compared in the process that asks. So there
is no verdict inside to forge: a patched `assert`, `json` or `sys.exit`, an `__eq__` that always agrees, or an early end
only spoil the program's own answers.

Each sandbox is one process, with its children, that ends with the process that opened it. In every mechanism it has
limits on CPU, memory, file size, open files and core dumps, an empty working folder, an environment of three
harmless variables, no descriptor but two pipes, no capability, and (Linux on x86_64 and aarch64) a filter that
refuses new processes, sockets, signals to others, tracing, namespaces and the like. On top of that:

- `bubblewrap`: user, process, network, mount, IPC and host-name namespaces made by `bwrap`; only the interpreter
  and its libraries are visible, read-only; the working folder is in memory, 64 MiB at most.
- `namespaces`: the same, made by ourselves, for machines without `bwrap` that let users make namespaces (Linux 5.12).
- `limits`: no namespaces. Where the kernel has Landlock (5.13), it still hides every file but the interpreter's and
  keeps the program out of other processes. What this cannot prevent: that the program learns which paths exist, and
  that it fills the disk of the temporary folder until its time is up. Without Landlock it can also read what the
  user can read (files, and in /proc the environment of the user's processes) and write where the user can write.
  Without the filter (other systems and machines) it can also use the network and signal the user's processes;
  there it may start neither processes nor threads, unless the user is root. Where the process that opened the
  sandbox is killed, the working folder stays in the temporary folder.

What no mechanism prevents: holes of the kernel, up to `timeout` seconds of one core and `memory` bytes being used up,
and, where the user is root, as many threads as fit into `memory`.
"""

import ctypes
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rewards.sandbox.inside.confine import DEVICES, SPACE, WORK

MECHANISMS = ("bubblewrap", "namespaces", "limits")  # best first
START = 10.0  # seconds a sandbox may take to start
LINE = 16 * 1024**2  # bytes of one answer
PROBE = (10.0, 512 * 1024**2)  # seconds and bytes for the program that tries a mechanism

_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}  # sets of text in one order: one verdict
_CODE = Path(__file__).parent
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER; one more gets it

Message = dict[str, Any]


class Stopped(Exception):
    """The program gave no answer. `reason`: `timeout`, `output_limit`, or `crash` (it ended, or wrote no answer)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(Exception):
    """The sandbox could not start."""


class Sandbox:
    """A running sandbox, to be asked."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._questions, self._answers = process.stdin.fileno(), process.stdout.fileno()
        self._buffer = bytearray()
        for pipe in (self._questions, self._answers):
            os.set_blocking(pipe, False)

    def ask(self, question: Mapping[str, Any], until: float) -> Message:
        """The answer to a question, before `until` on the monotonic clock. Raises Stopped."""
        data = memoryview(json.dumps(question).encode() + b"\n")
        while data:
            _wait(self._questions, select.POLLOUT, until)
            try:
                data = data[os.write(self._questions, data) :]
            except BrokenPipeError:
                raise Stopped("crash") from None
        return self._answer(until)

    def _answer(self, until: float) -> Message:
        while b"\n" not in self._buffer[-(1 << 16) :]:
            if len(self._buffer) > LINE:
                raise Stopped("output_limit")
            _wait(self._answers, select.POLLIN, until)
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise Stopped("crash")
            self._buffer += part
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise Stopped("crash") from None
        if not isinstance(answer, dict):
            raise Stopped("crash")
        return answer


def _wait(pipe: int, event: int, until: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise Stopped("timeout")


@contextmanager
def opened(mechanism: str, timeout: float, memory: int) -> Iterator[Sandbox]:
    """A sandbox by that mechanism for `timeout` seconds of CPU and `memory` bytes; all of it is gone afterwards.

    Raises Unavailable where it does not start.
    """
    with _folder(mechanism) as folder, _reaping():
        process = _start(mechanism, folder)
        try:
            box = Sandbox(process)
            settings = {"mechanism": mechanism, "visible": visible(), "timeout": timeout, "memory": memory}
            try:
                box.ask(settings, time.monotonic() + START)
            except Stopped as stopped:
                raise Unavailable(f"the sandbox did not start by {mechanism}: {stopped.reason}") from stopped
            yield box
        finally:
            _end(process)


def _start(mechanism: str, folder: str) -> subprocess.Popen[bytes]:
    code = "/code" if mechanism == "bubblewrap" else str(_CODE)
    start = f"import sys; sys.path.append({code!r}); from inside.driver import main; sys.path.pop(); main()"
    command = [_interpreter(), "-s", "-S", "-P", "-c", start]
    if mechanism == "bubblewrap":
        command = [*_bubblewrap(), *command]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        return subprocess.Popen(
            command,
            bufsize=0,
            stdin=pipe,
            stdout=pipe,
            stderr=nothing,
            cwd=folder,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"the sandbox did not start by {mechanism}: {error}") from error


def _bubblewrap() -> list[str]:
    binds = [part for path in visible() for part in ("--ro-bind", path, path)]
    devices = [part for path in DEVICES for part in ("--dev-bind", path, path)]
    walls = ["--unshare-user", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    folder = ["--size", str(SPACE), "--tmpfs", WORK, "--chdir", WORK]
    inside = ["--ro-bind", str(_CODE / "inside"), "/code/inside"]
    return [shutil.which("bwrap") or "bwrap", *walls, *binds, *devices, *inside, *folder, "--remount-ro", "/", "--"]


def _interpreter() -> str:
    """The interpreter itself, outside any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@functools.cache
def visible() -> tuple[str, ...]:
    """The paths a program may read: the interpreter, its library, and the libraries it loads."""
    prefix = os.path.realpath(sys.base_prefix)
    own = [f"{prefix}/lib", f"{prefix}/lib64", os.path.dirname(os.path.realpath(os.__file__))]
    system = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"]
    found = sorted({path for path in [_interpreter(), *own, *system] if os.path.exists(path)})
    return tuple(path for path in found if not any(path.startswith(f"{above}/") for above in found))


@contextmanager
def _folder(mechanism: str) -> Iterator[str]:
    """Where the process starts. With namespaces its working folder is in memory, and nothing is made outside."""
    if mechanism != "limits":
        yield "/"
        return
    folder = tempfile.mkdtemp(prefix="paribus-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reaping() -> Iterator[None]:
    """Meanwhile, orphans below this process become its children, so that it can see every one of them end."""
    if sys.platform != "linux":
        yield
        return
    libc, before = ctypes.CDLL(None), ctypes.c_int()
    libc.prctl(_SUBREAPER + 1, ctypes.byref(before), 0, 0, 0)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SUBREAPER, before.value, 0, 0, 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group whole, and wait until none of it is left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@functools.cache
def mechanism() -> str:
    """The best of MECHANISMS that works here, found by running a program in each. For a run's manifest."""
    return next((name for name in MECHANISMS[:-1] if works(name)), MECHANISMS[-1])


@functools.cache
def works(name: str) -> bool:
    """Whether a program that reads, imports and prints runs to its end by that mechanism."""
    try:
        with opened(name, *PROBE) as box:
            until = time.monotonic() + PROBE[0]
            box.ask({"form": "stdin", "source": "import decimal, ctypes; print(decimal.Decimal(input()))"}, until)
            return box.ask({"input": "42\n"}, until).get("printed") == "42\n"
    except (Unavailable, Stopped):
        return False
