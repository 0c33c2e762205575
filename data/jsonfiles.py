"""The rows of a JSON file, one at a time: JSON Lines, or one array of objects however large."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_CHUNK = 2**20  # characters
_BETWEEN = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every object of `path`. ValueError where the file is not JSON, or holds something else than objects."""
    with path.open(encoding="utf-8-sig") as file:
        found = _array(file) if _first(file) == "[" else _lines(file)
        for number, cells in enumerate(found):
            if not isinstance(cells, dict):
                raise ValueError(f"row {number} is no object with named columns")
            yield cells


def _first(file: IO[str]) -> str:
    """The first character that is no white space; the file is at its start again."""
    while (character := file.read(1)).isspace():
        pass
    file.seek(0)
    return character


def _lines(file: IO[str]) -> Iterator[Any]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _parsed(line, number)


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error


def _array(file: IO[str]) -> Iterator[Any]:
    """The elements of the array that the file is, without ever holding all of it."""
    decode = json.JSONDecoder().raw_decode
    text = file.read(_CHUNK)
    start = text.index("[") + 1
    while True:
        start = _BETWEEN.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty string
        more = ""
        if start < len(text):
            if text[start] == "]":
                return _check_end(text[start + 1 :] + file.read(_CHUNK))
            try:
                value, end = decode(text, start)
                if end < len(text):  # else a number may go on in the next chunk
                    yield value
                    start = end
                    continue
            except ValueError:
                more = file.read(_CHUNK)
                if not more:
                    raise
        text, start = text[start:] + (more or file.read(_CHUNK)), 0
        if not text.strip():
            raise ValueError("the array does not end")


def _check_end(rest: str) -> None:
    if not _SPACE.fullmatch(rest):
        raise ValueError("something follows the array")
