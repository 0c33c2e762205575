"""The training set, compiled once and read by every arm: load, drop and count, render, order, digest, write.

Rows go through in batches. What is kept of all of them is small (digests, counts); the rest is on disk.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

import models
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration, Data
from data import decontaminate, imitation, inputs, sources, steps, storage, suitefile
from data import order as orders
from data.columns import Row
from data.steps import REASONS, Work

BATCH = 1024  # rows a step sees at a time

Manifest = dict[str, Any]

__all__ = ["REASONS", "compile_dataset", "read"]


def compile_dataset(configuration: Configuration, folder: Path | str, experiment: Path | None = None) -> Manifest:
    """Write rows.parquet, order.npy and, last, manifest.json into `folder`, and return the manifest. What is held out
    is read from the suites' files in `experiment` where they stand.

    Equal inputs give equal bytes. A folder compiled from the same inputs is kept; one compiled from others is refused.
    """
    folder = Path(folder)
    given = inputs.read(configuration)
    done = _done(folder, given)
    if done is not None:
        return done
    with _scratch(folder) as scratch:
        described = _compile(configuration, scratch, experiment)
        train, seed = configuration.train, configuration.data.seed
        order = orders.make(described["counts"]["kept"], train.steps, train.prompts_per_step, seed)
        storage.write_order(scratch / "order.npy", order)
        digests = storage.digests(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("rows.parquet", "order.npy"):
            os.replace(scratch / name, folder / name)
    manifest = {"key": inputs.key(given), "inputs": given, **described, "digests": digests}
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
    if storage.digests(folder) != manifest["digests"]:
        raise storage.damaged(folder)
    return storage.read_rows(folder), storage.read_order(folder), manifest


def _done(folder: Path, given: inputs.Inputs) -> Manifest | None:
    """The manifest of a folder compiled from the same inputs; None where nothing was finished."""
    if not (folder / "manifest.json").is_file():
        return None
    manifest: Manifest = read_json(folder / "manifest.json")
    if manifest.get("key") != inputs.key(given):
        raise inputs.refuse(folder, manifest.get("inputs", {}), given)
    return manifest


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, on the same disk; what a run that was killed left in it is removed."""
    path = folder.parent / f".{folder.name}.writing"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _compile(configuration: Configuration, scratch: Path, experiment: Path | None) -> Manifest:
    """Write rows.parquet into `scratch`, and return what the manifest says of it."""
    data = configuration.data
    teacher = imitation.teacher(data, scratch) if _taught(data) else None
    models.check(configuration.model.path)
    tokenizer = models.tokenizer_of(configuration)
    suites = {"": configuration.suite, **configuration.suites}
    files = [suitefile.path(experiment, name) if experiment else None for name in suites]
    held = decontaminate.held_out(list(suites.values()), data.decontamination_ngram, files)
    work = Work(configuration, tokenizer, held, teacher)
    kept = taught = 0
    with storage.writing(scratch / "rows.parquet", bool(data.teacher_mistakes)) as write:
        for rows in _distinct(work, _stepped(work), scratch):
            for row in rows:
                _fill(work, row)
            write(rows)
            kept += len(rows)
            taught += sum(bool(row["targets"]) for row in rows)
    _check_left(work, kept)
    return _described(work, kept, taught)


def _taught(data: Data) -> bool:
    """Whether there is any response to imitate: looked for until the first is found."""
    if data.targets or data.source == "reasoning_gym":
        return bool(data.targets)
    return any(imitation.written(data, row) for row in sources.load(data, data.rows, data.seed))


def _stepped(work: Work) -> Iterator[list[Row]]:
    """The rows of the source, batch by batch, through all steps that look at one row after another."""
    from tqdm import tqdm

    data = work.configuration.data
    rows = sources.load(data, data.rows, data.seed)
    with tqdm(total=data.rows, desc="compile", delay=2) as progress:
        while batch := list(islice(rows, BATCH)):
            yield steps.run(work, batch)
            progress.update(len(batch))


def _distinct(work: Work, batches: Iterator[list[Row]], scratch: Path) -> Iterator[list[Row]]:
    """The batches without near duplicates, if those are to leave: for that every row has to be seen first."""
    similarity = work.configuration.data.near_duplicate_similarity
    if not similarity:
        yield from batches
        return
    from data.duplicates import Shingles

    shingles = Shingles(scratch / "shingles")
    with storage.writing(scratch / "all.parquet", bool(work.configuration.data.teacher_mistakes)) as write:
        for rows in batches:
            shingles.add([row["prompt"] for row in rows])
            write(rows)
    near = shingles.duplicates(similarity)
    start = 0
    for batch in storage.scan(scratch / "all.parquet"):
        yield work.drop(batch.to_pylist(), "near_duplicate", near[start : start + len(batch)].tolist())
        start += len(batch)


def _fill(work: Work, row: Row) -> None:
    """Give a row as many targets as a step takes, by going round those it has; how many are repeats is told."""
    wanted, has = work.configuration.data.targets_per_prompt, len(row["targets"])
    if 0 < has < wanted:
        work.targets["repeated"] += wanted - has
        for name in ("targets", "target_ids"):
            row[name] = list(islice(cycle(row[name]), wanted))


def _described(work: Work, kept: int, taught: int) -> Manifest:
    """What the manifest says of the rows: how many left and why, and how many each kind of arm can use."""
    told = ["written", "not_right", "special_token_in_text", "over_max_completion_length", "repeated"]
    told += ["attempts", "attempts_wrong"] if work.configuration.data.teacher_mistakes else []
    return {
        "counts": {
            **{name: work.counts[name] for name in ("loaded", *REASONS)},
            "kept": kept,
            "rows_for_policy_arms": kept,
            "rows_for_teacher_arms": taught,
        },
        "pairing": work.configuration.data.pairing,
        "targets": {
            "present": work.teacher is not None,
            **{name: work.targets[name] for name in told},
            "rows_without": {name: work.untaught[name] for name in steps.OF_TEACHERS},
        },
        "decontamination": {"ngram": work.held.n, "by_benchmark": dict(sorted(work.overlaps.items()))},
    }


def _check_left(work: Work, kept: int) -> None:
    """UserError where nothing is left, or where what `make targets` made belongs to other prompts."""
    data, counts = work.configuration.data, work.counts
    if data.targets and work.targets["written"] == 0 and sum(work.untaught.values()):
        raise UserError(
            f"data.targets={data.targets}",
            f"it holds no response to any of the {sum(work.untaught.values())} prompts of data.source={data.source}",
            "set data.targets to the folder that `make targets` made of this experiment",
        )
    if kept:
        return
    told = ", ".join(f"{name} {counts[name]}" for name in REASONS if counts[name])
    raise UserError(
        f"data.source={data.source}",
        f"none of its {counts['loaded']} rows can be used ({told}), so there is nothing to train on",
        "see data.problem, data.answer, data.solution (a math answer stands in \\boxed{}), data.kind and both lengths",
    )
