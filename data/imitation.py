"""The responses that a teacher arm may imitate: the world's scripted ones, the source's, or those of `make targets`."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from conf.errors import UserError
from conf.schema import Data
from data.columns import Row
from models.seeds import stream

FILE = "targets.parquet"
_READ = ("prompt", "sample", "response", "outcome", "finish_reason", "completion_tokens")
_BATCH = 256  # responses read at a time


class Written(NamedTuple):
    """What there is for one row."""

    texts: list[str]  # in the order of preference
    judged: bool  # whether they are known to be right
    rejected: int = 0  # how many more there are, not right or cut off


Teacher = Callable[[Row], Written]


def written(data: Data, row: Row) -> list[str]:
    """The responses that come with a row: the world's scripted ones, or the source's solution."""
    if "item" not in row:
        return [row["solution"]] if row["solution"] else []
    from data import world

    return [world.teacher(row["item"], data.teacher_distance, seed=k) for k in range(data.targets_per_prompt)]


def attempts(data: Data, row: Row) -> list[str]:
    """All that the world's scripted teacher writes to a row, its mistakes too; nothing where it makes none."""
    if not data.teacher_mistakes:
        return []
    from data import world

    count, share = data.targets_per_prompt, data.teacher_mistakes
    return [world.attempt(row["item"], data.teacher_distance, share, seed=k) for k in range(count)]


def teacher(data: Data, scratch: Path) -> Teacher:
    """The responses to a row, best first by `data.target_rule`. UserError for a `data.targets` that cannot be read."""
    if not data.targets:
        return lambda row: Written(written(data, row), judged=False)
    asked, right = _sampled(data, scratch)
    order = _RULES[data.target_rule]

    def find(row: Row) -> Written:
        key = _digest(row["prompt"])
        places = sorted(right.places.get(key, ()), key=lambda i: order(data.seed, row["prompt"], *right.ranks[i]))
        texts = [right.texts[i].as_py() for i in places]
        return Written(texts, judged=True, rejected=asked.get(key, 0) - len(texts))

    return find


class _Right(NamedTuple):
    """The right responses of a folder, on disk but for what chooses among them."""

    places: dict[bytes, list[int]]  # digest of the prompt -> rows of `texts`
    ranks: list[tuple[int, int]]  # (sample, tokens) of each
    texts: Any  # pyarrow's ChunkedArray, mapped


def _sampled(data: Data, scratch: Path) -> tuple[dict[bytes, int], _Right]:
    """(how many responses each prompt has, the right ones). One that was cut at its limit has no end to imitate."""
    import pyarrow as pa

    asked: dict[bytes, int] = {}
    places: dict[bytes, list[int]] = {}
    ranks: list[tuple[int, int]] = []
    schema = pa.schema([("response", pa.large_string())])
    with pa.OSFile(str(scratch / "right.arrow"), "wb") as file, pa.ipc.new_file(file, schema) as kept:
        for batch in _batches(data):
            texts = []
            for row in batch:
                key = _digest(row["prompt"])
                asked[key] = asked.get(key, 0) + 1
                if row["outcome"] == "right" and row["finish_reason"] != "length":
                    places.setdefault(key, []).append(len(ranks))
                    ranks.append((row["sample"], row["completion_tokens"] or 0))
                    texts.append(row["response"])
            kept.write(pa.record_batch([pa.array(texts, pa.large_string())], schema=schema))
    mapped = pa.ipc.open_file(pa.memory_map(str(scratch / "right.arrow"))).read_all()
    return asked, _Right(places, ranks, mapped["response"])


def _batches(data: Data) -> Iterator[list[Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(data.targets) / FILE
    change = "make it with `make targets` and set data.targets to the folder it names"
    if not path.is_file():
        raise UserError(f"data.targets={data.targets}", f"it holds no {FILE}", change)
    try:
        file = pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
        for batch in file.iter_batches(_BATCH, columns=list(_READ), use_threads=False):
            yield [dict(zip(_READ, values, strict=True)) for values in zip(*_columns(batch), strict=True)]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"data.targets={data.targets}", f"{FILE} cannot be read: {error}", change) from error


def _columns(batch: Any) -> list[list[Any]]:
    return [batch.column(name).to_pylist() for name in _READ]


def _first(seed: int, prompt: str, sample: int, tokens: int) -> tuple[int, ...]:
    return (sample,)


def _shortest(seed: int, prompt: str, sample: int, tokens: int) -> tuple[int, ...]:
    return (tokens, sample)


def _random(seed: int, prompt: str, sample: int, tokens: int) -> tuple[int, ...]:
    return (stream(seed, "target", prompt, sample),)


_RULES: dict[str, Callable[[int, str, int, int], tuple[int, ...]]] = {
    "first": _first,
    "shortest": _shortest,
    "random": _random,
}


def _digest(prompt: str) -> bytes:
    return hashlib.blake2b(prompt.encode(), digest_size=16).digest()
