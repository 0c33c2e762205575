"""LiveCodeBench as Evalchemy grades it (its `livecodebench_utils.py`, from SkyThought)."""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from rewards import code
from rewards.verdict import BAD_REFERENCE, NO_ANSWER, Task, Verdict

_FENCE = "```"
_TAG = re.compile(r"[a-zA-Z]*\n")


def livecodebench(response: str, reference: Any, options: Mapping[str, Any]) -> Verdict | Task:
    """The last closed fence; what a program prints must be the expected text as a whole, blanks around it aside.

    A function is called by the word before the program's first "(", where that is a name of the module: a method of a
    class `Solution` is not found, nor a function after a call. Here arguments and results are read as JSON and a tuple
    equals a list; Evalchemy reads arguments line by line by rules of its own.
    """
    program = last_fence(response)
    if program is None:
        return NO_ANSWER
    tests = _tests(reference)
    if tests is None:
        return BAD_REFERENCE
    if tests.get("form") == "call":
        name = called(program)
        if name is None:
            return Verdict("wrong", "no_entry_point", program[:1000])
        tests = {**tests, "entry_point": name}
    timeout = float(options.get("timeout", code.TIMEOUT))
    return code.judge(program, tests, bare=True, timeout=timeout, exact=tests.get("form") == "stdin")


def _tests(reference: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(reference) if isinstance(reference, str) else reference
    except (ValueError, RecursionError):
        return None
    return dict(found) if isinstance(found, Mapping) else None


def last_fence(response: str) -> str | None:
    """What stands in the last pair of fences whose first has no tag or one of letters; None where there is none."""
    found, start = None, response.find(_FENCE)
    while start >= 0:
        tag = _TAG.match(response, start + len(_FENCE))
        end = response.find(_FENCE, tag.end()) if tag else -1
        if tag and end >= 0:
            found = response[tag.end() : end]
        start = response.find(_FENCE, end + len(_FENCE) if tag and end >= 0 else start + 1)
    return None if found is None else found.partition("</code>")[0].replace("<code>", "")


def called(program: str) -> str | None:
    """The word before the first "(" of a program, where the program defines it at its top; else None."""
    words = program.partition("(")[0].split()
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return words[-1] if words and words[-1].isidentifier() else None  # running it says what is wrong
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return words[-1] if words and words[-1] in names else None
