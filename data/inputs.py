"""What a compiled data set depends on: equal inputs give equal bytes, and other inputs are refused."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from conf.errors import UserError
from conf.schema import Configuration, Data
from data import imitation, sources
from data.columns import Row

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)

LATER = ("num_fewshot", "extraction")

Inputs = dict[str, Any]


def read(configuration: Configuration) -> Inputs:
    """Everything that decides the compiled bytes, by dotted key."""
    data, train, suite = configuration.data, configuration.train, configuration.suite
    inputs = {f"data.{key}": value for key, value in data.model_dump(mode="json").items()}
    for name in LATER:  # a folder of a time before these keys is still the same
        if inputs[f"data.{name}"] == Data.model_fields[name].default:
            del inputs[f"data.{name}"]
    inputs |= {"train.steps": train.steps, "train.prompts_per_step": train.prompts_per_step}
    inputs |= {f"suite.{key}": getattr(suite, key) for key in ("name", "benchmarks", "items", "seed")}
    for name, one in configuration.suites.items():
        held = one.model_dump(mode="json", include={"collections", "benchmarks", "items"})
        inputs |= {f"suites.{name}.{key}": value for key, value in held.items()}
    inputs["content of data.source"] = _source_digest(configuration)
    if data.targets:
        inputs["content of data.targets"] = _files_digest([Path(data.targets) / imitation.FILE])
    if configuration.model.eos_token:
        inputs["model.eos_token"] = configuration.model.eos_token
    return inputs | {"tokenizer of model.path": _tokenizer_digest(configuration.model.path)}


def key(inputs: Inputs) -> str:
    """One digest of all of them."""
    return _sha256(inputs)


def refuse(folder: Path, theirs: Inputs, ours: Inputs) -> UserError:
    """The user's error for a folder compiled from other inputs: which they are."""
    names = [name for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)]
    differing = ", ".join(f"{name}: {theirs.get(name)!r} there, {ours.get(name)!r} here" for name in names)
    return UserError(
        f"{folder}",
        f"its data set was compiled from other inputs ({differing})",
        "set experiment.name to a new name, or delete the folder",
    )


def _source_digest(configuration: Configuration) -> str:
    """Of a local source its bytes; of one that is made what it says now; of a hub data set its name."""
    data = configuration.data
    if data.source == "world":
        rows = sources.load(data, 32, data.seed)
        return _sha256([_world_row(data, row) for row in rows])
    if data.source == "reasoning_gym":
        return _version("reasoning-gym")
    path = Path(data.source)
    return _files_digest(sorted(path.rglob("*")) if path.is_dir() else [path]) if path.exists() else data.source


def _world_row(data: Data, row: Row) -> list[str]:
    written = [*imitation.written(data, row), *imitation.attempts(data, row)]
    return [row["id"], row["prompt"], row["reference"], *written]


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:  # the source itself says what to install
        return package


def _tokenizer_digest(path: str) -> str:
    folder = Path(path)
    return _files_digest([folder / name for name in _TOKENIZER_FILES]) if folder.is_dir() else path


def _files_digest(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as opened:
                total.update(file.name.encode() + b"\0" + hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
