"""What needs a process of its own, for it loads torch or draws: `python -m launch.stage STAGE FOLDER`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from conf import freeze
from conf.errors import ending
from conf.schema import Configuration

if TYPE_CHECKING:
    from evaluation.run import Task


def main(arguments: list[str]) -> None:
    """Run one stage on a folder."""
    stage, folder, *more = arguments
    stages: dict[str, Callable[..., None]] = {
        "report": report,
        "beside": beside,
        "begin": begin,
        "check": check,
        "failed": failed,
        "items": compile_items,
        "evaluate": evaluate_model,
        "scores": score_model,
        "regrade": regrade,
        "targets": make_targets,
    }
    code = ending(lambda: stages[stage](Path(folder), *more), Path(folder))
    if code:
        raise SystemExit(code)


def report(folder: Path, fail_if: str = "", unsure: str = "") -> None:
    """Write the experiment's report, and into it what becomes of the conditions in `fail_if`."""
    from evaluation.report import write_report

    write_report(folder, fail_if, bool(unsure))


def compile_items(folder: Path) -> None:
    """The items of the suite of folder/config.yaml, into one file that all processes read."""
    from data import suitefile

    suitefile.compile_one(freeze.read(folder / "config.yaml").suite, folder / suitefile.NAME)


def evaluate_model(folder: Path, number: str, of: str) -> None:
    """One process's share of what the model of folder/config.yaml has to answer."""
    from evaluation.run import respond
    from models.loading import load_configured
    from train.worker import settle

    configuration = freeze.read(folder / "config.yaml")
    settle(configuration, folder)
    tasks = _unfinished(configuration, folder)
    if tasks:
        model, tokenizer = load_configured(configuration, read_only=True)
        for task in tasks:
            respond(task, model, tokenizer, (int(number), int(of)))


def beside(folder: Path, label: str) -> None:
    """What is measured of a compared model with the base beside it."""
    from train.comparing import measure
    from train.worker import settle

    place = folder / "models" / label / "evaluation"
    settle(freeze.read(place / "config.yaml"), place)
    measure(folder, label)


def score_model(folder: Path) -> None:
    """Join what all processes have made, and score it."""
    from evaluation.run import score

    for task in _unfinished(freeze.read(folder / "config.yaml"), folder):
        score(task)


def _unfinished(configuration: Configuration, folder: Path) -> "list[Task]":
    """The evaluations of a model that folder/config.yaml asks for and that do not stand there yet."""
    import models
    from data import suitefile
    from evaluation.run import FEW_SHOTS, Task, is_finished

    path, items = configuration.model.path, folder / suitefile.NAME
    digest = models.identity(path, configuration.template_of)
    tasks = [Task(configuration, folder, 0, path, digest, compiled=items)]
    if configuration.suite.shots:
        tasks.append(Task(configuration, folder / FEW_SHOTS, 0, path, digest, few_shots=True, compiled=items))
    return [task for task in tasks if not is_finished(task)]


def regrade(folder: Path, where: str, workers: str) -> None:
    """Grade the stored responses of every evaluation below the folder again; `where`: keys of the suite that say where
    its items are, as JSON."""
    from evaluation.regrade import regrade_all

    regrade_all(folder, json.loads(where), int(workers))


def make_targets(folder: Path) -> None:
    """Sample and judge the responses that folder/config.yaml asks for."""
    from data.targets import make
    from evaluation.grade import check_verifiers
    from train.worker import settle

    configuration = freeze.read(folder / "config.yaml")
    settle(configuration, folder)
    check_verifiers({configuration.data.kind}, configuration.hardware.reward_workers)
    make(configuration, folder)


def begin(folder: Path) -> None:
    """Note that the run in folder, or the experiment, begins on this machine."""
    from launch.folders import begin

    begin(folder)


def check(folder: Path) -> None:
    """Refuse a run of the experiment in folder that has nothing to imitate."""
    from launch.folders import check_targets

    check_targets(folder, [freeze.read(path) for path in sorted(folder.glob("arms/*/seed-*/config.yaml"))])


def failed(folder: Path) -> None:
    """Say which process of the run in folder failed first, where that is known."""
    from launch.ranks import first_failure

    log = folder / "worker.log"
    first = first_failure(folder, log.read_text(errors="replace")[-20_000:] if log.exists() else "")
    print(f"error: {first[1]}" if first else f"error: the run failed; see {log}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
