"""manifest.json: with what code, packages and machine a run was made. No environment variable is written."""

import hashlib
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import conf
from conf.files import read_json, write_json
from conf.schema import Configuration
from launch import machine
from rewards import sandbox
from train import lock

ROOT = Path(conf.__file__).parent.parent


def write_manifest(folder: Path, base: str, begun: dict[str, Any] | None) -> None:
    """Add `begun`, a start if there is one, to folder/manifest.json; `base` is the fingerprint of the base's folder."""
    path = folder / "manifest.json"
    starts = read_json(path)["starts"] if path.exists() else []
    write_json(path, {"base": base, "starts": [*starts, begun] if begun else starts})


def start(configuration: Configuration, folder: Path) -> dict[str, Any]:
    """With what a start of the run in `folder` is made now; `from_step` is the last checkpoint it finds, 0 for none."""
    saved = [int(path.name.removeprefix("step-")) for path in folder.glob("checkpoints/step-*")]
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "from_step": max(saved, default=0),
        "command": command(),
        "git": _git(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": configuration.hardware.device,
        "devices": machine.devices(),
        "sandbox": sandbox.mechanism(),
        "cores": machine.cores(),
        "memory_gb": round(machine.memory_gb(), 1),
        "packages": _packages(),
        "code": lock.code(),
    }


def command() -> list[str]:
    """The command as typed, as far as Python knows it."""
    program = Path(sys.argv[0])
    module = f"launch.{program.stem}" if program.stem != "__main__" else "launch"
    return ["python", "-m", module, *sys.argv[1:]]


def _git() -> dict[str, str | None]:
    """The commit, and a digest of what the working tree adds to it; nulls outside a repository."""
    commit = _ask_git("rev-parse", "HEAD")
    changes = _ask_git("diff", "HEAD")
    digest = hashlib.sha256(changes.encode()).hexdigest() if changes else None
    return {"commit": commit.strip() if commit else None, "diff_sha256": digest}


def _ask_git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return answer.stdout if answer.returncode == 0 else None


@cache
def _packages() -> dict[str, str]:
    """Every installed distribution and its version."""
    return dict(sorted((found.metadata["Name"], found.version) for found in distributions() if found.metadata["Name"]))
