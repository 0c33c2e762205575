"""Where a response has its program. Every function is linear in the length of the response."""

import ast
import re
import warnings
from collections.abc import Iterator

MAX_LENGTH = 200_000  # characters of a program; a longer one is no answer

_FENCE = re.compile(r"([ \t]*+)(`{3,}+|~{3,}+)[ \t]*+([^\s`]*+)[^`]*+")
_PYTHON = {"python", "python3", "py"}
_TRIMS = 3  # lines of prose under a bare program that are taken off before it is given up
_BEGIN = re.compile(  # of a line of a program that stands in no fence
    r"[ \t]+\S|[#@)\]}]|'''|\"\"\"|(?:async[ \t]+)?(?:def|class)[ \t]+\w|import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b"
    r"|(?:if|for|while|with|try|elif|else|except|finally)\b[^:]*:|(?:pass|raise|assert)\b"
)
_CALL = re.compile(r"[A-Za-z_][\w.]*\(")
_ASSIGNMENT = re.compile(r"[A-Za-z_][\w.\[\], \"'*]*?[-+*/%&|^<>]{0,3}=(?!=)")

Block = tuple[str, str, bool]  # tag in lower case, content, whether it was closed


def extract(response: str, bare: bool = False) -> str | None:
    """The code: the response's last fenced Python block, else its last block, with `bare` else all of it, or None."""
    blocks = list(_blocks(response))
    closed = [(tag, text) for tag, text, end in blocks if end]
    found = [text for tag, text in closed if tag in _PYTHON] or [text for _, text in closed]
    if found:
        return found[-1]
    if not bare:
        return None
    return blocks[-1][1] if blocks else response  # a completion that was stopped before its closing fence


def stated(response: str, name: str = "", bare: bool = False) -> str | None:
    """The last complete program wherever it stands: in a fence for Python, else in any, closed or not, else bare among
    the prose; where none is complete what `extract` finds. `name`: what the program has to define; without it, it has
    to call something. A truncated program is not complete."""
    outside: list[str] = []
    blocks = list(_blocks(response, outside))
    python, other = ([text for tag, text, _ in blocks if (tag in _PYTHON) is wanted] for wanted in (True, False))
    for texts, trims in ((python, 0), (other, 0), (list(_bare(outside)), _TRIMS)):
        for text in reversed(texts):
            whole = _whole(text, name, trims)
            if whole is not None:
                return whole
    return extract(response, bare)


def _blocks(response: str, outside: list[str] | None = None) -> Iterator[Block]:
    """Every fenced block, as CommonMark has them; the lines that stand in none are added to `outside`."""
    opening: re.Match[str] | None = None
    lines: list[str] = []
    for line in response.splitlines(keepends=True):
        fence = _FENCE.fullmatch(line.rstrip())
        if opening is None:
            opening, lines = fence, []
            if outside is not None:
                outside.append("" if fence else line)
        elif fence and not fence[3] and fence[2].startswith(opening[2]):
            yield opening[3].lower(), "".join(lines), True
            opening = None
        else:
            indent = len(line) - len(line.lstrip(" \t"))
            lines.append(line[min(indent, len(opening[1])) :])
    if opening is not None:
        yield opening[3].lower(), "".join(lines), False


def _bare(lines: list[str]) -> Iterator[str]:
    """Runs of lines that look like Python, blank ones among them; each begins at the margin."""
    run: list[str] = []
    for line in lines:
        told = line.rstrip()
        if _looks_like_code(told) and (run or told == told.lstrip()):
            run.append(line)
        elif run and not told:
            run.append("\n")
        elif run:
            yield "".join(run)
            run = []
    if run:
        yield "".join(run)


def _looks_like_code(line: str) -> bool:
    called = _CALL.match(line) and line[-1] in ")]},([{:\\"
    return bool(called or _BEGIN.match(line) or _ASSIGNMENT.match(line))


def _whole(text: str, name: str, trims: int) -> str | None:
    """The text where it is a whole program, without up to `trims` lines of prose at its end; else None."""
    if not text.strip() or len(text) > MAX_LENGTH:
        return None
    try:
        return text if _defines(_parsed(text), name) else None
    except SyntaxError as error:
        lines = text.splitlines(keepends=True)
        place = (error.lineno or 1) - 1
        prose = trims and 0 < place < len(lines) and not lines[place][:1].isspace()
        return _whole("".join(lines[:place]), name, trims - 1) if prose else None
    except (ValueError, RecursionError, MemoryError):
        return None


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it would say to whoever runs it
        return ast.parse(text)


def _defines(tree: ast.Module, name: str) -> bool:
    """Whether the program has what is asked for, be it a method of a class `Solution`; without a name, any call."""
    if not name:
        return any(isinstance(node, ast.Call) for node in ast.walk(tree))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in (name, "Solution"):
            return True
        if isinstance(node, ast.Assign) and name in [one.id for one in node.targets if isinstance(one, ast.Name)]:
            return True
    return False
