"""SFT targets by rejection sampling: `python -m launch.targets experiment=embedded targets.model=NAME KEY=VALUE ...`.

targets.q=base samples from the base. targets.backend: endpoint (an OpenAI-compatible server), vllm, transformers.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import models
from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from data import endpoint, targets
from launch import cluster, command, folders, preflight
from launch.compose import compose
from launch.workers import Job, Usage, environment, python_job, run_pool
from models.folder import is_hub_id

LINE_SECONDS = 15.0
OUTCOMES = ("right", "wrong", "unscorable", "failed")
INSTALL = "`pip install -c constraints.txt -e '.[vllm]'` on a machine with a GPU, or set targets.backend=endpoint"


def main(arguments: list[str]) -> None:
    """Sample, judge and keep; then say what came out, what it cost, and how a run uses it."""
    configuration = compose(arguments)
    if cluster.whole(configuration, ["launch.targets", *arguments]):
        return
    check(configuration)
    folder = place(configuration)
    if targets.backend(configuration) == "endpoint" and not (folder / "manifest.json").exists():
        endpoint.connect(configuration.targets)  # its refusal costs a second here, and minutes after the compile step
    with folders.held(folder):
        freeze.write(configuration, folder / "config.yaml")
        job = python_job("targets", "launch.stage", ["targets", str(folder)], folder, configuration)
        job.environment = _environment(configuration)
        (folder / "progress.json").unlink(missing_ok=True)
        with display(folder / "progress.json") as shown:
            run_pool([job], 1, shown, Usage())
    print("\n".join(summary(read_json(folder / "manifest.json"), folder)))


def check(configuration: Configuration) -> None:
    """UserError for what can be known to fail before anything is sampled."""
    targets.check(configuration)
    preflight.check(configuration)
    backend, teacher = targets.backend(configuration), configuration.targets.model
    if backend == "vllm" and find_spec("vllm") is None:
        raise UserError("targets.backend=vllm", "the package vllm is not installed", INSTALL)
    if backend == "endpoint" or not teacher:
        return
    if is_hub_id(teacher):
        preflight.check_hub("targets.model", teacher, "model", "targets.backend=endpoint asks a server")
        return
    try:
        models.check(teacher)
    except UserError as error:
        given, change = (text.replace("model.path", "targets.model") for text in (error.given, error.change))
        raise UserError(given, error.why, change) from None


def place(configuration: Configuration) -> Path:
    """runs/<experiment>/targets/<name>: a folder of its own for whatever changes a response."""
    here = targets.backend(configuration) != "endpoint"
    model = configuration.model.path if configuration.targets.q == "base" else configuration.targets.model
    name = targets.name(configuration, folders.fingerprint(model) if here else model)
    return folders.experiment_folder(configuration) / "targets" / name


def summary(manifest: dict[str, Any], folder: Path) -> list[str]:
    """What a person wants to know at the end, a line each."""
    counts, ledger, failures = manifest["counts"], manifest["ledger"], manifest["failures"]
    asked = max(1, counts["asked"])
    lines = [f"{counts['prompts']} prompts, {counts['asked']} responses asked for"]
    lines += [f"  {name:<11}{counts[name]:>8}  {counts[name] / asked:6.1%}" for name in OUTCOMES]
    lines += [f"    {kind} {n}: {manifest['failure_examples'][kind]}" for kind, n in failures.items()]
    share = counts["prompts_with_right"] / max(1, counts["prompts"])
    lines.append(f"prompts with a target: {counts['prompts_with_right']} ({share:.1%})")
    if counts["cut"]:
        lines.append(
            f"cut at targets.max_new_tokens: {counts['cut']} (right, and yet no target: {counts['right_but_cut']})"
        )
    told = f", {manifest['ever']['estimated']} responses counted by the base's tokenizer"
    lines.append(
        f"tokens: {ledger['tokens_prompted']} prompted, {ledger['tokens_generated']} generated"
        + (told if manifest["ever"]["estimated"] else "")
    )
    lines.append(f"seconds: {ledger['seconds']:.0f}")
    if failures:
        lines.append("the same command asks again for what failed, and for nothing else")
    lines.append(f"use: data.targets={folder}")
    return lines


def _environment(configuration: Configuration) -> dict[str, str]:
    """The worker's environment; with a teacher from a hub, as online as this command is."""
    variables = environment(configuration)
    if targets.backend(configuration) == "endpoint" or not is_hub_id(configuration.targets.model):
        return variables
    return {key: value for key, value in variables.items() if key not in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")}


@contextmanager
def display(file: Path) -> Iterator["Bar | Lines"]:
    """Shows what `file` says while the worker runs: a bar with the time left, or a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(file)
        return
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(TextColumn("targets"), *columns, TextColumn("{task.description}"), console=console) as bars:
        bar = Bar(file, bars)
        yield bar
        bar.update([])  # the worker's last word


class Bar:
    """One live bar."""

    def __init__(self, file: Path, bars: Progress) -> None:
        self.file, self.bars, self.task = file, bars, bars.add_task("compiling the prompts", total=None)

    def update(self, jobs: list[Job]) -> None:
        """Redraw."""
        if self.file.exists():
            state = read_json(self.file)
            self.bars.update(self.task, total=state["total"], completed=state["done"], description=_words(state))


class Lines:
    """A line every quarter of a minute."""

    def __init__(self, file: Path) -> None:
        self.file, self.last = file, time.monotonic()

    def update(self, jobs: list[Job]) -> None:
        """Print where it stands, if it is time."""
        if time.monotonic() - self.last > LINE_SECONDS and self.file.exists():
            self.last, state = time.monotonic(), read_json(self.file)
            print(f"{state['done']}/{state['total']}  {_words(state)}", flush=True)


def _words(state: dict[str, int]) -> str:
    """Of this start alone."""
    return "  ".join(f"{name} {state[name]}" for name in OUTCOMES if state.get(name))


if __name__ == "__main__":
    command.run(main, __doc__)
