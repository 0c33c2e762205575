"""What a run's folder states, as one flat mapping of dotted keys that conf/control.py knows. No torch here."""

import re
from pathlib import Path
from typing import Any

from conf import control, freeze
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration

FILES = {"config": "config.yaml", "lock": "lock.json", "arguments": "arguments.json", "manifest": "manifest.json"}
ARM_ONLY = ("recipe", "seed", "code.train")  # what the shared part of an experiment does not depend on
Facts = dict[str, Any]


def of(
    configuration: Configuration, lock: dict[str, Any] | None = None, arguments: dict[str, Any] | None = None
) -> Facts:
    """A configuration, and what was measured under it."""
    shared = {key: value for key, value in (lock or {}).items() if key != "configuration"}
    measured = {"lock": shared, "arguments": arguments or {}}
    return freeze.flatten(configuration.model_dump(mode="json") | measured)


def of_start(start: dict[str, Any]) -> Facts:
    """One start in manifest.json: packages, code, machine. Package names are written as indexes normalise them."""
    packages = {re.sub(r"[-_.]+", "-", name).lower(): found for name, found in start["packages"].items()}
    on_device = start["device"] != "cpu"
    keys = ("time", "command", "git", "python", "device", "system", "sandbox", "cores", "memory_gb")
    return freeze.flatten({key: start[key] for key in keys}) | {
        "python_minor": ".".join(start["python"].split(".")[:2]),
        "devices": sorted(set(start["devices"])) if on_device else ["cpu"],
        "device_count": len(start["devices"]) if on_device else 0,
        **{f"packages.{name}": found for name, found in packages.items()},
        **{f"code.{module}": found for module, found in start["code"].items()},
    }


def of_run(folder: Path) -> Facts:
    """Everything the folder of a run states; a file that is missing is a fact too. UserError without config.yaml."""
    if not (folder / "config.yaml").is_file():
        change = "name run folders, runs/EXPERIMENT/arms/ARM/seed-N, or the folder of an experiment"
        raise UserError(f"{folder}", "it holds no config.yaml, so it is no run", change)
    read = {name: _content(folder / file) for name, file in FILES.items() if _is_json(folder / file)}
    manifest = read.get("manifest", {})
    starts = effective(manifest)
    if any("code" not in start for start in starts):
        change = "remove the folder, or give experiment.name=NAME for a new one"
        raise UserError(f"{folder / FILES['manifest']}", "an older version of this project wrote it", change)
    known = {"fingerprint": manifest["base"], "starts": len(starts), **of_start(starts[-1])} if starts else {}
    there = {f"files.{name}": "there" if (folder / file).is_file() else "missing" for name, file in FILES.items()}
    return of(freeze.read(folder / "config.yaml"), read.get("lock"), read.get("arguments")) | known | there


def of_experiment(folder: Path) -> Facts:
    """What runs/<experiment> states, which is of no arm; compare it without ARM_ONLY."""
    stated = of_run(folder) | {"recipe.name": ""}
    return {key: value for key, value in stated.items() if not control.matches(key, ("files",))}


def effective(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The starts that made what is there: those since the last that began at the first step."""
    starts = manifest.get("starts", [])
    first = max((i for i, start in enumerate(starts) if not start.get("from_step")), default=0)
    return list(starts[first:])


def moved(folder: Path) -> dict[str, list[str]]:
    """Facts that changed between the starts of one run: key -> its values, in order."""
    path = folder / "manifest.json"
    stated = [of_start(start) for start in effective(read_json(path))] if path.is_file() else []
    keys = {key: None for one in stated[1:] for key in freeze.differences(stated[0], one)}
    return {key: list(dict.fromkeys(str(one.get(key)) for one in stated)) for key in keys}


def common(a: Facts, b: Facts) -> tuple[Facts, Facts]:
    """Both, without the kinds of facts that only one of them states (an experiment has no trainer's arguments)."""
    known = {_kind(key) for key in a} & {_kind(key) for key in b}
    return {key: a[key] for key in a if _kind(key) in known}, {key: b[key] for key in b if _kind(key) in known}


def _kind(key: str) -> str:
    """Its section; of a lock the part of the lock."""
    parts = key.split(".")
    return ".".join(parts[:2]) if parts[0] == "lock" else parts[0]


def _content(path: Path) -> Any:
    try:
        return read_json(path)
    except ValueError:
        raise UserError(f"{path}", "it is cut short or damaged, so it states nothing", "copy it again") from None


def _is_json(path: Path) -> bool:
    return path.suffix == ".json" and path.is_file()
