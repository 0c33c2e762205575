"""How fast a training set is compiled, and in how much memory: `python -m bench.data [ROWS]`; a million takes a while.

The source is synthetic: one Parquet file with all rows in a single group, problems of about 60 words, solutions of
about 150, one answer in five not a plain number and one in fifty such that a verifier has to be asked, one problem in
twenty nearly an earlier one. The tokenizer is a byte-level BPE of 8,000 tokens trained on the same text. Everything is
on: near duplicates from 0.9, decontamination of 13 words, verified targets.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench import Figure

ROWS = 200_000
LARGE = 1_000_000
TEMPLATE = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
PROGRAM = """
import json, os, sys
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # as every worker of ours does
from launch.compose import compose
from data.compile import compile_dataset
print(json.dumps(compile_dataset(compose(sys.argv[2:]), sys.argv[1])["counts"]))
"""


def figures() -> Iterator[Figure]:
    """Rows a second and memory at 200,000 rows; the memory at a million is extrapolated from there."""
    yield from measured(ROWS)


def measured(rows: int) -> Iterator[Figure]:
    """The figures at so many rows; where that is less than a million, the memory of a million is extrapolated."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, counts = compiled(Path(folder) / "whole", rows)
        yield Figure(f"{rows:,} rows compiled, {counts['kept']:,} kept", rows / seconds, 500, "rows/s", True)
        yield Figure(f"peak memory at {rows:,} rows, workers included", peak / 2**30, 4, "GiB", False)
        if rows < LARGE:
            _, less, _ = compiled(Path(folder) / "part", rows // 4)
            grown = peak + (peak - less) / (rows - rows // 4) * (LARGE - rows)
            yield Figure(f"the same at {LARGE:,} rows, extrapolated", grown / 2**30, 4, "GiB", False)


def compiled(folder: Path, rows: int) -> tuple[float, int, dict[str, int]]:
    """(seconds from start to end, most bytes that the process and its workers held together, counts)."""
    folder.mkdir()
    write_source(folder / "source.parquet", rows)
    write_base(folder / "base")
    given = ["data=file", f"data.source={folder / 'source.parquet'}", f"data.rows={rows}", "data.targets_per_prompt=1"]
    given += [f"model.path={folder / 'base'}", "data.near_duplicate_similarity=0.9", "hardware.reward_workers=2"]
    start = time.perf_counter()
    with (folder / "counts.json").open("w+") as out:
        worker = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder / "out"), *given], stdout=out)
        peak = 0
        while worker.poll() is None:
            peak = max(peak, held(worker.pid))
            time.sleep(0.2)
        seconds = time.perf_counter() - start
        out.seek(0)
        return seconds, peak, json.load(out)


def held(pid: int) -> int:
    """Bytes that a process and all below it hold; pages they share count for each."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def write_source(path: Path, rows: int, seed: int = 0) -> None:
    """One Parquet file of one row group: columns problem, answer, solution."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(problems(rows, seed)))
    pq.write_table(table, path, row_group_size=rows)


def problems(rows: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Rows as the module's first lines describe them."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 9))) for _ in range(5000)]
    recent: list[str] = []
    for i in range(rows):
        if recent and rng.random() < 0.05:
            problem = f"{rng.choice(recent)} {rng.choice(words)}"
        else:
            said = rng.choices(words, k=rng.randint(30, 90))
            problem = f"{' '.join(said)}: ${rng.randint(1, 999)}x^2+{i}$?"
            recent = [*recent[-999:], problem]
        answer = answer_of(rng)
        steps = " ".join(rng.choices(words, k=rng.randint(75, 225)))
        yield {"problem": problem, "answer": answer, "solution": f"{steps}, so \\boxed{{{answer}}}."}


def answer_of(rng: random.Random) -> str:
    """A number, mostly; an expression that is plainly readable; or one that only algebra can read."""
    chance, a, b = rng.random(), rng.randint(1, 400), rng.randint(2, 99)
    if chance < 0.8:
        return str(a)
    return f"{a}+\\sqrt{{{b}}}" if chance < 0.98 else f"{b}\\sin {a}"


def write_base(folder: Path) -> None:
    """The embedded base with another tokenizer: its weights are only looked at, never used."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    shutil.copytree("models/embedded", folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for row in problems(2000) for text in row.values()), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=special[0], eos_token=special[2])
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


if __name__ == "__main__":
    for figure in measured(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(f"{figure.name}: {figure.measured:,.5g} {figure.unit}", flush=True)
