"""Verdicts on programs: they run in a sandbox, and what they print or return is compared here, outside it.

Three forms of tests. `stdin` and `call` are LiveCodeBench's (lcb_runner/evaluation/testing_util.py), `check` is
HumanEval's (human_eval/execution.py), with one difference: the test's asserts run in a second sandbox, which holds no
code of the model, and call the program in the first one through two pipes. So the test cannot be read or patched by
the program; it can use only the values that the program returns (plain built-in data), not its objects, and does
not see what the program does to its arguments.
"""

import json
import math
import re
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rewards import sandbox
from rewards.extraction import Extraction
from rewards.packed import unpacked
from rewards.programs import MAX_LENGTH, extract, stated
from rewards.sandbox.inside import plain
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Result, Task, Verdict

TIMEOUT = 10.0  # seconds for all tests of one response
MEMORY = 1024**3  # bytes of address space
LEAST_MEMORY = 128 * 1024**2  # bytes: the interpreter's own

_SLACK = 2 * sandbox.START + 5.0  # seconds for starting and ending sandboxes, beyond the program's own

Tests = dict[str, Any]


def judge(
    response: str,
    reference: Any,
    *,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    bare: bool = False,
    mechanism: str | None = None,
    exact: bool = False,
    extraction: Extraction = "strict",
) -> Verdict | Task:
    """Run the response's code against the reference's tests.

    `reference` is a mapping or its JSON text, in one of three forms:
    `{"form": "stdin", "inputs": [text, ...], "outputs": [text, ...]}`;
    `{"form": "call", "entry_point": name, "inputs": [[argument, ...], ...], "outputs": [value, ...]}`, where the name
    is a function's or a method's of a class `Solution`; both may have `packed` in place of inputs and outputs, tests as
    LiveCodeBench packs them;
    `{"form": "check", "entry_point": name, "test": source of check(candidate), "prompt": source}`, where the prompt may
    be left out, and stands before a response that is only the function's body.

    The code is the last fenced Python block, else the last fenced block, else with `bare` the whole response; with
    `extraction` aware the last complete program wherever it stands (rewards/programs.py). `timeout`
    is in seconds for all tests together, `memory` in bytes; `mechanism` is one of `sandbox.MECHANISMS` (None: the best
    that works here). With `exact`, what a `stdin` program prints must be the expected text as a whole, blanks around it
    aside; else line by line, numbers as numbers. Raises ValueError for other values of the options.

    A program that fails is wrong, by reason: `mismatch`, `exception`, `syntax`, `no_entry_point`, `not_plain`,
    `timeout`, `output_limit`, `crash`, `too_long`. A sandbox that does not start is unscorable, `sandbox`.
    """
    _refuse(timeout, memory, bare, mechanism)
    tests = _tests(reference)
    if tests is None:
        return BAD_REFERENCE
    aware = extraction == "aware"
    program = stated(response, tests.get("entry_point", ""), bare) if aware else extract(response, bare)
    if program is None or not program.strip():
        return NO_ANSWER
    if len(program) > MAX_LENGTH:
        return Verdict("wrong", "too_long", program[:1000])
    mechanism = mechanism or sandbox.mechanism()  # asked here: every worker uses the one that the manifest names
    tests = {**tests, "exact": exact}
    return Task(grade, (tests, program, timeout, memory, mechanism), timeout + _SLACK, program)


def _refuse(timeout: Any, memory: Any, bare: Any, mechanism: Any) -> None:
    """Raise ValueError for an option that makes no sense."""
    numbers = all(
        isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in (timeout, memory)
    )
    if not numbers or timeout <= 0:
        raise ValueError(f"timeout={timeout!r}, memory={memory!r}: the code verifier needs seconds above 0 and bytes")
    if memory < LEAST_MEMORY:
        raise ValueError(f"memory={memory!r} is less than Python itself needs; give at least {LEAST_MEMORY} bytes")
    if not isinstance(bare, bool):
        raise ValueError(f"bare={bare!r}: the code verifier needs True or False")
    if mechanism is not None and mechanism not in sandbox.MECHANISMS:
        raise ValueError(f"unknown mechanism {mechanism!r}; the sandbox has {', '.join(sandbox.MECHANISMS)}")


# the reference


def _tests(reference: Any) -> Tests | None:
    """The reference as plain JSON, or None where it cannot be used."""
    if isinstance(reference, str):
        try:
            reference = json.loads(reference)
        except (ValueError, RecursionError):
            return None
    if not isinstance(reference, Mapping):
        return None
    if "packed" in reference:
        reference = unpacked(reference) or {}
    read = {"stdin": _stdin_tests, "call": _call_tests, "check": _check_tests}.get(str(reference.get("form")))
    return None if read is None else read(reference)


def _pairs(reference: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Every input with its output; none where they do not match."""
    inputs, outputs = reference.get("inputs"), reference.get("outputs")
    if not isinstance(inputs, list | tuple) or not isinstance(outputs, list | tuple) or len(inputs) != len(outputs):
        return []
    return list(zip(inputs, outputs, strict=True))


def _stdin_tests(reference: Mapping[str, Any]) -> Tests | None:
    pairs = _pairs(reference)
    if not pairs or not all(isinstance(text, str) for pair in pairs for text in pair):
        return None
    return {"form": "stdin", "pairs": pairs}


def _call_tests(reference: Mapping[str, Any]) -> Tests | None:
    name, pairs = reference.get("entry_point"), _pairs(reference)
    if not _named(name) or not pairs or not all(isinstance(given, list | tuple) for given, _ in pairs):
        return None
    try:
        encoded = [(plain.encode(list(given)), plain.encode(expected)) for given, expected in pairs]
    except (TypeError, RecursionError):
        return None
    return {"form": "call", "entry_point": name, "pairs": encoded}


def _check_tests(reference: Mapping[str, Any]) -> Tests | None:
    name, test, prompt = reference.get("entry_point"), reference.get("test"), reference.get("prompt", "")
    if not _named(name) or not isinstance(test, str) or not isinstance(prompt, str):
        return None
    return {"form": "check", "entry_point": name, "test": test, "prompt": prompt} if "check" in test else None


def _named(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


# in the worker


def grade(tests: Tests, program: str, timeout: float, memory: int, mechanism: str) -> Result:
    """(outcome, reason) of a program; call it only where the caller can be killed."""
    run = {"stdin": _stdin, "call": _call, "check": _check}[tests["form"]]
    try:
        return run(tests, program, mechanism, timeout, memory)
    except sandbox.Stopped as stopped:
        return "wrong", stopped.reason
    except sandbox.Unavailable:
        return "unscorable", "sandbox"


def _stdin(tests: Tests, program: str, mechanism: str, timeout: float, memory: int) -> Result:
    with sandbox.opened(mechanism, timeout, memory) as box:
        until = time.monotonic() + timeout
        box.ask({"form": "stdin", "source": program}, until)
        for given, expected in tests["pairs"]:
            answer = box.ask({"input": given}, until)
            if "failed" in answer:
                return "wrong", _reason(answer)
            if not same_text(answer.get("printed"), expected, tests.get("exact", False)):
                return "wrong", "mismatch"
    return "right", "match"


def _reason(answer: Mapping[str, Any]) -> str:
    """Why the program says that it failed; it may say anything."""
    known = ("exception", "syntax", "no_entry_point", "output_limit")
    return next((reason for reason in known if answer.get("failed") == reason), "crash")


def _call(tests: Tests, program: str, mechanism: str, timeout: float, memory: int) -> Result:
    with sandbox.opened(mechanism, timeout, memory) as box:
        until = time.monotonic() + timeout
        task = {"form": "call", "sources": [program], "entry_point": tests["entry_point"], "prelude": True}
        loaded = box.ask(task, until)
        if loaded:
            return "wrong", _reason(loaded)
        for given, expected in tests["pairs"]:
            answer = box.ask({"arguments": given, "keywords": {"dict": []}}, until)
            reason = _compare(answer, expected)
            if reason != "match":
                return "wrong", reason
    return "right", "match"


def _compare(answer: Mapping[str, Any], expected: Any) -> str:
    """How a call's answer compares: `match`, `mismatch`, or why there is no value."""
    if "value" not in answer:
        return "not_plain" if answer.get("raised") == "not_plain" else "exception"
    try:
        return "match" if same_value(plain.decode(answer["value"]), plain.decode(expected)) else "mismatch"
    except plain.MALFORMED:
        return "not_plain"


def _check(tests: Tests, program: str, mechanism: str, timeout: float, memory: int) -> Result:
    """The test asks in one sandbox, the program answers in another; what they say passes through here unread."""
    name, prompt = tests["entry_point"], tests["prompt"]
    whole = re.search(rf"^(?:def[ \t]+{name}\b|class[ \t]+Solution\b|{name}[ \t]*=)", program, re.MULTILINE)
    sources = [prompt, program] if whole else [prompt + program]
    opened = sandbox.opened
    with opened(mechanism, timeout, memory) as asking, opened(mechanism, timeout, memory) as answering:
        until = time.monotonic() + timeout
        task = {"form": "call", "sources": sources, "entry_point": name, "prelude": False}
        loaded = answering.ask(task, until)
        if loaded:
            return "wrong", _reason(loaded)
        said = _ask_test(asking, tests, until)
        while "verdict" not in said:
            said = _ask_test(asking, answering.ask(said, until), until)
    reason = str(said["verdict"])
    if reason == "bad_reference":
        return "unscorable", reason
    return ("right" if reason == "match" else "wrong"), reason


def _ask_test(box: sandbox.Sandbox, message: Mapping[str, Any], until: float) -> Mapping[str, Any]:
    """What the test does next; where its own process dies, it judges nobody."""
    try:
        return box.ask(message, until)
    except sandbox.Stopped as stopped:
        if stopped.reason == "timeout":
            raise
        return {"verdict": "bad_reference"}


# comparing


def same_text(found: Any, expected: str, exact: bool = False) -> bool:
    """As LiveCodeBench: the same number of lines, each equal when stripped, or equal number by number as decimals.

    `exact`: the whole text, stripped.
    """
    if not isinstance(found, str):
        return False
    if exact:
        return found.strip() == expected.strip()
    ours, theirs = _lines(found), _lines(expected)
    return len(ours) == len(theirs) and all(a == b or _same_numbers(a, b) for a, b in zip(ours, theirs, strict=True))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_numbers(found: str, expected: str) -> bool:
    try:
        return [Decimal(word) for word in found.split()] == [Decimal(word) for word in expected.split()]
    except ArithmeticError:  # no number, or one that compares with nothing
        return False


def same_value(found: Any, expected: Any) -> bool:
    """Equal by value, where a tuple is a list, at any depth."""
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same_value, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same_value(found[key], expected[key]) for key in found)
    return bool(found == expected)
