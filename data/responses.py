"""What `make targets` keeps: rows of JSON in numbered parts, durable when they are written, whatever is killed when."""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

Row = dict[str, Any]  # prompt, sample, response or None, finish_reason, prompt_tokens, completion_tokens, failure, ...

PART_BYTES = 64 * 2**20  # after which a new part begins
_OFFSET_BITS = 40


class Parts:
    """Appends rows to folder/part-NNNNNN.jsonl from any thread. Every start of the program begins a part of its own,
    so a line that a crash cut short can only be the last of its part."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.first = self.number = 1 + max((_number(path) for path in _parts(folder)), default=0)
        self.file: IO[bytes] | None = None
        self.lock = threading.Lock()

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows and sync them; when this returns they are kept."""
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        if not lines:
            return
        with self.lock:
            file = self.file or (self.folder / f"part-{self.number:06d}.jsonl").open("xb")
            self.file = file
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
            if file.tell() >= PART_BYTES:
                file.close()
                self.file, self.number = None, self.number + 1


def rows(folder: Path) -> Iterator[tuple[int, Row]]:
    """(place, row) of every whole line of the parts in `folder`, oldest first; `at` reads a row from its place."""
    for path in _parts(folder):
        offset = 0
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield _number(path) << _OFFSET_BITS | offset, json.loads(line)
                offset += len(line)


def at(folder: Path, places: Sequence[int]) -> list[Row]:
    """The rows at `places`, in that order; fast where neighbours in the list are neighbours in the files."""
    found: list[Row] = []
    opened: dict[int, IO[bytes]] = {}
    try:
        for place in places:
            number, offset = place >> _OFFSET_BITS, place & ((1 << _OFFSET_BITS) - 1)
            if number not in opened:
                opened[number] = (folder / f"part-{number:06d}.jsonl").open("rb")
            opened[number].seek(offset)
            found.append(json.loads(opened[number].readline()))
    finally:
        for file in opened.values():
            file.close()
    return found


@dataclass
class Stored:
    """What has been asked so far, of the prompts wanted and of others."""

    where: np.ndarray  # int64[prompts, samples]: place of the response, -1 where there is none
    failed: dict[tuple[int, int], Row] = field(default_factory=dict)  # (prompt, sample) -> its last failure
    totals: Counter[str] = field(default_factory=Counter)  # of everything ever asked, tokens and requests
    prompts: dict[str, int] = field(default_factory=dict)  # text of every prompt ever answered -> its tokens
    lengths: Counter[tuple[int, int]] = field(default_factory=Counter)  # (prompt, response) tokens -> how often
    seconds: float = 0.0  # from the start of asking to its last answer, over all starts

    def missing(self) -> list[tuple[int, int]]:
        """(prompt, sample) without a response, prompt by prompt."""
        return [(int(prompt), int(sample)) for prompt, sample in np.argwhere(self.where < 0)]

    def present(self) -> list[tuple[int, int]]:
        """(prompt, sample) with a response, prompt by prompt."""
        return [(int(prompt), int(sample)) for prompt, sample in np.argwhere(self.where >= 0)]


def scan(folder: Path, prompts: Mapping[str, int], samples: int) -> Stored:
    """Look through everything stored in `folder`; `prompts` maps the text of each prompt wanted to its number."""
    stored = Stored(np.full((len(prompts), samples), -1, np.int64))
    last: dict[int, float] = {}
    for place, row in rows(folder):
        last[row["start"]] = max(last.get(row["start"], 0.0), row["elapsed"])
        _count(stored, row)
        prompt, sample = prompts.get(row["prompt"], -1), row["sample"]
        if prompt < 0 or sample >= samples or stored.where[prompt, sample] >= 0:
            continue
        if row["failure"] is None:
            stored.where[prompt, sample] = place
            stored.failed.pop((prompt, sample), None)
        else:
            stored.failed[prompt, sample] = row
    stored.seconds = sum(last.values())
    return stored


def _count(stored: Stored, row: Row) -> None:
    """Add a row to what it cost; a failure costs what its server says it did."""
    prompt, completion = row["prompt_tokens"] or 0, row["completion_tokens"] or 0
    stored.totals.update(prompt_tokens=prompt, completion_tokens=completion)
    stored.totals.update(retries=row["attempts"] - 1, estimated=int(row["estimated"]))
    stored.totals["failures" if row["failure"] else "responses"] += 1
    if prompt or completion:
        stored.prompts[row["prompt"]] = prompt
        stored.lengths[prompt, completion] += 1


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.jsonl"))


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))
