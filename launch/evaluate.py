"""Evaluate any model on a suite: `python -m launch.evaluate model.path=FOLDER suite=NAME KEY=VALUE ...`.

`regrade=true` grades the stored responses of that evaluation again and generates nothing. Ends with 4 where a benchmark
that was asked for has no score.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from conf import freeze
from conf.files import read_json
from conf.schema import Configuration
from launch import command, folders, preflight
from launch.command import WorkerFailed
from launch.compose import compose
from launch.responses import responses
from launch.workers import Job, Usage, python_job, run_pool

NO_SCORE = 4  # exit code
REGRADE = "regrade=true"


def main(arguments: list[str]) -> None:
    """Generate and grade, and print the scores."""
    configuration = compose([argument for argument in arguments if argument != REGRADE])
    preflight.check(configuration)
    folder = folder_of(configuration)
    if REGRADE in arguments:
        regrade(configuration, folder)
    else:
        run(configuration, folder)
    scores = read_json(folder / "scores.json")
    print_scores(scores)
    print(f"scores: {folder / 'scores.json'}")
    check_scored(scores)


def folder_of(configuration: Configuration) -> Path:
    """Where the evaluation of this model on this suite stands: one folder for each of either."""
    model, suite = configuration.model.path, configuration.suite
    settings = json.dumps(suite.model_dump(mode="json", exclude={"batch_size", "shots", "download"}), sort_keys=True)
    short = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in (folders.fingerprint(model), settings)]
    name = f"{Path(model).name}-{short[0]}-{suite.name}-{suite.split}-{short[1]}"
    return folders.experiment_folder(configuration) / "evaluations" / name


def run(configuration: Configuration, folder: Path) -> None:
    """Share the items out over processes, and join what they made."""
    folder.mkdir(parents=True, exist_ok=True)
    with folders.held(folder):
        freeze.write(configuration, folder / "config.yaml")
        shares = [_share(configuration, folder, number) for number in range(_processes(configuration))]
        with responses(folder) as display:
            run_pool(shares, len(shares), display, Usage())
            run_pool(
                [python_job("scores", "launch.stage", ["scores", str(folder)], folder, configuration)],
                1,
                display,
                Usage(),
            )


def regrade(configuration: Configuration, folder: Path) -> None:
    """Grade again what stands in and below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    job = python_job("regrade", "launch.stage", ["regrade", str(folder)], folder, configuration)
    with responses(folder) as display:
        run_pool([job], 1, display, Usage())
    print(log_of(job), end="")


def log_of(job: Job) -> str:
    """What this start of a job wrote."""
    with job.log.open("rb") as file:
        file.seek(job.log_start)
        return file.read().decode("utf-8", errors="replace")


def check_scored(scores: dict[str, Any]) -> None:
    """Name what was asked for and has no score."""
    from evaluation.summing import unscored

    lacking = unscored(scores)
    if lacking:
        lines = "".join(f"\n  {name}: {reason}" for name, reason in lacking.items())
        asked = len(scores["benchmarks"]) + len(scores.get("missing", {}))
        raise WorkerFailed(f"{len(lacking)} of {asked} benchmarks have no score{lines}", NO_SCORE)


def print_scores(scores: dict[str, Any]) -> None:
    """A line a benchmark and group, percent: the score and its interval, ability whatever the form, what the form and
    the published extractor take off it, the mean over samples, responses cut at the limit."""
    heads = ("items", "greedy", "95%", "ability", "format", "extractor", "sampled", "cut")
    print(_line("", heads))
    for group, own in scores["groups"].items():
        print(_line(group, ("", *_scores(own))))
        for name in own["benchmarks"]:
            one = scores["benchmarks"][name]
            cut = f"{100 * one['truncated'] / one['responses']:.1f}" if one["responses"] else ""
            print(_line(f"  {name}", (one["items"], *_scores(one), cut)))
        for name in own["missing"]:
            print(f"  {name}: missing, the group's score is without it")


def _scores(own: dict[str, Any]) -> tuple[str, ...]:
    greedy, aware = own["greedy"], (own.get("modes") or {}).get("aware") or {}
    between = "" if greedy["low"] is None else f"{greedy['low']:.1f}-{greedy['high']:.1f}"
    losses = [_number((own.get(key) or {}).get("greedy")) for key in ("format_loss", "extractor_artefact")]
    return (_number(greedy), between, _number(aware.get("greedy")), *losses, _number(own["sampled"]))


def _number(cell: Any) -> str:
    """A score, or the score or difference of a cell."""
    value = cell.get("score", cell.get("difference")) if isinstance(cell, dict) else cell
    return "" if value is None else f"{value:.1f}"


def _line(name: str, values: tuple[object, ...]) -> str:
    return f"{name:<26}" + "".join(f"{value:>11}" for value in values)


def _share(configuration: Configuration, folder: Path, number: int) -> Job:
    """The job of one process, on a device of its own where there are devices."""
    of = _processes(configuration)
    name = "evaluate" if of == 1 else f"evaluate-{number}"
    arguments = ["evaluate", str(folder), str(number), str(of)]
    job = python_job(name, "launch.stage", arguments, folder, configuration)
    job.log = folder / f"{name}.log"
    if configuration.hardware.device == "cuda" and of > 1:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(of)))).split(",")
        job.environment["CUDA_VISIBLE_DEVICES"] = seen[number]
    return job


def _processes(configuration: Configuration) -> int:
    """As many as a run has devices; on CPUs as many as train side by side."""
    hardware = configuration.hardware
    return hardware.processes if hardware.device == "cuda" else hardware.workers


if __name__ == "__main__":
    command.run(main, __doc__)
