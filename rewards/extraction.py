"""Where a response states its answer. Every function is linear in the length of the response."""

import re

_BOX = "\\boxed"
_TOKEN = re.compile(r"\\boxed[ \t]{0,8}\{|\\.|[{}]", re.DOTALL)
_STATED = re.compile(
    r"\banswer(?:[ \t]{1,8}is(?:[ \t]{0,8}:)?|[ \t]{0,8}[:=])(?![=\w])[ \t*]{0,8}([^\n]+)", re.IGNORECASE
)


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
