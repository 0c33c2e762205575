"""The frozen configuration of a run (config.yaml), and the one comparison of two configurations."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from conf.files import read_json, write_json, write_text
from conf.schema import Configuration
from conf.validate import validate

# Keys that change where, how fast or how visibly a run goes, and not what it computes.
HARMLESS = (
    "runs",
    "logger",
    "hardware.name",
    "hardware.workers",
    "hardware.reward_workers",
    "recipe.micro_batch_size",
    "recipe.treatment",
    "suite.batch_size",
    "experiment.arms",
    "experiment.seeds",
    "experiment.learning_rates",  # the chosen rate stands in recipe.learning_rate
    "experiment.sweep_rates",
    "experiment.sweep_seeds",
)


def write(configuration: Configuration, path: Path | str) -> None:
    """Freeze `configuration` into `path`, every key written out."""
    write_text(path, yaml.safe_dump(configuration.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def read(path: Path | str) -> Configuration:
    """The configuration frozen in `path`; UserError where a key is unknown or a value impossible."""
    return validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))


def digest(path: Path | str) -> str:
    """sha256 of the file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def mark(folder: Path | str, name: str) -> None:
    """Write `folder/name` (done.json, prepared.json): the work that folder/config.yaml asks for is finished."""
    write_json(Path(folder) / name, {"config": digest(Path(folder) / "config.yaml")})


def marked(folder: Path | str, name: str) -> bool:
    """Whether `folder/name` stands and speaks of the present folder/config.yaml."""
    marker, config = Path(folder) / name, Path(folder) / "config.yaml"
    return marker.exists() and config.exists() and bool(read_json(marker)["config"] == digest(config))


def differences(a: Configuration, b: Configuration) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value in a, value in b) wherever they differ; None stands for a key that one lacks."""
    left, right = flatten(a.model_dump(mode="json")), flatten(b.model_dump(mode="json"))
    keys = list(left) + [key for key in right if key not in left]
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def matches(key: str, patterns: tuple[str, ...]) -> bool:
    """Whether dotted `key` is one of `patterns`, or lies below one."""
    return any(key == pattern or key.startswith(pattern + ".") for pattern in patterns)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as one with dotted keys; an empty mapping has none."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
