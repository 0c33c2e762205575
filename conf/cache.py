"""Where fetched models and benchmarks lie: outside the repository, shared by all its copies."""

import os
from pathlib import Path

FETCH = "make fetch-offline"  # the one command that fills it


def folder() -> Path:
    """$PARIBUS_CACHE, else ~/.cache/paribus."""
    return Path(os.environ.get("PARIBUS_CACHE") or Path.home() / ".cache" / "paribus")


def holds(path: str | Path) -> bool:
    """Whether `path` lies there, existing or not."""
    return Path(path).absolute().is_relative_to(folder().absolute())
