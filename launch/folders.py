"""Run folders: where they are, and who may use them (`held`). A folder belongs to one configuration and one base."""

import hashlib
from pathlib import Path
from typing import Any

from conf import control, freeze
from conf.control import HARMLESS, TREATMENT
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from launch import manifest
from launch.holding import held as held
from models import seal
from train import facts, lock

SMALL_FILE_BYTES = 64 * 2**20
MACHINE = ("device", "devices", "device_count")  # facts that another machine decides, where it begins a run


def experiment_folder(configuration: Configuration) -> Path:
    """runs/<experiment>"""
    return configuration.runs / configuration.experiment.name


def run_folder(configuration: Configuration) -> Path:
    """runs/<experiment>/arms/<arm>/seed-<n>"""
    return experiment_folder(configuration) / "arms" / configuration.recipe.name / f"seed-{configuration.seed}"


def freeze_run(configuration: Configuration, begins: bool = True, keep: bool = False) -> Path:
    """The run's folder, made and holding its config.yaml and manifest.

    `begins`: on this machine, and now; else the job that begins it says so (`begin`). `keep`: write nothing. UserError
    where another run owns it, and where a run that is not done would differ in a confound from its experiment or from
    a run that has begun there.
    """
    folder = run_folder(configuration)
    base = fingerprint(configuration.model.path)
    if (folder / "config.yaml").exists():
        _check_own(folder, configuration, base)
        if keep or (done(folder) and not _goes_further(folder, configuration)):
            return folder
    begun = manifest.start(configuration, folder)
    _check_joins(configuration, base, begun, MACHINE if not begins else ())
    _write(configuration, folder, base, begun if begins else None)
    return folder


def freeze_experiment(configuration: Configuration, begins: bool = True, keep: bool = False) -> Path:
    """The experiment's folder, holding the config.yaml of what all arms share; UserError where it holds another's.

    `begins` and `keep` as for a run.
    """
    folder = experiment_folder(configuration)
    base = fingerprint(configuration.model.path)
    if (folder / "config.yaml").exists():
        _check_base(folder, configuration, base)
        _check_shared(folder, configuration, base)
        if prepared(folder) or keep:
            return folder
    _write(configuration, folder, base, manifest.start(configuration, folder) if begins else None)
    return folder


def begin(folder: Path) -> None:
    """Note in a frozen folder that it begins now, on this machine; UserError where that makes a run another than the
    runs of its experiment are."""
    configuration = freeze.read(folder / "config.yaml")
    base, begun = fingerprint(configuration.model.path), manifest.start(configuration, folder)
    for note in (folder / "slurm.json", folder / "slurm" / "prepare.json"):
        begun |= {"command": read_json(note)["command"]} if note.exists() else {}  # as a person typed it
    if folder.absolute() == run_folder(configuration).absolute():
        _check_joins(configuration, base, begun)
    manifest.write_manifest(folder, base, begun)


def check_targets(experiment: Path, configurations: list[Configuration]) -> None:
    """Refuse an arm that imitates where the compiled data has nothing to imitate, before any is trained."""
    imitating = sorted({given.recipe.name for given in configurations if given.imitates})
    if imitating and not read_json(experiment / "data" / "manifest.json")["targets"]["present"]:
        source = configurations[0].data.source
        given = f"recipe={imitating[0]} on data.source={source}, which holds no responses"
        change = "set data.solution to the column that holds them"
        raise UserError(given, "supervised fine-tuning has nothing to imitate", change)


def done(folder: Path) -> bool:
    """Whether the worker finished this run as it is now frozen."""
    return freeze.marked(folder, "done.json")


def prepared(folder: Path) -> bool:
    """Whether the experiment's data and base evaluation stand, for the configuration now frozen."""
    return freeze.marked(folder, "prepared.json")


def fingerprint(path: str) -> str:
    """A cheap digest of a model folder: names, sizes, content of files under 64 MB. A hub id stands for itself."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    total = hashlib.sha256()
    kinds = (".json", ".safetensors", ".jinja", ".model")
    for file in sorted(file for file in folder.iterdir() if file.suffix in kinds and file.name not in seal.LATER):
        size = file.stat().st_size
        total.update(f"{file.name} {size}\n".encode())
        if size <= SMALL_FILE_BYTES:
            total.update(file.read_bytes())
    return total.hexdigest()


def _goes_further(folder: Path, configuration: Configuration) -> bool:
    """Whether a finished run is asked to go on past its budget, farther than it did."""
    return configuration.total_steps > freeze.read(folder / "config.yaml").total_steps


def _write(configuration: Configuration, folder: Path, base: str, begun: dict[str, Any] | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    freeze.write(configuration, folder / "config.yaml")
    manifest.write_manifest(folder, base, begun)


def _check_base(folder: Path, configuration: Configuration, base: str) -> None:
    path = folder / "manifest.json"
    if path.exists() and read_json(path)["base"] != base:
        given = f"{folder} was made from another base than {configuration.model.path} holds now"
        raise UserError(given, "its results came from other weights, and would be compared with these", _anew(folder))


def _check_own(folder: Path, configuration: Configuration, base: str) -> None:
    """Refuse a run's folder made by another configuration or from another base: one run would mix two settings."""
    _check_base(folder, configuration, base)
    now = facts.of(configuration) | {"fingerprint": base}
    found = freeze.classify(*facts.common(facts.of_run(folder), now)).values()
    wrong = [one for one in found if one.kind != HARMLESS]
    freeze.refuse(wrong, f"{folder} belongs to another configuration", _anew(folder), allowable=False)


def _check_shared(folder: Path, configuration: Configuration, base: str) -> None:
    """Refuse an experiment's folder made by another configuration, as far as the configuration is not one arm's."""
    now = facts.of(configuration) | {"fingerprint": base}
    shared = facts.common(facts.of_experiment(folder), now)
    wrong = freeze.confounds(*shared, skip=facts.ARM_ONLY)
    freeze.refuse(wrong, f"{folder} belongs to another configuration", _anew(folder))
    found = freeze.classify(*shared, skip=facts.ARM_ONLY).values()
    _check_compiled(folder, [one for one in found if one.kind == TREATMENT or one.allowed])


def _check_compiled(folder: Path, passing: list[freeze.Difference]) -> None:
    """Refuse to let pass what decides the compiled data: an arm has no data of its own, so it would change nothing."""
    path = folder / "data" / "manifest.json"
    inputs = tuple(read_json(path)["inputs"]) if passing and path.exists() else ()
    vain = [one.key for one in passing if freeze.matches(one.key, inputs)]
    if vain:
        why = f"all arms of {folder} read its one compiled data set, so the arm would go by the data's value"
        change = "give experiment.name=NAME, and compare runs of both experiments by `make audit RUNS=...`"
        raise UserError(f"{', '.join(vain)}: other than in the compiled data", why, change)


def _check_joins(configuration: Configuration, base: str, begun: dict[str, Any], unknown: tuple[str, ...] = ()) -> None:
    """Refuse a run that would differ in a confound from what stands in its experiment already; facts that match
    `unknown` are not compared."""
    stated = facts.of(configuration, lock.light(configuration)) | facts.of_start(begun) | {"fingerprint": base}
    now = {key: value for key, value in stated.items() if not control.matches(key, unknown)}
    experiment = experiment_folder(configuration)
    if prepared(experiment):
        _check_like(experiment, facts.of_experiment(experiment), now, facts.ARM_ONLY)
    for run in sorted(experiment.glob("arms/*/seed-*")):
        if any(run.glob("checkpoints/step-*")) or done(run):
            _check_like(run, facts.of_run(run), now)


def _check_like(folder: Path, there: facts.Facts, now: facts.Facts, skip: tuple[str, ...] = ()) -> None:
    wrong = freeze.confounds(*facts.common(there, now), skip=skip)
    freeze.refuse(wrong, f"the run would not be as {folder} is", "give experiment.name=NAME for a new experiment")


def _anew(folder: Path) -> str:
    return f"give experiment.name=NAME for a new folder, or remove {folder}"
