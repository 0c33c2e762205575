"""The report of an experiment, from its files alone: `python -m launch.report experiment=embedded`.

`fail_if="non_reasoning < -3"` makes it a gate: it ends with 5 where a model's 95% interval says so (docs/compare.md).
"""

import os
from pathlib import Path

from conf.errors import UserError
from conf.schema import Configuration
from launch import audit, command, folders, gating
from launch.compose import compose
from launch.progress import progress
from launch.workers import Usage, python_job, run_pool
from train import card


def main(arguments: list[str]) -> None:
    """Write the report of the experiment that the arguments name."""
    rest, gate = gating.apart(arguments)
    gating.refuse_unused(gate)
    configuration = gating.applied(compose(rest), gate)
    page = write(configuration, Usage(), again=True)
    print(f"report: {page}")
    gating.check(page, configuration)


def write(configuration: Configuration, usage: Usage, again: bool = False) -> Path:
    """report/index.html of the experiment, written unless it is newer than all that it shows."""
    folder = folders.experiment_folder(configuration)
    page = folder / "report" / "index.html"
    if not (folder / "base" / "evaluation" / "scores.json").exists():
        name = configuration.experiment.name
        raise UserError(
            f"{folder} holds no evaluation",
            "there is nothing to report",
            f"run `python -m launch.pair experiment={name}`",
        )
    gate = configuration.gate
    if again or gate.fail_if or not _current(folder, page):
        (folder / "report").mkdir(exist_ok=True)
        if not (folder / "compare.json").exists():  # those were not trained here: there is nothing to audit
            audit.write(folder)
            _refresh_cards(folder)
        stage = ["report", str(folder), gate.fail_if, "unsure" if gate.unsure else ""]
        job = python_job("report", "launch.stage", stage, folder / "report", configuration)
        with progress(0) as display:
            run_pool([job], 1, display, usage)
    return page.resolve()


def _refresh_cards(folder: Path) -> None:
    """Model cards tell the new audit; that of a run with a damaged file stays as it is."""
    try:
        card.refresh(folder)
    except (UserError, *audit.DAMAGED) as error:
        said = " ".join(str(error).split())[:200]
        print(f"not all model cards were written anew: a file of a run cannot be read: {said}", flush=True)


def _current(folder: Path, page: Path) -> bool:
    """Whether the page is newer than every score, ledger and finished run."""
    if not page.exists():
        return False
    sources = [file for name in ("scores.json", "done.json", "prepared.json") for file in folder.rglob(name)]
    return all(os.stat(file).st_mtime_ns <= os.stat(page).st_mtime_ns for file in sources)


if __name__ == "__main__":
    command.run(main, __doc__)
