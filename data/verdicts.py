"""The responses that `make targets` kept, each judged once for one reference, and all of them as targets.parquet."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data import responses
from data.responses import Parts, Row, Stored
from rewards import Request, verify_many

CHUNK = 1024  # rows judged and written at a time
TEXTS = ("id", "prompt", "response", "outcome", "reason", "finish_reason")
NUMBERS = ("sample", "completion_tokens", "prompt_tokens")
KEPT = ("prompt", "sample", "response", "finish_reason", "completion_tokens", "prompt_tokens")  # of a response's row

Judged = tuple[str, str]  # outcome, reason


@dataclass(frozen=True)
class Prompt:
    """A compiled row as far as its responses need it."""

    id: str
    text: str
    kind: str
    reference: str
    extraction: str = "strict"
    ids: Sequence[int] = ()  # as the base reads it, where it is the base that answers

    @cached_property
    def digest(self) -> str:
        """Names all that a verdict rests on beside the response."""
        rests = [self.text, self.kind, self.reference, *([self.extraction] if self.extraction != "strict" else [])]
        return hashlib.sha256(json.dumps(rests).encode()).hexdigest()[:32]


def judge(pairs: Sequence[tuple[Prompt, Row]], parts: Parts, workers: int) -> list[Judged]:
    """Judge responses as the compile step will, and write their verdicts down."""
    requests = [Request(p.kind, row["response"], p.reference, {"extraction": p.extraction}) for p, row in pairs]
    found = [(verdict.outcome, verdict.reason) for verdict in verify_many(requests, workers)]
    parts.append(
        {"of": prompt.digest, "sample": row["sample"], "outcome": outcome, "reason": reason}
        for (prompt, row), (outcome, reason) in zip(pairs, found, strict=True)
    )
    return [(outcome, reason) for outcome, reason in found]


def write_table(folder: Path, prompts: Sequence[Prompt], stored: Stored, workers: int) -> Counter[str]:
    """Write folder/targets.parquet, ordered by prompt and sample, whole or not at all; what is in it, counted.

    A response cut at its limit has no end to imitate: it may be right, and is no target.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([*((name, pa.string()) for name in TEXTS), *((name, pa.int32()) for name in NUMBERS)])
    counts: Counter[str] = Counter()
    right: set[str] = set()
    unfinished = folder / ".targets.parquet"
    with pq.ParquetWriter(unfinished, schema) as writer:
        for rows in _rows(folder, prompts, stored, workers):
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            for row in rows:
                counts.update([row["outcome"], f"reason {row['reason']}"])
            cut = [row for row in rows if row["finish_reason"] == "length"]
            counts.update(cut=len(cut), right_but_cut=sum(row["outcome"] == "right" for row in cut))
            right |= {row["id"] for row in rows if row["outcome"] == "right" and row["finish_reason"] != "length"}
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(folder / "targets.parquet")
    counts["prompts_with_right"] = len(right)
    return counts


def _rows(folder: Path, prompts: Sequence[Prompt], stored: Stored, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Every response with its verdict, CHUNK at a time; what no verdict stands for yet is judged."""
    verdicts, parts = _verdicts(folder, prompts), Parts(folder / "verdicts")
    keys = stored.present()
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        found = responses.at(folder / "responses", [int(stored.where[key]) for key in chunk])
        new = [(key, row) for key, row in zip(chunk, found, strict=True) if key not in verdicts]
        pairs = [(prompts[prompt], row) for (prompt, _), row in new]
        verdicts |= zip([key for key, _ in new], judge(pairs, parts, workers), strict=True)
        yield [
            {name: row[name] for name in KEPT}
            | {"id": prompts[key[0]].id, "outcome": verdicts[key][0], "reason": verdicts[key][1]}
            for key, row in zip(chunk, found, strict=True)
        ]


def _verdicts(folder: Path, prompts: Sequence[Prompt]) -> dict[tuple[int, int], Judged]:
    """(prompt, sample) -> verdict, of those that speak of the prompts' present references."""
    place = {prompt.digest: number for number, prompt in enumerate(prompts)}
    return {
        (place[row["of"]], row["sample"]): (row["outcome"], row["reason"])
        for _, row in responses.rows(folder / "verdicts")
        if row["of"] in place
    }
