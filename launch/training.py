"""Prepare an experiment once, then train any number of its runs; what is done and valid is kept."""

import signal
import sys
from pathlib import Path
from types import FrameType

from conf import freeze
from conf.files import read_json
from conf.schema import Configuration, Where
from data import suitefile
from launch import cluster, estimate, folders, preflight, ranks
from launch.command import Stopped
from launch.progress import progress
from launch.workers import Job, Usage, python_job, run_pool
from train import measuring


def train_all(
    configurations: list[Configuration],
    usage: Usage | None = None,
    experiment_of: list[Configuration] | None = None,
    again: cluster.Again | None = None,
) -> list[Path]:
    """Run folders of `configurations` (all of one experiment), each trained and evaluated to its end.

    `experiment_of`: all of the experiment, where these are a part of it; the first of them says what all share.
    `again`: module and arguments of this command, which on Slurm follows the runs; Submitted where they are queued.
    UserError before anything is spent, KeyboardInterrupt on Ctrl-C, WorkerFailed when a worker ended badly.
    """
    usage = usage or Usage()
    every = experiment_of or configurations
    shared = every[0]
    preflight.check(shared, len(every))
    if shared.hardware.launcher != "slurm":  # there a time limit does it
        _begin_piece(shared.hardware.piece_minutes)
    with folders.held(folders.experiment_folder(shared)):
        if shared.hardware.launcher == "slurm":
            runs = cluster.train_all(configurations, every, again)
            _tell_failed(folders.experiment_folder(shared))
            return runs
        return _train_here(configurations, every, usage)


def _begin_piece(minutes: float) -> None:
    """From now on this command has so many minutes (0: all it takes), then Stopped; called again, nothing more."""
    if minutes and signal.getsignal(signal.SIGALRM) is not _end_piece:
        signal.signal(signal.SIGALRM, _end_piece)
        signal.setitimer(signal.ITIMER_REAL, 60 * minutes)


def _end_piece(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _train_here(configurations: list[Configuration], every: list[Configuration], usage: Usage) -> list[Path]:
    """Prepare the experiment if need be, and train the runs that are not done."""
    experiment, places = folders.experiment_folder(every[0]), [folders.run_folder(given) for given in configurations]
    open_ = [(run, given) for run, given in zip(places, configurations, strict=True) if not folders.done(run)]
    cluster.refuse_queued(experiment, open_)
    folders.freeze_experiment(every[0])
    runs = [folders.freeze_run(configuration) for configuration in configurations]
    todo = [(run, given) for run, given in zip(runs, configurations, strict=True) if not folders.done(run)]
    ready = folders.prepared(experiment)
    _announce(runs, [given for _, given in todo], ready)
    if not ready:
        _prepare(experiment, every[0], usage)
    if todo:
        folders.check_targets(experiment, every)
        _train(todo, usage)
    measure(experiment, runs, every[0], usage)
    return runs


def measure(experiment: Path, runs: list[Path], shared: Configuration, usage: Usage, everything: bool = False) -> None:
    """What the base and the runs still owe of measurements, here; what asked for a job of its own is named.

    `everything`: that, too. What fails is told, and stays owed.
    """
    places = [experiment, *(run for run in runs if folders.done(run))]
    now = [place for place in places if owing(place, None if everything else ("training", "after"))]
    jobs = [_beside(f"measure {_title(one)}", "train.owed", _arguments(one, everything), one, shared) for one in now]
    if jobs:
        with progress(0) as display:
            run_pool(jobs, shared.hardware.workers, display, usage)
    for place, names in ((place, owing(place)) for place in places):
        if names:
            print(f"{_title(place)} owes: {', '.join(names)}; `make evaluate` makes up for it", flush=True)


def _tell_failed(experiment: Path) -> None:
    """Name the measurements that failed in jobs of their own and were not made up for."""
    for pattern in ("base/evaluation", "arms/*/seed-*/evaluation/step-*"):
        for file in sorted(one for place in experiment.glob(pattern) for one in place.rglob(measuring.FAILED)):
            found, where = read_json(file), str(file.relative_to(experiment)).partition("/evaluation")[0]
            told = f"{where.removeprefix('arms/')}, step {found['step']}: {found['what']} failed ({found['error']})"
            print(f"{told}; `make evaluate` makes up for it", flush=True)


def owing(folder: Path, where: tuple[Where, ...] | None = None) -> list[str]:
    """What the base (an experiment's folder) or a run owes of measurements, in words."""
    found = measuring.owed(freeze.read(folder / "config.yaml"), folder, where or measuring.ANYWHERE)
    return [f"{one.title} at step {place.step}" for place, every in found for one in every]


def _arguments(folder: Path, everything: bool) -> list[str]:
    return [str(folder), *([] if everything else ("training", "after"))]


def _title(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.parent.parent.name == "arms" else "base"


def _announce(runs: list[Path], todo: list[Configuration], ready: bool) -> None:
    """Say what is done, what will be done, and how long that takes."""
    print(f"{len(runs) - len(todo)} of {len(runs)} runs are done", flush=True)
    if todo:
        print(f"training {len(todo)}: {estimate.words(estimate.total(todo, not ready))}", flush=True)


def _prepare(experiment: Path, configuration: Configuration, usage: Usage) -> None:
    """Compile the data, write the lock and evaluate the base, in a process of its own."""
    print("compiling the data and evaluating the base", flush=True)
    job = _beside("base", "train.prepare", [str(experiment / "config.yaml")], experiment, configuration)
    with progress(0) as display:
        run_pool([job], 1, display, usage)
    _tell_missing(experiment, configuration)


def _tell_missing(experiment: Path, configuration: Configuration) -> None:
    """Name the benchmarks that the suites are scored without, and why it is so with the first."""
    for name, suite in {"": configuration.suite, **configuration.suites}.items():
        file = suitefile.path(experiment, name)
        reasons = suitefile.missing(suite.split, file) if file.is_file() else {}
        if reasons:
            why = next(iter(reasons.values()))
            print(f"suite {suite.name} is scored without {', '.join(reasons)}: {why}", flush=True)


def _beside(name: str, module: str, arguments: list[str], folder: Path, configuration: Configuration) -> Job:
    """A job that measures, in as many processes as train on this machine."""
    job = python_job(name, module, arguments, folder, configuration)
    job.command = ranks.beside(configuration, module, arguments)
    ranks.forget(folder)
    return job


def _train(todo: list[tuple[Path, Configuration]], usage: Usage) -> None:
    """Every run that is not done, `hardware.workers` side by side."""
    jobs = [training_job(run, given) for run, given in todo]
    shared = todo[0][1]
    with progress(shared.total_steps) as display:
        run_pool(jobs, shared.hardware.workers, display, usage)


def training_job(run: Path, configuration: Configuration) -> Job:
    """The training of one run, in as many processes and on as many machines as it takes."""
    started = python_job(f"{run.parent.name}/{run.name}", "train", [str(run)], run, configuration)
    started.stops = True
    ranks.write(configuration, run)
    if configuration.hardware.hosts:
        started.command = [sys.executable, "-m", "launch.hosts", str(run)]
    elif ranks.several(configuration):
        started.command = ranks.command(configuration, run)
    return started
