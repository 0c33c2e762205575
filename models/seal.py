"""The seal of a checkpoint: which files it has, how long each is, and its SHA-256. No torch here."""

import hashlib
import os
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conf.files import read_json

SEAL = "complete.json"
LATER = (SEAL, "README.md", "lock.json", "audit.json")  # written again after the sealing, and no part of the model
STATES = (".pt", ".pth", ".bin", "latest", "zero_to_fp32.py")  # of a run that goes on; weights are safetensors
THREADS = 4  # hashing leaves Python's lock


def files(folder: Path) -> list[str]:
    """What a seal of `folder` records: every file under it, by its path from there, but those of LATER at its top."""
    found = (file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file())
    return [name for name in found if name not in LATER]


def digests(folder: Path, names: Iterable[str], sync: bool = False) -> dict[str, str]:
    """SHA-256 of the files of these `names`, in hex, several read at a time. `sync`: all are on the disk afterwards."""

    def one(name: str) -> str:
        with (folder / name).open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            if sync:
                os.fsync(opened.fileno())
        return digest

    listed = list(names)
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(listed, pool.map(one, listed), strict=True))


def read(folder: Path) -> dict[str, Any] | None:
    """The seal of `folder`; None where there is none that can be read. One without digests is of an earlier version."""
    try:
        seal = read_json(folder / SEAL)
    except (FileNotFoundError, ValueError):
        return None
    whole = isinstance(seal, dict) and isinstance(seal.get("bytes"), dict)
    return {"sha256": {}, "processes": 1, "resumes": True, **seal} if whole else None


def cut(folder: Path, names: Collection[str] | None = None) -> str | None:
    """Why `folder` is not whole by the length of its files (of these `names` alone), or None. Reads none of them."""
    seal = read(folder)
    if seal is None:
        return f"{SEAL} is missing or cannot be read"
    for name in seal["bytes"] if names is None else names:
        path, size = folder / name, seal["bytes"].get(name)
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} of {size} bytes"
    return None


def changed(folder: Path, names: Collection[str] | None = None) -> str | None:
    """The first file in `folder` (of these `names` alone) whose content is not what was sealed, in words; or None."""
    recorded = (read(folder) or {"sha256": {}})["sha256"]
    wanted = [name for name in recorded if names is None or name in names]
    for name, digest in digests(folder, wanted).items():
        if digest != recorded[name]:
            return (
                f"{name} holds other bytes than were saved: its SHA-256 begins {digest[:12]}, not {recorded[name][:12]}"
            )
    return None


def of_model(folder: Path) -> list[str]:
    """The files a seal records that `from_pretrained` may read; those that only a run going on needs are left out."""
    recorded = (read(folder) or {"bytes": {}})["bytes"]
    return [name for name in recorded if "/" not in name and not name.endswith(STATES)]
