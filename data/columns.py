"""From the cells of a source's row to ours: which column is what, and where in its cell the answer stands."""

import difflib
import json
import math
import re
import unicodedata
from typing import Any

from conf.errors import UserError
from conf.schema import Data
from rewards.extraction import last_boxed

Row = dict[str, Any]  # id, kind, prompt, reference: str ("" where the source has none); solution: str or None

ANSWERLESS = ("proof", "notfound")  # what NuminaMath-1.5 writes in its column `answer` where there is none
_CALCULATOR = re.compile(r"<<[^<>]*>>")  # GSM8K's annotations for a calculator (arXiv:2110.14168)
_HASHES = "####"
_USER, _ASSISTANT = ("user", "human"), ("assistant", "gpt")


def wanted(data: Data) -> list[str]:
    """The columns that are read, where the source has them."""
    return [data.messages, data.answer] if data.messages else [data.problem, data.answer, data.solution]


def check(data: Data, columns: list[str]) -> None:
    """UserError where a column is missing that every row needs; the solution only SFT needs, and it may have another.

    `columns`: those of the source.
    """
    for key in ("messages", "answer") if data.messages else ("problem", "answer"):
        name = getattr(data, key)
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1, cutoff=0.4)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise UserError(
                f"data.{key}={name}",
                f"{data.source} has the columns {', '.join(columns)}{hint}",
                f"set data.{key} to the right column",
            )


def row(data: Data, index: int, cells: dict[str, Any]) -> Row:
    """The source's row number `index` as ours. Texts are normalised: NFC, newlines alone, no white space around."""
    if data.messages:
        problem, solution = _turns(cells.get(data.messages))
    else:
        problem, solution = text(cells.get(data.problem)), text(cells.get(data.solution))
    in_chat = bool(data.messages) and data.answer == data.messages
    stated = solution if in_chat else _reference(data.kind, cells.get(data.answer))
    return {
        "id": f"row-{index}",
        "kind": data.kind,
        "prompt": problem,
        "reference": _answer(data.answer_form, stated),
        "solution": _boxed_for_hashes(solution) if data.answer_form == "hashes" else solution or None,
    }


def text(value: Any) -> str:
    """The text of a cell; nothing for an empty cell and for what is no single value."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) else repr(value)


def _reference(kind: str, cell: Any) -> str:
    """The reference's cell as text; instructions and programs have structured ones, which become JSON."""
    structured = kind in ("instruction", "code") and isinstance(cell, dict | list)
    return json.dumps(cell, ensure_ascii=False, sort_keys=True) if structured else text(cell)


def _answer(form: str, stated: str) -> str:
    if form == "hashes":
        return stated.rpartition(_HASHES)[2].strip() if _HASHES in stated else ""
    if form == "boxed":
        return (last_boxed(stated) or "").strip()
    return "" if stated.lower() in ANSWERLESS else stated


def _boxed_for_hashes(solution: str) -> str | None:
    r"""A solution that ends in `#### 18` as one that ends in `\boxed{18}`, so that every arm answers in one form."""
    steps, hashes, answer = solution.rpartition(_HASHES)
    if not hashes:
        return solution or None
    return f"{_CALCULATOR.sub('', steps).strip()}\n\\boxed{{{answer.strip()}}}".strip()


def _turns(chat: Any) -> tuple[str, str]:
    """(the first user turn, the last assistant turn) of a chat; keys `role` and `content`, or `from` and `value`."""
    turns = [turn for turn in chat if isinstance(turn, dict)] if isinstance(chat, list) else []
    said = [(turn.get("role") or turn.get("from"), text(turn.get("content") or turn.get("value"))) for turn in turns]
    problems = [words for role, words in said if role in _USER]
    answers = [words for role, words in said if role in _ASSISTANT]
    return (problems[0] if problems else ""), (answers[-1] if answers else "")
