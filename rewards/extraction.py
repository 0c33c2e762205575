"""Where a response states its answer. Every function is linear in the length of the response.

Three ways to look for it, the same names for every kind of answer:
`paper`   as the published evaluation did: the whole response, thought and all; where the paper did so its first line
          only (`first_line`), or what follows the thought (`strip_thought`);
`strict`  what follows the thought, and the asked format only;
`aware`   what follows the thought, and any clear statement of the answer.
In `strict` and `aware` a thought that was never closed is no answer, whatever stands in it.
"""

import re
from typing import Literal, get_args

Extraction = Literal["paper", "strict", "aware"]
MODES: tuple[str, ...] = get_args(Extraction)
THINK, END_THINK = "<think>", "</think>"  # as Qwen3 and DeepSeek-R1 write them

_BOX = "\\boxed"
_TOKEN = re.compile(r"\\boxed[ \t]{0,8}\{|\\.|[{}]", re.DOTALL)
_STATED = re.compile(
    r"\banswer(?:[ \t]{1,8}is(?:[ \t]{0,8}:)?|[ \t]{0,8}[:=])(?![=\w])[ \t*]{0,8}([^\n]+)", re.IGNORECASE
)


def part(
    response: str,
    extraction: Extraction = "strict",
    *,
    thinking: bool = False,
    first_line: bool = False,
    strip_thought: bool = False,
) -> str | None:
    """The part of a response that may hold its answer; None where its thought was cut off before it ended.

    `thinking`: the prompt had opened the thought already, so that a response without an end of thought is all thought.
    `first_line` and `strip_thought` describe the published extractor and matter to `paper` alone.
    """
    if extraction not in MODES:
        raise ValueError(f"unknown extraction {extraction!r}; use {', '.join(MODES)}")
    if extraction == "paper":
        text = response.rpartition(END_THINK)[2] if strip_thought else response
        return text.strip().partition("\n")[0] if first_line else text
    thought, ended, answer = response.rpartition(END_THINK)
    if THINK in answer or (thinking and not ended):
        return None
    return answer


def last_boxed(response: str) -> str | None:
    r"""The content of the last `\boxed{...}` whose braces balance, or None."""
    start = response.rfind(_BOX)
    if start < 0:
        return None
    found = _first_closed(response, start)
    return found if found is not None else _last_closed(response)


def _first_closed(response: str, start: int) -> str | None:
    """The box that opens at `start`, where it is closed."""
    opening = _TOKEN.match(response, start)
    if opening is None or not opening.group().endswith("{"):
        return None
    depth = 1
    for token in _TOKEN.finditer(response, opening.end()):
        depth += _step(token.group())
        if depth == 0:
            return response[opening.end() : token.start()]
    return None


def _last_closed(response: str) -> str | None:
    """The closed box that opens last, found in one pass with a stack of open braces."""
    stack: list[int | None] = []
    best: tuple[int, int] | None = None
    for token in _TOKEN.finditer(response):
        text = token.group()
        if _step(text) > 0:
            stack.append(token.end() if text.startswith(_BOX) else None)
        elif _step(text) < 0 and stack:
            opened = stack.pop()
            if opened is not None and (best is None or opened > best[0]):
                best = (opened, token.start())
    return None if best is None else response[best[0] : best[1]]


def _step(token: str) -> int:
    """How a token changes the depth of braces; escaped braces do not."""
    if token == "}":
        return -1
    return 1 if token == "{" or token.startswith(_BOX) else 0


def last_stated(response: str) -> str | None:
    """What follows the last "answer: X", "the answer is X" or "final answer = X" on its line, or None."""
    stated = _STATED.findall(response)
    if not stated:
        return None
    return stated[-1].strip().strip("*").strip().rstrip(".").strip() or None
