"""Evaluate any model on a suite: `python -m launch.evaluate model.path=FOLDER suite=NAME KEY=VALUE ...`.

Without a model: whatever the runs of the experiment still owe of measurements, or where they owe nothing, its base.
`regrade=true` grades the stored responses of that evaluation again and generates nothing. Ends with 4 where a benchmark
that was asked for has no score.
"""

import hashlib
import json
import os
from pathlib import Path

from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from data.suite import FREE
from launch import cluster, command, folders, preflight
from launch.compose import compose, given
from launch.responses import responses
from launch.scores import NO_SCORE, check_scored, print_scores
from launch.training import measure, owing
from launch.workers import Job, Usage, python_job, run_pool

REGRADE = "regrade=true"


def main(arguments: list[str]) -> None:
    """Generate and grade, and print the scores."""
    configuration = compose([argument for argument in arguments if argument != REGRADE])
    if REGRADE not in arguments and cluster.whole(configuration, ["launch.evaluate", *arguments]):
        return
    preflight.check(configuration)
    named = given(arguments, "model.path") or given(arguments, "model") or REGRADE in arguments
    if not named and made_up(configuration):
        return
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
    settings = json.dumps(suite.model_dump(mode="json", exclude=FREE), sort_keys=True)
    short = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in (folders.fingerprint(model), settings)]
    name = f"{Path(model).name}-{short[0]}-{suite.name}-{suite.split}-{short[1]}"
    return folders.experiment_folder(configuration) / "evaluations" / name


def run(configuration: Configuration, folder: Path) -> None:
    """Share the items out over processes, and join what they made."""
    folder.mkdir(parents=True, exist_ok=True)
    with folders.held(folder):
        freeze.write(configuration, folder / "config.yaml")
        shares = [_share(configuration, folder, number) for number in range(_processes(configuration))]
        items, join = (
            python_job(name, "launch.stage", [name, str(folder)], folder, configuration) for name in ("items", "scores")
        )
        with responses(folder) as display:
            run_pool([items], 1, display, Usage())
            run_pool(shares, len(shares), display, Usage())
            run_pool([join], 1, display, Usage())


def regrade(configuration: Configuration, folder: Path) -> None:
    """Grade again what stands in and below `folder`."""
    if not any(folder.rglob("scores.json")):
        why = "there are no stored responses to grade"
        raise UserError(
            f"{folder} holds no evaluation", why, "run the same command without regrade=true, or `make pair`"
        )
    suites = (configuration.suite, *configuration.suites.values())
    local = {name: path for suite in suites for name, path in suite.local.items()}
    where = {"local": local, "download": configuration.suite.download}
    arguments = ["regrade", str(folder), json.dumps(where), str(configuration.hardware.reward_workers)]
    job = python_job("regrade", "launch.stage", arguments, folder, configuration)
    job.log = folder / "regrade.log"
    with responses(folder) as display:
        run_pool([job], 1, display, Usage())
    print(log_of(job), end="")


def log_of(job: Job) -> str:
    """What this start of a job wrote."""
    with job.log.open("rb") as file:
        file.seek(job.log_start)
        return file.read().decode("utf-8", errors="replace")


def made_up(configuration: Configuration) -> bool:
    """Make up for what the experiment owes; whether it owed anything. Exit code 4 where it still does."""
    experiment = folders.experiment_folder(configuration)
    if not folders.prepared(experiment):
        return False
    runs = sorted(experiment.glob("arms/*/seed-*"))
    places = [experiment, *(run for run in runs if folders.done(run))]
    if not any(owing(place) for place in places):
        return False
    with folders.held(experiment):
        measure(experiment, runs, configuration, Usage(), everything=True)
    if any(owing(place) for place in places):
        raise SystemExit(NO_SCORE)
    return True


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
    """As many as a run has devices on this machine; on CPUs as many as a run has processes, or train side by side."""
    hardware = configuration.hardware
    here = hardware.processes // hardware.nodes
    return here if hardware.device == "cuda" else max(here, hardware.workers)


if __name__ == "__main__":
    command.run(main, __doc__)
