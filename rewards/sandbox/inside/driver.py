"""The sandbox's side of the conversation: one JSON object a line, a question on one pipe, its answer on another.

Nothing here is trusted once foreign code has run. An answer is only what the program claims to have printed or
returned, and the process that asks knows the right one, which never comes in here.
"""

import builtins
import contextlib
import json
import os
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

from . import confine, plain

OUTPUT = 8 * 1024**2  # bytes that a program may print

# what LiveCodeBench puts before every program (lcb_runner/evaluation/testing_util.py)
_STARRED = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json"
)
_PRELUDE = "\n".join(
    [
        *(f"from {name} import *" for name in [*_STARRED.split(), "builtins", "typing"]),
        *(f"import {name}" for name in _STARRED.split()),
        "sys.setrecursionlimit(50000)",
    ]
)

UNREADABLE = (SyntaxError, ValueError, MemoryError, RecursionError)  # what compiling foreign source may raise
SYNTAX = 3  # exit status of a child whose program could not be compiled

Message = dict[str, Any]


class Pipes:
    """The two pipes to whoever asks; the standard streams become silence."""

    def __init__(self) -> None:
        self._reader, self._writer = os.fdopen(os.dup(0), "rb"), os.dup(1)
        silence = os.open("/dev/null", os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        os.close(silence)

    def receive(self) -> Message:
        """The next question; ends this process where there is none, for then nobody is left to ask."""
        line = self._reader.readline()
        if not line:
            os._exit(0)
        return json.loads(line)

    def send(self, message: Message) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(self._writer, data) :]

    def close(self) -> None:
        self._reader.close()
        os.close(self._writer)


def main() -> None:
    """Shut this process in, say so, and do what the first question wants."""
    pipes = Pipes()
    settings = pipes.receive()
    confine.enter(settings["mechanism"], settings["visible"])
    sys.argv = ["program.py"]
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # a bare interpreter has neither
    pipes.send({"ready": True})
    task = pipes.receive()
    {"stdin": _stdin, "call": _call, "check": _check}[task["form"]](pipes, task, settings)


def _seal(settings: Message) -> None:
    confine.seal(settings["timeout"], settings["memory"])


def _module(name: str, prelude: bool) -> types.ModuleType:
    """An empty module under that name, for a program to run in."""
    module = sys.modules[name] = types.ModuleType(name)
    if prelude:
        exec(_PRELUDE, module.__dict__)
    return module


# a program that reads and prints


def _stdin(pipes: Pipes, task: Message, settings: Message) -> None:
    """Run the program anew, in a child, on every input that comes."""
    module = _module("__main__", prelude=True)
    pipes.send({})
    while True:
        pipes.send(_run(pipes, task["source"], module, pipes.receive()["input"], settings))


def _run(pipes: Pipes, source: str, module: types.ModuleType, given: str, settings: Message) -> Message:
    """What the program printed on `given`, and how it ended."""
    reading, writing = os.pipe()
    stdin = _holding(given)
    child = os.fork()
    if child == 0:
        pipes.close()
        for number, stream in ((stdin, 0), (writing, 1)):
            os.dup2(number, stream)
        for number in (stdin, reading, writing):
            os.close(number)
        _be(source, module, settings)
    os.close(writing)
    os.close(stdin)
    printed = _read(reading)
    if len(printed) > OUTPUT:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if len(printed) > OUTPUT:
        return {"failed": "output_limit"}
    if code != 0:
        return {"failed": {SYNTAX: "syntax"}.get(code, "exception") if code > 0 else "crash"}
    return {"printed": printed.decode(errors="replace")}


def _holding(text: str) -> int:
    """A file without a name that holds `text`."""
    with open("input", "w+b") as file:
        os.unlink("input")
        file.write(text.encode(errors="replace"))
        file.seek(0)
        return os.dup(file.fileno())


def _read(pipe: int) -> bytes:
    """What comes until the end, or the first bytes above OUTPUT."""
    parts, size = [], 0
    while size <= OUTPUT and (part := os.read(pipe, 1 << 16)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _be(source: str, module: types.ModuleType, settings: Message) -> None:
    """In the child: become the program. It ends as any interpreter does: threads joined, streams flushed."""
    confine.tie()
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.excepthook = lambda *_: None  # nobody reads it, and a deep traceback takes long to print
    _seal(settings)
    try:
        code = compile(source, "program.py", "exec")
    except UNREADABLE:
        os._exit(SYNTAX)
    with contextlib.suppress(SystemExit):  # with whatever code, as LiveCodeBench has it: what it printed counts
        exec(code, module.__dict__)
    raise SystemExit(0)


# functions that are called


def _call(pipes: Pipes, task: Message, settings: Message) -> None:
    """Load the program, then answer every call with the value it returned or the name of what it raised."""
    module = _module("solution", task["prelude"])
    _seal(settings)
    try:
        codes = [compile(_stub(part), "program.py", "exec") for part in task["sources"]]
    except UNREADABLE:
        return pipes.send({"failed": "syntax"})
    try:
        for code in codes:
            exec(code, module.__dict__)
        target = _target(module, task["entry_point"])
    except BaseException:  # the verifier's boundary: whatever the program raises is its own failure
        return pipes.send({"failed": "exception"})
    pipes.send({} if target is not None else {"failed": "no_entry_point"})
    while True:
        pipes.send(_answer(target, pipes.receive()))


def _stub(source: str) -> str:
    """The source; with a body for its last function where a prompt leaves it without one."""
    try:
        compile(source, "program.py", "exec")
    except IndentationError:
        return source + "\n    pass\n"
    return source


def _target(module: types.ModuleType, name: str) -> Any:
    """The function of that name, or a `Solution`'s method; None where there is neither."""
    solution: Any = getattr(module, "Solution", None)
    return getattr(solution() if hasattr(solution, name) else module, name, None)


def _answer(target: Any, message: Message) -> Message:
    try:
        found = target(*plain.decode(message["arguments"]), **plain.decode(message["keywords"]))
    except BaseException as error:  # the verifier's boundary: whatever the program raises is its answer
        return {"raised": type(error).__name__}
    try:
        return {"value": plain.encode(found)}
    except (TypeError, RecursionError):
        return {"raised": "not_plain"}


# a test that calls


class _Unsupported(Exception):
    """The test calls the candidate with what is no plain data."""


def _check(pipes: Pipes, task: Message, settings: Message) -> None:
    """Run the test here, where no foreign code is; its `candidate` is a function that asks for every call."""
    module = _module("test", prelude=False)
    _seal(settings)
    candidate = _remote(pipes)
    try:
        for part in (_stub(task["prompt"]), task["test"]):
            exec(compile(part, "test.py", "exec"), module.__dict__)
        check = module.__dict__["check"]
        setattr(module, task["entry_point"], candidate)
    except Exception:  # the verifier's boundary: a test that cannot be loaded judges nobody
        return pipes.send({"verdict": "bad_reference"})
    pipes.send({"verdict": _outcome(check, candidate)})


def _outcome(check: Callable[[Any], Any], candidate: Callable[..., Any]) -> str:
    try:
        check(candidate)
    except AssertionError:
        return "mismatch"
    except (NameError, _Unsupported) as error:
        return "bad_reference" if not getattr(error, "foreign", False) else "exception"
    except Exception:  # the verifier's boundary: the candidate raised, or gave what the test cannot use
        return "exception"
    return "match"


def _remote(pipes: Pipes) -> Callable[..., Any]:
    def candidate(*arguments: Any, **keywords: Any) -> Any:
        try:
            question = {"arguments": plain.encode(arguments), "keywords": plain.encode(keywords)}
        except TypeError as error:
            raise _Unsupported from error
        pipes.send(question)
        reply = pipes.receive()
        if "value" in reply:
            return plain.decode(reply["value"])
        raise _foreign(reply.get("raised"))

    return candidate


def _foreign(name: Any) -> Exception:
    """The built-in exception of that name; RuntimeError for any other."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    try:
        error = kind() if isinstance(kind, type) and issubclass(kind, Exception) else RuntimeError()
    except TypeError:  # UnicodeDecodeError and its like want arguments
        error = RuntimeError()
    error.foreign = True  # type: ignore[attr-defined]
    return error
