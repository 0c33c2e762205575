"""Run the suite on one model: generate, grade, score. What is done with the same settings is read and returned."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conf.files import read_json, write_json
from conf.schema import Configuration, Suite
from data import suite as suites
from data.items import Item
from evaluation import backend
from evaluation.grade import SCHEMA, Wanted, check_verifiers, grade, write_items
from evaluation.scores import GREEDY, all_scores
from models import generate, prompt_ids, response_text
from models.seeds import stream

BATCHES_AT_A_TIME = 8  # generator batches whose token ids are held in memory together
PATIENCE = 2.0  # seconds before a bar appears


def evaluate(
    model: Any,
    tokenizer: Any,
    configuration: Configuration,
    folder: Path,
    step: int,
    label: str,
    model_digest: str = "",
) -> dict[str, Any]:
    """Scores (percent) of one greedy and `suite.samples` sampled responses an item, also in items.parquet, scores.json.

    `label` names the model (base, or arm and seed), `model_digest` its weights where known. Both enter the settings;
    where a folder was made with the same settings, its scores are returned and nothing is done.
    """
    folder = Path(folder)
    if done := finished(configuration, folder, step, label, model_digest):
        return done
    items = suites.items(configuration.suite)
    check_verifiers((item.kind for item in items), configuration.hardware.reward_workers)
    with backend.writer(configuration, model, tokenizer, folder) as writes:
        rows = _rows(writes, tokenizer, items, configuration, label)
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    identity = {"step": step, "label": label, "settings": settings(configuration.suite, step, label, model_digest)}
    scores = identity | all_scores(columns)
    folder.mkdir(parents=True, exist_ok=True)
    write_items(rows, folder / "items.parquet")
    write_json(folder / "scores.json", scores)
    return scores


def finished(
    configuration: Configuration, folder: Path, step: int, label: str, model_digest: str = ""
) -> dict[str, Any] | None:
    """The scores in `folder` where they were made with these settings, else None; needs no model."""
    path = Path(folder) / "scores.json"
    if not (path.is_file() and path.with_name("items.parquet").is_file()):
        return None
    scores = read_json(path)
    same = scores["settings"] == settings(configuration.suite, step, label, model_digest)
    return scores if same else None


def settings(suite: Suite, step: int, label: str, model_digest: str = "") -> dict[str, Any]:
    """What the scores hang on; `digest` is sha256 over all of it. Batch size, when, and where from decide no score."""
    own: dict[str, Any] = {
        "suite": suite.model_dump(mode="json", exclude={"batch_size", "when", "where", "local", "download"}),
        "model": model_digest,
        "step": step,
        "label": label,
    }
    return own | {"digest": hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()}


def _rows(
    model: Any, tokenizer: Any, items: Sequence[Item], configuration: Configuration, label: str
) -> list[dict[str, Any]]:
    """All graded rows, ordered by item and sample."""
    suite = configuration.suite
    greedy = [(item, GREEDY) for item in items]
    sampled = [(item, sample) for item in items for sample in range(1, suite.samples + 1)]
    rows: list[dict[str, Any]] = []
    with _Bar(f"evaluate {label}", len(greedy) + len(sampled)) as bar:
        for wanted, temperature in ((greedy, 0.0), (sampled, suite.temperature)):
            for part in _parts(wanted, BATCHES_AT_A_TIME * suite.batch_size):
                rows += _graded(model, tokenizer, part, configuration, temperature, bar)
    place = {item.id: number for number, item in enumerate(items)}
    return sorted(rows, key=lambda row: (place[row["item"]], row["sample"]))


def _graded(
    model: Any, tokenizer: Any, wanted: Sequence[Wanted], configuration: Configuration, temperature: float, bar: "_Bar"
) -> list[dict[str, Any]]:
    suite = configuration.suite
    seeds = [stream(suite.seed, item.id, sample) for item, sample in wanted] if temperature else None
    rendered = {prompt: prompt_ids(tokenizer, prompt) for prompt in {item.prompt for item, _ in wanted}}
    logps: list[list[float]] = []
    responses = generate(
        model,
        [rendered[item.prompt] for item, _ in wanted],
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        max_new_tokens=suite.max_new_tokens,
        temperature=temperature,
        seeds=seeds,
        batch_size=suite.batch_size,
        batch_tokens=configuration.hardware.generation_tokens,
        logps=logps,
        progress=bar.within,
    )
    bar.finish(len(wanted))
    texts = [response_text(tokenizer, ids) for ids in responses]
    return grade(wanted, texts, responses, tokenizer.eos_token_id, configuration.hardware.reward_workers, logps)


def _parts(rows: Sequence[Wanted], size: int) -> Iterator[Sequence[Wanted]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


class _Bar:
    """A bar on a terminal once two seconds have passed; silent everywhere else."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.before = title, total, 0
        self.start = time.monotonic()
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def within(self, done: int, _total: int) -> None:
        """Rows finished in the generator's present call."""
        self._show(self.before + done)

    def finish(self, rows: int) -> None:
        self.before += rows
        self._show(self.before)

    def _show(self, done: int) -> None:
        if self.bar is None and sys.stdout.isatty() and time.monotonic() - self.start > PATIENCE:
            from rich.progress import Progress

            self.bar = Progress()
            self.task = self.bar.add_task(self.title, total=self.total)
            self.bar.start()
        if self.bar is not None:
            self.bar.update(self.task, completed=done)
