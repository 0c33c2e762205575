"""What is measured beside training: suites and functions of the user's own, at the base, at saves, at the end.

A measurement that fails never fails the training. It leaves `failed.json` where its result would be, and is owed until
one succeeds; `python -m train.owed FOLDER` makes up for what a run owes, be it failed or asked for after training.
"""

import functools
import importlib
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from conf.errors import UserError, unwritable
from conf.files import write_json
from conf.schema import Configuration, Moment, Where
from evaluation.spending import of_evaluation
from models import flops
from train import checkpoints, ledger, processes

if TYPE_CHECKING:
    from evaluation.run import Task

FAILED = "failed.json"
RESULT = "result.json"  # of a function or a measure of drift
FOLDERS = {"suite": "suites", "function": "functions", "drift": "drift"}
ANYWHERE: tuple[Where, ...] = ("training", "after", "slurm")
MAIN = ""  # the name of the run's own suite


class Disturbed(UserError):
    """A function changed the model that it was to measure."""


class Measurement(NamedTuple):
    """One thing that is asked for: a suite by its name in `suites`, a function by its dotted name, or a measure of
    drift."""

    kind: str  # suite, function, drift
    name: str
    when: tuple[Moment, ...]
    where: Where

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}" if self.name else "suite"


@dataclass(frozen=True)
class Event:
    """What a user's function is given: `def function(event) -> Mapping[str, float] | None`.

    What it returns is stored as the measured values, with the seconds it took. It may write files into `out`. It must
    leave `model` as it is, which is checked; whatever it draws from global random streams is undone.
    """

    step: int  # 0: the base
    last: bool  # the run's last checkpoint
    label: str  # base, or arm and seed
    weights: Path  # folder or hub id from which the model can be loaded
    out: Path
    model: Any  # in evaluation mode, whole, in this process alone
    tokenizer: Any
    configuration: Configuration


class Place(NamedTuple):
    """Where the results of one model go."""

    evaluation: Path
    step: int
    last: bool
    label: str
    weights: Path

    @property
    def moments(self) -> tuple[Moment, ...]:
        if self.step == 0:
            return ("base",)
        return ("save", "end") if self.last else ("save",)

    @property
    def experiment(self) -> Path:
        """Folder of the experiment, or of the comparison, where the models were not trained here."""
        above = self.evaluation.parents
        if above[1].name == "models":
            return above[2]
        return above[4 if self.step else 1]

    def of(self, one: Measurement) -> Path:
        if not one.name:
            return self.evaluation
        return self.evaluation / FOLDERS[one.kind] / one.name


def of_base(configuration: Configuration, experiment: Path) -> Place:
    """The base's place in the experiment's folder."""
    return Place(experiment / "base" / "evaluation", 0, False, "base", Path(configuration.model.path))


def of_checkpoint(configuration: Configuration, run: Path, step: int, last: bool) -> Place:
    """A checkpoint's place in its run's folder."""
    name, label = checkpoints.name(step), f"{configuration.recipe.name}/seed-{configuration.seed}"
    return Place(run / "evaluation" / name, step, last, label, run / "checkpoints" / name)


def asked(configuration: Configuration) -> list[Measurement]:
    """Everything that the configuration asks for, the run's own suite first."""
    suites = {MAIN: configuration.suite, **configuration.suites}
    found = [Measurement("suite", name, tuple(one.when), one.where) for name, one in suites.items()]
    hooks, drift = configuration.hooks, configuration.drift
    found += [Measurement("drift", name, tuple(drift.when), drift.where) for name in drift.measures]
    return found + [Measurement("function", name, tuple(hooks.when), hooks.where) for name in hooks.functions]


def wanted(configuration: Configuration, place: Place, where: tuple[Where, ...] = ("training",)) -> list[Measurement]:
    """What is asked for of this model at one of `where`, done or not."""
    return [one for one in asked(configuration) if set(one.when) & set(place.moments) and one.where in where]


def due(configuration: Configuration, place: Place, where: tuple[Where, ...] = ("training",)) -> list[Measurement]:
    """What of it has no result."""
    return [one for one in wanted(configuration, place, where) if not finished(place, one)]


def finished(place: Place, one: Measurement) -> bool:
    """Whether its result stands; results made under other settings are found out when it is measured again."""
    return (place.of(one) / ("scores.json" if one.kind == "suite" else RESULT)).is_file()


def owed(
    configuration: Configuration, folder: Path, where: tuple[Where, ...] = ANYWHERE
) -> list[tuple[Place, list[Measurement]]]:
    """What is asked for at one of `where` and has no result: of the base (folder: an experiment's), or of a run.

    The last checkpoint within the budget is the run's last, once the run is done.
    """
    places = [of_base(configuration, folder)]
    if folder.parent.parent.name == "arms":
        steps = sorted(int(one.name.removeprefix("step-")) for one in (folder / "checkpoints").glob("step-*"))
        ended = (folder / "done.json").exists()
        within = [step for step in steps if step <= ledger.compared(folder, configuration)]
        places = [of_checkpoint(configuration, folder, step, ended and step in within[-1:]) for step in steps]
    found = [(place, due(configuration, place, where)) for place in places]
    return [(place, measurements) for place, measurements in found if measurements]


def measure(
    configuration: Configuration,
    place: Place,
    measurements: list[Measurement],
    model: Callable[[], Any],
    tokenizer: Any,
) -> list[Measurement]:
    """Make each of `measurements` of what `model` gives; those that failed, each with a failed.json.

    Every process of a run comes here. A suite's items are shared out; drift and functions are the first process's.
    UserError on a full disk, where a function changed the model, and on a user's mistake before training begins.
    """
    failed = []
    held = functools.cache(model)
    base = functools.cache(lambda: _base(configuration, held()))  # one for all measures of drift
    for one in measurements:
        start = time.time()
        if one.kind != "suite" and processes.rank():
            continue
        try:
            if one.kind == "suite":
                _score(configuration, place, one, held, tokenizer)
            elif one.kind == "drift":
                _drift(configuration, place, one, base(), held(), tokenizer)
            else:
                _call(configuration, place, one, held(), tokenizer)
        except Exception as error:  # whatever a benchmark's or a user's code raises, the training goes on
            if isinstance(error, Disturbed) or (isinstance(error, UserError) and not place.step):
                raise
            if refused := unwritable(error, place.evaluation.parent):
                raise refused from error
            _note_failure(place, one, error, time.time() - start)
            failed.append(one)
        else:
            _forget_failure(place, one)
    return failed


def check(configuration: Configuration) -> None:
    """UserError where a function that hooks.functions names cannot be had, or a measure of drift."""
    from evaluation.drift import MEASURES

    if unknown := [name for name in configuration.drift.measures if name not in MEASURES]:
        change = f"name some of {', '.join(MEASURES)}"
        raise UserError(f"drift.measures={unknown[0]}", "there is no such measure of drift", change)
    for name in configuration.hooks.functions:
        _function(name)


def _score(
    configuration: Configuration, place: Place, one: Measurement, model: Callable[[], Any], tokenizer: Any
) -> None:
    """Every process answers its share of the items, and the first joins and scores what all have made."""
    from data import suitefile
    from evaluation.run import FEW_SHOTS, Task
    from models import digest

    first, suite = processes.rank() == 0, configuration.suites[one.name] if one.name else configuration.suite
    own = configuration.model_copy(update={"suite": suite})
    weights = processes.together(lambda: digest(str(place.weights)) if first else "")[0]
    of, where, compiled = (place.step, place.label, weights), place.of(one), suitefile.path(place.experiment, one.name)
    tasks = [Task(own, where, *of, compiled=compiled)]
    if suite.shots and not place.step:
        tasks.append(Task(own, where / FEW_SHOTS, *of, few_shots=True, compiled=compiled))
    for task in tasks:
        _answer(task, model, tokenizer)


def _answer(task: "Task", model: Callable[[], Any], tokenizer: Any) -> None:
    """Scores in the task's folder, unless they stand there."""
    from evaluation.run import is_finished, respond, score

    first, share, start = processes.rank() == 0, (processes.rank(), processes.count()), time.monotonic()
    if processes.together(lambda: first and is_finished(task) is not None)[0]:
        return
    processes.together(lambda: respond(task, model(), tokenizer, share))

    def join() -> None:
        score(task)
        if not task.few_shots:
            spent = of_evaluation(task.folder, tokenizer, shape_of(task.configuration), time.monotonic() - start)
            write_json(task.folder / ledger.FILE, spent | {"processes": processes.count()})

    processes.together(join if first else lambda: None)


def shape_of(configuration: Configuration) -> flops.Shape | None:
    """The sizes that decide what the model's matrix products cost, its adapter's included; None where unknown."""
    return flops.read(configuration.model.path, configuration.model.lora_rank)


def _call(configuration: Configuration, place: Place, one: Measurement, model: Any, tokenizer: Any) -> None:
    function, out, start = _function(one.name), place.of(one), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    given = Event(place.step, place.last, place.label, place.weights, out, model, tokenizer, configuration)
    with undisturbed(model):
        values = dict(function(given) or {})
    wrong = [key for key, value in values.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong:
        raise TypeError(f"{one.name} returned what is no number: {', '.join(map(str, wrong))}")
    write_json(out / RESULT, {"step": place.step, "values": values, "seconds": round(time.monotonic() - start, 3)})


def _base(configuration: Configuration, model: Any) -> Any:
    """In the type that `model` is held in: what is rounded in one of them alone would pass for drift."""
    from models.loading import load_configured

    as_trained = str(model.dtype) == f"torch.{configuration.model.dtype}"
    return load_configured(configuration, configuration.model.path, read_only=not as_trained)[0]


def _drift(configuration: Configuration, place: Place, one: Measurement, base: Any, model: Any, tokenizer: Any) -> None:
    from evaluation import drift

    out, start = place.of(one), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    experiment = place.experiment
    of_base = drift.Model(base, configuration.model.path, experiment / "base" / "evaluation")
    tuned = drift.Model(model, str(place.weights), place.evaluation)
    pair = drift.Pair(of_base, tuned, tokenizer, configuration, drift.new_task(place.experiment / "data"), out)
    with undisturbed(model):
        found = drift.measure(one.name, pair)
    seconds = round(time.monotonic() - start, 3)
    write_json(out / RESULT, {"step": place.step, "label": place.label, "values": found, "seconds": seconds})


def _function(name: str) -> Callable[[Event], Mapping[str, float] | None]:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        change = "write MODULE.FUNCTION of a module that `python -c 'import MODULE'` finds in this folder"
        raise UserError(f"hooks.functions={name}", f"it cannot be had: {error}", change) from None
    if not callable(found):
        raise UserError(f"hooks.functions={name}", "it is no function", "name a function of one argument, the event")
    return found  # type: ignore[no-any-return]


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Evaluation mode within, and afterwards the mode and the random streams of before.

    Disturbed where a parameter was changed: what is trained on from there would be another run.
    """
    import numpy as np
    import torch

    before, training = _parameters(model), model.training
    python, numbers = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        model.eval()
        try:
            yield
        finally:
            model.train(training)
            random.setstate(python)
            np.random.set_state(numbers)
            if _parameters(model) != before:
                given = "a function of hooks.functions changed the model's parameters"
                why = "training would go on from other weights than it had made"
                raise Disturbed(given, why, "let it work on a copy")


def _parameters(model: Any) -> list[int | float]:
    """A hash of each parameter's bits; it costs one pass over the weights."""
    import torch

    return [torch.hash_tensor(one.detach()).view(torch.int64).item() for one in model.parameters()]


def _note_failure(place: Place, one: Measurement, error: Exception, seconds: float) -> None:
    if processes.rank():
        traceback.print_exception(error)
        return
    where = place.of(one)
    where.mkdir(parents=True, exist_ok=True)
    said = f"{type(error).__name__}: {error}".strip()
    write_json(where / FAILED, {"what": one.title, "step": place.step, "error": said, "seconds": round(seconds, 3)})
    traceback.print_exception(error)
    print(f"{place.label}, step {place.step}: {one.title} failed; `make evaluate` makes up for it", flush=True)


def _forget_failure(place: Place, one: Measurement) -> None:
    if processes.rank() == 0:
        (place.of(one) / FAILED).unlink(missing_ok=True)
