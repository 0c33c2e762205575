"""Run folders: where they are, and who may use them. A folder belongs to one configuration and one base."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from launch.manifest import write_manifest

SMALL_FILE_BYTES = 64 * 2**20
ARM_ONLY = ("recipe", "seed")  # what the shared part of an experiment does not depend on


def experiment_folder(configuration: Configuration) -> Path:
    """runs/<experiment>"""
    return configuration.runs / configuration.experiment.name


def run_folder(configuration: Configuration) -> Path:
    """runs/<experiment>/arms/<arm>/seed-<n>"""
    return experiment_folder(configuration) / "arms" / configuration.recipe.name / f"seed-{configuration.seed}"


def freeze_run(configuration: Configuration) -> Path:
    """The run's folder, made and holding its config.yaml and manifest; UserError where another run owns it."""
    folder = run_folder(configuration)
    _freeze(configuration, folder, freeze.HARMLESS, "done.json")
    return folder


def freeze_experiment(configuration: Configuration) -> Path:
    """The experiment's folder, holding the config.yaml of what all arms share."""
    folder = experiment_folder(configuration)
    _freeze(configuration, folder, freeze.HARMLESS + ARM_ONLY, "prepared.json")
    return folder


def done(folder: Path) -> bool:
    """Whether the worker finished this run as it is now frozen."""
    return freeze.marked(folder, "done.json")


def prepared(folder: Path) -> bool:
    """Whether the experiment's data and base evaluation stand, for the configuration now frozen."""
    return freeze.marked(folder, "prepared.json")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the experiment's folder for this command; UserError while another command works in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder} is in use by another command",
                "two writers would mix their steps in one run",
                "wait for it, or give this one its own experiment.name=NAME",
            ) from None
        yield


def fingerprint(path: str) -> str:
    """A cheap digest of a model folder: names, sizes, content of files under 64 MB. A hub id stands for itself."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    total = hashlib.sha256()
    for file in sorted(
        file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".jinja", ".model")
    ):
        size = file.stat().st_size
        total.update(f"{file.name} {size}\n".encode())
        if size <= SMALL_FILE_BYTES:
            total.update(file.read_bytes())
    return total.hexdigest()


def _freeze(configuration: Configuration, folder: Path, harmless: tuple[str, ...], marker: str) -> None:
    """Write config.yaml and manifest.json, or find that the ones there are of the same run."""
    folder.mkdir(parents=True, exist_ok=True)
    base = fingerprint(configuration.model.path)
    config = folder / "config.yaml"
    if config.exists():
        _check_same(configuration, folder, harmless, base)
        if freeze.marked(folder, marker):
            return
    freeze.write(configuration, config)
    write_manifest(configuration, folder, base)


def _check_same(configuration: Configuration, folder: Path, harmless: tuple[str, ...], base: str) -> None:
    """Refuse a folder made by another configuration or from another base."""
    changed = freeze.differences(freeze.read(folder / "config.yaml"), configuration)
    keys = {key: pair for key, pair in changed.items() if not freeze.matches(key, harmless)}
    change = f"give experiment.name=NAME for a new folder, or remove {folder}"
    if keys:
        listed = ", ".join(f"{key} (there {old!r}, now {new!r})" for key, (old, new) in keys.items())
        raise UserError(
            f"{folder} belongs to another configuration: {listed}", "one run would mix two settings", change
        )
    manifest = folder / "manifest.json"
    if manifest.exists() and read_json(manifest)["base"] != base:
        why = "its results came from other weights, and would be compared with these"
        raise UserError(f"{folder} was made from another base than {configuration.model.path} holds now", why, change)
