"""What `make compare` is given: a base, and models by their places; where each lies, and what it is called."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from models.folder import is_hub_id

BASE = "base"
PLAIN = re.compile(r"[^\w.-]+")
LABELLED = re.compile(r"([\w.-]+)=(.+)")


class Candidate(NamedTuple):
    """A model: its label (a folder's name, unlike the others'), its folder or hub id, and where an evaluation of it may
    stand with the config.yaml that it was made under."""

    label: str
    path: str
    evaluated: tuple[Path, Path] | None


def frozen(given: str) -> Configuration | None:
    """The configuration of `given`, where that is the folder of an experiment or of a run; None for a model."""
    folder = Path(given)
    if (folder / "config.json").is_file() or not (folder / "config.yaml").is_file():
        return None
    return freeze.read(folder / "config.yaml")


def base_of(given: str) -> Candidate:
    """The base at `given`: a model, or the folder of an experiment or run for the base it was trained from."""
    if not given:
        change = 'make compare BASE=FOLDER_OR_HUB_ID MODELS="FOLDER_OR_HUB_ID ..."'
        raise UserError("no base", "what a model gained or lost is measured against one", change)
    configuration, folder = frozen(given), Path(given)
    if configuration is None:
        return Candidate(BASE, _model(given, "BASE"), None)
    experiment = folder.absolute().parents[2] if folder.absolute().parent.parent.name == "arms" else folder
    return Candidate(BASE, configuration.model.path, (experiment / "base" / "evaluation", experiment / "config.yaml"))


def models_of(given: list[str]) -> list[Candidate]:
    """Every model that `given` names, PATH or LABEL=PATH, labels made unique; a run stands for its last checkpoint, an
    experiment for all of its runs."""
    if not given:
        change = 'name one or more: MODELS="FOLDER_OR_HUB_ID LABEL=FOLDER ..."'
        raise UserError("no models", "there is nothing to compare with the base", change)
    found: list[tuple[str, str]] = []
    for one in given:
        label, path = _split(one)
        places = _models_in(path)
        found += [(label if len(places) == 1 else "", place) for place in places]
    twice = [path for path, count in Counter(path for _, path in found).items() if count > 1]
    if twice:
        raise UserError(f"MODELS names {twice[0]} twice", "it would stand beside itself", "name each model once")
    labels = _unique([label or _label(path) for label, path in found], [bool(label) for label, _ in found])
    return [Candidate(label, path, _evaluated(path)) for label, (_, path) in zip(labels, found, strict=True)]


def _split(given: str) -> tuple[str, str]:
    """(label or "", path); a folder that has = in its name is a path."""
    match = LABELLED.fullmatch(given)
    return (match[1], match[2]) if match and not Path(given).exists() else ("", given)


def _models_in(path: str) -> list[str]:
    folder = Path(path)
    runs = [folder] if (folder / "checkpoints").is_dir() else sorted(folder.glob("arms/*/seed-*"))
    if not runs or (folder / "config.json").is_file():
        return [_model(path, "MODELS")]
    last = [max(run.glob("checkpoints/step-*"), key=lambda one: one.name, default=None) for run in runs]
    found = [str(one) for one in last if one is not None]
    if not found:
        raise UserError(f"MODELS={path}", "no run there has a checkpoint", "name a model, or a run that has saved one")
    return found


def _model(path: str, name: str) -> str:
    if not Path(path).is_dir() and not is_hub_id(path):
        change = "name a model's folder, a run's, an experiment's, or a hub id"
        raise UserError(f"{name}={path}", "there is no such folder, and it is no hub id", change)
    return path.rstrip("/") if len(path) > 1 else path


def _evaluated(path: str) -> tuple[Path, Path] | None:
    folder = Path(path)
    run = folder.parent.parent
    there = folder.parent.name == "checkpoints" and (run / "config.yaml").is_file()
    return (run / "evaluation" / folder.name, run / "config.yaml") if there else None


def _label(path: str) -> str:
    """grpo-seed-0-step-000100 of a run's checkpoint, else the last part of the path."""
    parts = Path(path).absolute().parts if Path(path).is_dir() else tuple(path.split("/"))
    if len(parts) > 4 and parts[-2] == "checkpoints" and parts[-5] == "arms":
        parts = (*parts[:-5], "-".join((parts[-4], parts[-3], parts[-1])))
    return PLAIN.sub("-", parts[-1]).strip("-.") or "model"


def _unique(labels: list[str], given: list[bool]) -> list[str]:
    """The labels, those that stand twice (or are the base's) numbered; UserError for one that a user gave twice."""
    counts = Counter(label for label, own in zip(labels, given, strict=True) if own)
    wrong = next((label for label, count in counts.items() if count > 1 or label == BASE or label.strip(".") == ""), "")
    if wrong:
        why = "labels name folders, and tell the models and the base apart"
        raise UserError(f"MODELS: the label {wrong}", why, "give each model a label of its own")
    taken, found = {BASE, *counts}, []
    for label, own in zip(labels, given, strict=True):
        number, name = 1, label
        while not own and name in taken:
            number += 1
            name = f"{label}-{number}"
        taken.add(name)
        found.append(name)
    return found
