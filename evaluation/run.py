"""Run the suite on one model: generate, grade, score. What is done with the same settings is read and returned.

`evaluate` does all of it. Several processes do it together by `respond`, each its share of the items, and one `score`
when all are done. What `respond` has made stands in part files (evaluation/parts.py), so a killed run goes on with the
responses that are not there yet.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from conf.files import read_json, write_json
from conf.schema import Configuration, Suite
from data import suite as suites
from data import suitefile
from data.items import Decoding, Item
from evaluation import backend, likelihood, parts
from evaluation.bar import Bar
from evaluation.grade import SCHEMA, Wanted, check_verifiers, grade
from evaluation.scores import GREEDY
from evaluation.settings import settings as settings
from evaluation.summing import SCORED, Missing, all_scores
from models import continuation_logps, generate, prompt_ids, response_ids, response_text
from models.seeds import stream

BATCHES_AT_A_TIME = 8  # generator batches whose token ids are held in memory together
WEIGHED_AT_A_TIME = 256  # items whose likelihoods are taken between two saves
SAVE_SECONDS = 60.0  # of generating that a kill may cost
KEY = ("benchmark", "item", "sample")  # of a row
FEW_SHOTS = suites.FEW_SHOTS

Share = tuple[int, int]  # number of this process, and of how many
ALL: Share = (0, 1)


@dataclass(frozen=True)
class Task:
    """One evaluation: what is asked, of which model, into which folder."""

    configuration: Configuration
    folder: Path
    step: int
    label: str  # names the model: base, or arm and seed
    model_digest: str = ""  # of its weights, where known
    few_shots: bool = False  # whether `suite.shots` worked examples stand before every prompt
    compiled: Path | None = None  # the file of the suite's items (data/suitefile.py); without it they are made here

    @property
    def suite(self) -> Suite:
        return self.configuration.suite

    @property
    def settings(self) -> dict[str, Any]:
        return settings(self.suite, self.step, self.label, self.model_digest, self.few_shots)

    @property
    def parts(self) -> Path:
        return parts.folder(self.folder, self.settings)

    @cached_property
    def items(self) -> tuple[list[Item], Missing]:
        """The items to ask, and what is missing."""
        found, reasons = suitefile.found(self.suite, self.compiled)
        if self.few_shots:
            shown, without = suitefile.with_shots(self.suite, found, self.suite.shots, self.compiled)
            reasons = reasons | without
        else:
            shown = suitefile.told(self.suite, found, self.compiled)
        groups = {name: own.BENCHMARKS[name].group for name, own in suites.asked(self.suite).items()}
        return shown, {name: {"group": groups[name], "reason": reason} for name, reason in reasons.items()}


def evaluate(
    model: Any,
    tokenizer: Any,
    configuration: Configuration,
    folder: Path,
    step: int,
    label: str,
    model_digest: str = "",
    few_shots: bool = False,
    compiled: Path | None = None,
) -> dict[str, Any]:
    """Scores (percent) of one greedy and `suite.samples` sampled responses an item, also in items.parquet, scores.json.

    `label` names the model (base, or arm and seed), `model_digest` its weights where known. Both enter the settings;
    where a folder was made with the same settings, its scores are returned and nothing is done. `few_shots`: with
    `suite.shots` worked examples before each prompt. `compiled`: the file of the suite's items, where there is one.
    """
    task = Task(configuration, Path(folder), step, label, model_digest, few_shots, compiled)
    if done := is_finished(task):
        return done
    respond(task, model, tokenizer)
    return score(task)


def finished(
    configuration: Configuration,
    folder: Path,
    step: int,
    label: str,
    model_digest: str = "",
    few_shots: bool = False,
    compiled: Path | None = None,
) -> dict[str, Any] | None:
    """The scores in `folder` where they were made with these settings, else None; needs no model."""
    return is_finished(Task(configuration, Path(folder), step, label, model_digest, few_shots, compiled))


def is_finished(task: Task) -> dict[str, Any] | None:
    """The scores where the task is done, else None: also where a benchmark that was missing is there by now."""
    scores = _scores_of(task)
    if scores and scores.get("missing") and set(scores["missing"]) != set(task.items[1]):
        return None
    return scores


def _scores_of(task: Task) -> dict[str, Any] | None:
    """What the task's folder holds of these settings."""
    path = task.folder / "scores.json"
    if not (path.is_file() and path.with_name("items.parquet").is_file()):
        return None
    scores: dict[str, Any] = read_json(path)
    return scores if scores["settings"] == task.settings else None


def respond(task: Task, model: Any, tokenizer: Any, share: Share = ALL, save_seconds: float = SAVE_SECONDS) -> None:
    """Generate and grade what no part holds yet of this share of the items: every n-th, all samples of each."""
    items = task.items[0][share[0] :: share[1]]
    hardware = task.configuration.hardware
    check_verifiers((item.kind for item in items), hardware.reward_workers)
    if _scores_of(task):  # of other benchmarks, which are kept
        for kind in ("items", "likelihood"):
            parts.keep(task.parts, kind, task.folder / f"{kind}.parquet")
    done = parts.keys(task.parts, "items", SCHEMA, KEY)
    asked = [(item.benchmark, item.id, sample) for item, sample in _wanted(task, items)]
    total, known = len(asked), sum(one in done for one in asked)
    task.folder.mkdir(parents=True, exist_ok=True)
    title, file = f"evaluate {task.label}", task.folder / progress_file(share)
    writer = backend.writer(task.configuration, model, tokenizer, task.folder, needed=known < total)
    with Bar(title, total, known, file) as bar, writer as writes:
        for chunk, how in _chunks(task, items):
            rest = [(item, sample) for item, sample in chunk if (item.benchmark, item.id, sample) not in done]
            if rest:
                _respond(task, writes, tokenizer, rest, how, bar, save_seconds)
    if task.suite.likelihood:
        _weigh(task, model, tokenizer, items)


def score(task: Task) -> dict[str, Any]:
    """Join the parts into items.parquet and likelihood.parquet, and write scores.json, which says that all is done; no
    model is needed."""
    items, missing = task.items
    order = [(item.benchmark, item.id, sample) for item, sample in _wanted(task, items)]
    table = parts.ordered(parts.read(task.parts, "items", SCHEMA), KEY, order)
    scores = {"step": task.step, "label": task.label, "settings": task.settings}
    texts = (
        [(item, number) for item in items for number, _ in likelihood.weighed(item)] if task.suite.likelihood else []
    )
    weighed = [(item.benchmark, item.id, number) for item, number in texts]
    likely = parts.ordered(parts.read(task.parts, "likelihood", likelihood.SCHEMA), likelihood.KEY, weighed)
    scores |= all_scores(table.select(SCORED).to_pydict(), missing, likely.to_pylist())
    task.folder.mkdir(parents=True, exist_ok=True)
    (task.folder / "scores.json").unlink(missing_ok=True)  # of other settings, and no scores of these items
    parts.write(likely, task.folder / "likelihood.parquet")
    parts.write(table, task.folder / "items.parquet")
    write_json(task.folder / "scores.json", scores)
    for file in task.folder.glob(progress_file(("*", "*"))):
        file.unlink()
    parts.clear(task.folder)
    return scores


def progress_file(share: tuple[object, object]) -> str:
    """How far one process is: {done, total, known, seconds}."""
    return f"progress-{share[0]}-of-{share[1]}.json"


def _wanted(task: Task, items: Sequence[Item]) -> list[Wanted]:
    """Every response to be had, item by item, the greedy one first."""
    how = suites.decoding(task.suite)
    return [(item, sample) for item in items for sample in range(1 + how[item.benchmark].samples)]


def _chunks(task: Task, items: Sequence[Item]) -> Iterator[tuple[Sequence[Wanted], Decoding]]:
    """What is generated by one call, and how; at temperature 0 greedily. A resumed run has the same chunks, so what a
    response comes to share a batch with hangs on a kill only where the kill was within its chunk."""
    own = suites.decoding(task.suite)
    alike: dict[Decoding, list[Wanted]] = {}
    for item, sample in sorted(_wanted(task, items), key=lambda wanted: wanted[1] != GREEDY):
        how = own[item.benchmark]
        greedy = Decoding(temperature=0.0, max_new_tokens=how.max_new_tokens)
        alike.setdefault(greedy if sample == GREEDY else how, []).append((item, sample))
    size = BATCHES_AT_A_TIME * task.suite.batch_size
    for how, wanted in alike.items():
        for start in range(0, len(wanted), size):
            yield wanted[start : start + size], how


def _respond(
    task: Task,
    model: Any,
    tokenizer: Any,
    wanted: Sequence[Wanted],
    how: Decoding,
    bar: Bar,
    save_seconds: float,
) -> None:
    """Generate, and as responses end, grade and store them."""
    suite, hardware = task.suite, task.configuration.hardware
    wanted, prompts = _rendered(model, tokenizer, wanted, how.max_new_tokens)

    def save(ended: dict[int, tuple[list[int], list[float]]]) -> None:
        own, ids = [wanted[row] for row in ended], [response for response, _ in ended.values()]
        texts = [response_text(tokenizer, response) for response in ids]
        logps = [found for _, found in ended.values()]
        rows = grade(own, texts, ids, tokenizer.eos_token_id, hardware.reward_workers, logps)
        parts.add(task.parts, f"items-{_name(own)}", rows, SCHEMA)

    generate(
        model,
        prompts,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        max_new_tokens=how.max_new_tokens,
        temperature=how.temperature,
        top_p=how.top_p,
        seeds=[stream(suite.seed, item.id, sample) for item, sample in wanted] if how.temperature else None,
        batch_size=suite.batch_size,
        batch_tokens=hardware.generation_tokens,
        progress=bar.within,
        ended=save,
        ended_seconds=save_seconds,
    )
    bar.finish(len(wanted))


def _weigh(task: Task, model: Any, tokenizer: Any, items: Sequence[Item]) -> None:
    """The likelihood of every text of every item that no part holds yet; by the model itself, whatever generated."""
    done = {key[:2] for key in parts.keys(task.parts, "likelihood", likelihood.SCHEMA, likelihood.KEY)}
    asked = [item for item in items if likelihood.weighed(item)]
    for start in range(0, len(asked), WEIGHED_AT_A_TIME):
        chunk = asked[start : start + WEIGHED_AT_A_TIME]
        rest = [item for item in chunk if (item.benchmark, item.id) not in done]
        if not rest:
            continue
        how = suites.decoding(task.suite)
        prompts = [_rendered(model, tokenizer, [(item, 0)], how[item.benchmark].max_new_tokens)[1][0] for item in rest]
        texts = [[text for _, text in likelihood.weighed(item)] for item in rest]
        ids = [[response_ids(tokenizer, text)[:-1] for text in of_item] for of_item in texts]
        rows = likelihood.rows(rest, continuation_logps(model, tokenizer.pad_token_id, prompts, ids))
        parts.add(task.parts, f"likelihood-{_name([(rest[0], 0)])}", rows, likelihood.SCHEMA)


def _rendered(
    model: Any, tokenizer: Any, wanted: Sequence[Wanted], max_new_tokens: int
) -> tuple[list[Wanted], list[list[int]]]:
    """What is asked, each item with as many of its shots as leave room to answer, and its token ids."""
    config = getattr(model, "config", None)  # an engine has none to show
    limit = getattr(config, "max_position_embeddings", None) or sys.maxsize
    items = {(item.benchmark, item.id): item for item, _ in wanted}
    found = {key: _fitting(tokenizer, item, limit - max_new_tokens) for key, item in items.items()}
    both = [(*found[item.benchmark, item.id], sample) for item, sample in wanted]
    return [(item, sample) for item, _, sample in both], [ids for _, ids, _ in both]


def _fitting(tokenizer: Any, item: Item, room: int) -> tuple[Item, list[int]]:
    for shots in range(len(item.shots), 0, -1):
        ids = prompt_ids(tokenizer, item.prompt, item.shots[:shots])
        if len(ids) <= room:
            return replace(item, shots=item.shots[:shots]), ids
    return replace(item, shots=()), prompt_ids(tokenizer, item.prompt)


def _name(wanted: Sequence[Wanted]) -> str:
    """Of the part that begins with this row; no other begins with it."""
    item, sample = wanted[0]
    return hashlib.sha256(f"{item.benchmark}/{item.id}/{sample}".encode()).hexdigest()[:16]
