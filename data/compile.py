"""The training set, compiled once and read by every arm: load, drop and count, render, order, digest, write."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

import models
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration
from data import order as orders
from data import sources, storage
from data.sources import Row
from rewards import Request, verify_many

# why a row leaves every arm, in the order the reasons are tried; `loaded` is their sum and `kept`
REASONS = (
    "without_prompt",
    "without_answer",
    "unscorable_reference",
    "duplicate",
    "without_target",
    "target_not_right",
    "special_token_in_text",
    "over_max_prompt_length",
    "over_max_completion_length",
    "overlaps_suite",
)
_PROBES = {"math": "\\boxed{0}", "choice": "a", "text": "0", "instruction": "0", "code": "```python\n```"}
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)

Manifest = dict[str, Any]


def compile_dataset(configuration: Configuration, folder: Path | str) -> Manifest:
    """Write rows.parquet, order.npy and, last, manifest.json into `folder`, and return the manifest.

    Equal inputs give equal bytes. A folder compiled from the same inputs is kept; one compiled from others is refused.
    """
    folder = Path(folder)
    inputs = _inputs(configuration)
    key = _sha256(json.dumps(inputs, sort_keys=True))
    done = _done(folder, inputs, key)
    if done is not None:
        return done
    rows, counts, targets = _compile(configuration)
    train = configuration.train
    order = orders.make(len(rows), train.steps, train.prompts_per_step, configuration.data.seed)
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_rows(folder, rows)
    storage.write_order(folder, order)
    manifest = {
        "key": key,
        "inputs": inputs,
        "counts": counts,
        "targets": targets,
        "digests": storage.digests(rows, order),
    }
    write_json(folder / "manifest.json", manifest)
    return manifest


def read(folder: Path | str) -> tuple[Any, np.ndarray, Manifest]:
    """(`datasets.Dataset` of the rows, order int64[steps, prompts_per_step], manifest); UserError where damaged."""
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise UserError(
            f"{folder}",
            "there is no compiled data set here: manifest.json is missing",
            "start the run again; it compiles the data first",
        )
    manifest = read_json(folder / "manifest.json")
    rows, order = storage.read_rows(folder), storage.read_order(folder)
    if storage.digests(rows.to_list(), order) != manifest["digests"]:
        raise storage.damaged(folder)
    return rows, order, manifest


# --- what the result depends on ---------------------------------------------------------------------------------------


def _inputs(configuration: Configuration) -> dict[str, Any]:
    """Everything that decides the compiled bytes, by dotted key."""
    data, train, suite = configuration.data, configuration.train, configuration.suite
    inputs = {f"data.{key}": value for key, value in data.model_dump(mode="json").items()}
    inputs |= {"train.steps": train.steps, "train.prompts_per_step": train.prompts_per_step}
    inputs |= {f"suite.{key}": getattr(suite, key) for key in ("name", "benchmarks", "items", "seed")}
    return inputs | {
        "content of data.source": _source_digest(configuration),
        "tokenizer of model.path": _tokenizer_digest(configuration.model.path),
    }


def _source_digest(configuration: Configuration) -> str:
    """Of a local source its bytes; of the world what it says now; of a hub data set its name."""
    source = configuration.data.source
    if source == "world":
        rows = sources.load(configuration.data, 32, configuration.data.seed)
        return _sha256(
            json.dumps([[row["id"], row["prompt"], row["reference"], *_written(configuration, row)] for row in rows])
        )
    path = Path(source)
    return _files_digest(sorted(path.rglob("*")) if path.is_dir() else [path]) if path.exists() else source


def _tokenizer_digest(path: str) -> str:
    folder = Path(path)
    return _files_digest([folder / name for name in _TOKENIZER_FILES]) if folder.is_dir() else path


def _files_digest(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as opened:
                total.update(file.name.encode() + b"\0" + hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _done(folder: Path, inputs: dict[str, Any], key: str) -> Manifest | None:
    """The manifest of a folder compiled from the same inputs; None where nothing was finished."""
    if not (folder / "manifest.json").is_file():
        return None
    manifest = read_json(folder / "manifest.json")
    if manifest.get("key") == key:
        return manifest
    theirs = manifest.get("inputs", {})
    names = [name for name in sorted(inputs | theirs) if inputs.get(name) != theirs.get(name)]
    differing = ", ".join(f"{name}: {theirs.get(name)!r} there, {inputs.get(name)!r} here" for name in names)
    raise UserError(
        f"{folder}",
        f"its data set was compiled from other inputs ({differing})",
        "set experiment.name to a new name, or delete the folder",
    )


# --- the steps --------------------------------------------------------------------------------------------------------


def _compile(configuration: Configuration) -> tuple[list[Row], dict[str, int], dict[str, Any]]:
    """(kept rows, counts, what was done about targets)."""
    data = configuration.data
    rows = sources.load(data, data.rows, data.seed)
    counts: Counter[str] = Counter(loaded=len(rows))
    rows = _drop_empty(rows, counts)
    rows = _drop_unscorable(rows, counts, configuration.hardware.reward_workers)
    rows = _drop_duplicates(rows, counts)
    _check_left(configuration, rows, counts)
    rows, targets = _with_targets(configuration, rows, counts)
    models.check(configuration.model.path)
    tokenizer = models.load_tokenizer(configuration.model.path, configuration.model.trust_remote_code)
    rows = _drop_special(rows, tokenizer, counts)
    rows = _rendered(configuration, rows, tokenizer, counts, targets)
    held_out = _suite_prompts(configuration) if rows else set()
    rows = _drop(rows, counts, "overlaps_suite", lambda row: _plain(row["prompt"]) in held_out)
    _check_left(configuration, rows, counts)
    _fill(data.targets_per_prompt, rows, targets)
    return rows, {"loaded": counts["loaded"], **{name: counts[name] for name in REASONS}, "kept": len(rows)}, targets


def _drop(rows: list[Row], counts: Counter[str], reason: str, leaves: Callable[[Row], bool]) -> list[Row]:
    kept = [row for row in rows if not leaves(row)]
    counts[reason] += len(rows) - len(kept)
    return kept


def _drop_empty(rows: list[Row], counts: Counter[str]) -> list[Row]:
    rows = _drop(rows, counts, "without_prompt", lambda row: not row["prompt"].strip())
    return _drop(rows, counts, "without_answer", lambda row: not row["reference"].strip())


def _drop_unscorable(rows: list[Row], counts: Counter[str], workers: int) -> list[Row]:
    """Rows whose reference the verifier cannot use, whatever the response."""
    verdicts = verify_many([Request(row["kind"], _PROBES[row["kind"]], row["reference"]) for row in rows], workers)
    unusable = {
        id(row)
        for row, verdict in zip(rows, verdicts, strict=True)
        if verdict.reason in ("bad_reference", "timeout", "crash")
    }
    return _drop(rows, counts, "unscorable_reference", lambda row: id(row) in unusable)


def _drop_duplicates(rows: list[Row], counts: Counter[str]) -> list[Row]:
    """All but the first row of each prompt, white space aside."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(_plain(row["prompt"]), id(row))
    return _drop(rows, counts, "duplicate", lambda row: first[_plain(row["prompt"])] != id(row))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _with_targets(
    configuration: Configuration, rows: list[Row], counts: Counter[str]
) -> tuple[list[Row], dict[str, Any]]:
    """Rows with their teacher's responses that the verifier calls right. A source without any keeps all its rows."""
    rows = [{**row, "targets": _written(configuration, row)} for row in rows]
    report: dict[str, Any] = {
        "present": any(row["targets"] for row in rows),
        "written": 0,
        "not_right": 0,
        "over_max_completion_length": 0,
        "repeated": 0,
    }
    if not report["present"]:
        return rows, report
    rows = _drop(rows, counts, "without_target", lambda row: not row["targets"])
    requests = [
        Request(row["kind"], text, row["reference"], {"extraction": "strict"})
        for row in rows
        for text in row["targets"]
    ]
    verdicts = iter(verify_many(requests, configuration.hardware.reward_workers))
    for row in rows:
        written = row["targets"]
        row["targets"] = [text for text in written if next(verdicts).outcome == "right"]
        report["written"] += len(written)
        report["not_right"] += len(written) - len(row["targets"])
    return _drop(rows, counts, "target_not_right", lambda row: not row["targets"]), report


def _written(configuration: Configuration, row: Row) -> list[str]:
    """The teacher's responses to a row, unverified: the world's scripted ones, or the source's solution."""
    if "item" not in row:
        return [row["solution"]] if row["solution"] else []
    from data import world

    data = configuration.data
    return [world.teacher(row["item"], data.teacher_distance, seed=k) for k in range(data.targets_per_prompt)]


def _drop_special(rows: list[Row], tokenizer: Any, counts: Counter[str]) -> list[Row]:
    """Rows without text that would be read as a control token: it could end a turn or open one in another's name."""
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    texts = {id(row): "\n".join([row["prompt"], *row["targets"]]) for row in rows}
    return _drop(rows, counts, "special_token_in_text", lambda row: any(token in texts[id(row)] for token in special))


def _rendered(
    configuration: Configuration, rows: list[Row], tokenizer: Any, counts: Counter[str], targets: dict[str, Any]
) -> list[Row]:
    """Rows as token ids, without those over a limit; a target over its limit leaves alone where the row has another."""
    from tqdm import tqdm

    data = configuration.data
    kept = []
    for row in tqdm(rows, desc="render", delay=2):
        prompt = models.prompt_ids(tokenizer, row["prompt"])
        if len(prompt) > data.max_prompt_length:
            counts["over_max_prompt_length"] += 1
            continue
        pairs = [(text, models.response_ids(tokenizer, text)) for text in row["targets"]]
        fitting = [(text, ids) for text, ids in pairs if len(ids) <= data.max_completion_length]
        targets["over_max_completion_length"] += len(pairs) - len(fitting)
        if pairs and not fitting:
            counts["over_max_completion_length"] += 1
            continue
        fields = {name: row[name] for name in ("id", "kind", "prompt", "reference")}
        kept.append(
            {
                **fields,
                "prompt_ids": prompt,
                "targets": [text for text, _ in fitting],
                "target_ids": [ids for _, ids in fitting],
            }
        )
    return kept


def _suite_prompts(configuration: Configuration) -> set[str]:
    """The prompts of the suite, of both its splits."""
    from data.suite import items

    splits = [configuration.suite.model_copy(update={"split": split}) for split in ("validation", "test")]
    return {_plain(item.prompt) for suite in splits for item in items(suite)}


def _fill(wanted: int, rows: list[Row], targets: dict[str, Any]) -> None:
    """Give every row as many targets as a step takes, by going round those it has; how many are repeats is told."""
    for row in rows if targets["present"] else []:
        targets["repeated"] += wanted - len(row["targets"])
        for name in ("targets", "target_ids"):
            row[name] = list(islice(cycle(row[name]), wanted))


def _check_left(configuration: Configuration, rows: list[Row], counts: Counter[str]) -> None:
    if rows:
        return
    told = ", ".join(f"{name} {counts[name]}" for name in REASONS if counts[name])
    raise UserError(
        f"data.source={configuration.data.source}",
        f"none of its {counts['loaded']} rows can be used ({told}), so there is nothing to train on",
        "see data.problem, data.answer, data.solution (a math answer stands in \\boxed{}), data.kind and both lengths",
    )
