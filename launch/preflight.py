"""What can be known to fail before anything is spent."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import models
from conf.errors import UserError
from conf.schema import Configuration
from launch import extras, machine, needs
from models.folder import is_hub_id

LEAST_FREE_BYTES = 200 * 2**20
CHECKPOINT_TO_WEIGHTS = 4  # weights, two moments, and what is written before the old is removed


def check(configuration: Configuration, runs: int = 1) -> None:
    """UserError for a missing device, model or data set, and for an output folder that cannot take `runs` runs."""
    _check_device(configuration)
    _check_processes(configuration)
    extras.check(configuration)
    _check_model(configuration)
    _check_data(configuration)
    _check_logger(configuration)
    _check_output(configuration, runs)


def _check_device(configuration: Configuration) -> None:
    if configuration.hardware.device == "cuda" and not machine.devices():
        raise UserError(
            f"experiment={configuration.experiment.name} on hardware={configuration.hardware.name}",
            "it needs a CUDA device, and none was found on this machine",
            "`make demo`, or EXPERIMENT=embedded, runs here without a GPU; `make plan` says what this one takes",
        )


def _check_processes(configuration: Configuration) -> None:
    """Refuse more processes than there are devices, and DeepSpeed where it is not installed."""
    hardware, devices = configuration.hardware, len(machine.devices())
    if hardware.nodes > 1:
        why = "a run is started on one machine; several are planned with, and not started yet"
        raise UserError(f"hardware.nodes={hardware.nodes}", why, "choose hardware=gpu8, or any")
    aside = needs.set_aside(configuration)
    if hardware.device == "cuda" and hardware.processes + aside > devices:
        given = f"hardware.processes={hardware.processes}"
        given += f" with {aside} for the vLLM server" if aside else ""
        why = f"each takes a CUDA device, and this machine has {devices}"
        raise UserError(given, why, f"set hardware.processes={max(1, devices - aside)}")
    if hardware.device == "cuda" and hardware.workers > 1 < hardware.processes:
        given = f"hardware.workers={hardware.workers} with hardware.processes={hardware.processes}"
        raise UserError(given, "two runs would take the same CUDA devices", "set hardware.workers=1")
    if hardware.zero_stage and find_spec("deepspeed") is None:
        change = "`pip install -c constraints.txt -e '.[gpu]'`, or set hardware.zero_stage=0"
        raise UserError(f"hardware.zero_stage={hardware.zero_stage}", "the package deepspeed is not installed", change)


def _check_model(configuration: Configuration) -> None:
    path = configuration.model.path
    if is_hub_id(path):
        check_hub("model.path", path, "model", "`model=embedded` is in this repository")
    else:
        models.check(path)


def _check_data(configuration: Configuration) -> None:
    source = configuration.data.source
    if source in ("world", "reasoning_gym") or Path(source).exists():
        return
    is_file = Path(source).suffix in (".json", ".jsonl", ".parquet", ".csv")
    if is_file or not is_hub_id(source):
        change = f"set data.source to a file or folder that exists (seen from {Path.cwd()}), or to `world`"
        raise UserError(f"data.source={source}", "there is no such file or folder", change)
    check_hub("data.source", source, "dataset", "`data=world` is made on this machine")


def check_hub(key: str, name: str, kind: str, instead: str) -> None:
    """Refuse a hub id that neither the cache nor the network can give."""
    if machine.cached(name, kind):
        return
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    if offline or not machine.hub_reachable():
        why = (
            "HF_HUB_OFFLINE is set, and the cache lacks it" if offline else "the hub does not answer from this machine"
        )
        raise UserError(f"{key}={name} is a hub id", why, f"set {key} to a local folder; {instead}")


def _check_logger(configuration: Configuration) -> None:
    if configuration.logger.name == "wandb" and find_spec("wandb") is None:
        why = "the package wandb is not installed"
        raise UserError("logger=wandb", why, "choose logger=none, or `pip install -c constraints.txt -e '.[wandb]'`")


def _check_output(configuration: Configuration, runs: int) -> None:
    """Refuse an output folder that cannot be written, or whose disk lacks room for the checkpoints."""
    folder = configuration.runs
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"paribus")
    except OSError as error:
        why = f"it cannot be written: {error.strerror}"
        raise UserError(f"runs={folder}", why, "set runs=FOLDER to one that can") from None
    free, needed = shutil.disk_usage(folder).free, _bytes_needed(configuration, runs)
    if free < needed:
        given = f"runs={folder} has {free / 1e9:.1f} GB free"
        raise UserError(
            given, f"about {needed / 1e9:.1f} GB are needed", "free some, or set runs=FOLDER to another disk"
        )


def _bytes_needed(configuration: Configuration, runs: int) -> int:
    """A rough upper bound: every checkpoint of every run, beside a least amount."""
    train, folder = configuration.train, Path(configuration.model.path)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0
    saves = -(-train.steps // train.save_steps)
    return LEAST_FREE_BYTES + runs * saves * CHECKPOINT_TO_WEIGHTS * weights
