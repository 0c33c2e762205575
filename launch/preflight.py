"""What can be known to fail before anything is spent."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import models
from conf.errors import UserError
from conf.schema import Configuration, Hardware
from data.sources import MADE
from launch import extras, hosts, machine, needs
from models.folder import check_sealed, is_hub_id
from train import retention, trackers

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
    if configuration.hardware.hosts and configuration.hardware.launcher == "local":
        hosts.check(configuration)


def _check_device(configuration: Configuration) -> None:
    """Refuse a GPU run where it would find none; what Slurm gives is Slurm's to say."""
    hardware = configuration.hardware
    if hardware.launcher != "slurm" and _here(hardware) and hardware.device == "cuda" and not machine.devices():
        raise UserError(
            f"experiment={configuration.experiment.name} on hardware={hardware.name}",
            "it needs a CUDA device, and none was found on this machine",
            "`make demo`, or EXPERIMENT=embedded, runs here without a GPU; `make plan` says what this one takes",
        )


def _here(hardware: Hardware) -> bool:
    """Whether a process of a run is on this machine."""
    return not hardware.hosts or hosts.LOCAL in hardware.hosts


def _check_processes(configuration: Configuration) -> None:
    """Refuse more processes than there are devices, and DeepSpeed where it is not installed."""
    hardware = configuration.hardware
    if hardware.nodes > 1 and not hardware.hosts and hardware.launcher != "slurm":
        change = f"name the machines, hardware.hosts=[...], or set hardware.launcher=slurm{_here_instead(hardware)}"
        raise UserError(f"hardware.nodes={hardware.nodes}", "nothing says which machines these are", change)
    if hardware.launcher != "slurm" and hardware.device == "cuda":
        _check_own_devices(hardware, needs.set_aside(configuration))
    if hardware.zero_stage and find_spec("deepspeed") is None:
        change = "`pip install -c constraints.txt -e '.[gpu]'`, or set hardware.zero_stage=0"
        raise UserError(f"hardware.zero_stage={hardware.zero_stage}", "the package deepspeed is not installed", change)


def _here_instead(hardware: Hardware) -> str:
    each = hardware.processes // hardware.nodes
    return f"; hardware.nodes=1 hardware.processes={each} is one machine"


def _check_own_devices(hardware: Hardware, aside: int) -> None:
    """Refuse more processes on this machine than it has CUDA devices, those set `aside` for a server left out."""
    devices, each = len(machine.devices()), hardware.processes // hardware.nodes
    if _here(hardware) and each + aside > devices:
        given = f"hardware.processes={hardware.processes}"
        given += f" and {aside} for the vLLM server (rollouts.vllm_tensor_parallel_size)" if aside else ""
        on = f" on each of hardware.nodes={hardware.nodes}" if hardware.nodes > 1 else ""
        why = f"each takes a CUDA device{on}, and this machine has {devices}"
        raise UserError(given, why, f"set hardware.processes={max(1, devices - aside) * hardware.nodes}")
    if hardware.workers > 1 < hardware.processes:
        given = f"hardware.workers={hardware.workers} with hardware.processes={hardware.processes}"
        raise UserError(given, "two runs would take the same CUDA devices", "set hardware.workers=1")
    twice = [host for host in hardware.hosts if hardware.hosts.count(host) > 1]
    if twice:
        why = "both of its parts would take the same CUDA devices"
        raise UserError(f"hardware.hosts names {twice[0]} twice", why, "name each machine once")


def _check_model(configuration: Configuration) -> None:
    path = configuration.model.path
    if is_hub_id(path):
        check_hub("model.path", path, "model", "`model=embedded` is in this repository")
    else:
        models.check(path)
        check_sealed(path)


def _check_data(configuration: Configuration) -> None:
    source = configuration.data.source
    if source in MADE or Path(source).exists():
        return
    is_file = Path(source).suffix in (".json", ".jsonl", ".parquet", ".csv")
    if is_file or not is_hub_id(source):
        change = f"set data.source to a file or folder that exists (seen from {Path.cwd()}), or to `world`"
        raise UserError(f"data.source={source}", "there is no such file or folder", change)
    check_hub("data.source", source, "dataset", "`data=world` is made on this machine")


def check_hub(key: str, name: str, kind: str, instead: str) -> None:
    """Refuse a hub id that neither the cache nor the network can give, or that the hub keeps from this user."""
    if machine.cached(name, kind):
        return
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    if offline or not machine.hub_reachable():
        why = (
            "HF_HUB_OFFLINE is set, and the cache lacks it" if offline else "the hub does not answer from this machine"
        )
        raise UserError(f"{key}={name} is a hub id", why, f"set {key} to a local folder; {instead}")
    if refusal := machine.hub_refusal(name, kind):
        change = f"look at the name, ask for access and `hf auth login`, or set {key} to a local folder; {instead}"
        raise UserError(f"{key}={name} is a hub id", refusal, change)


def _check_logger(configuration: Configuration) -> None:
    name = configuration.logger.name
    if name != "none" and find_spec(name) is None:
        pins = "" if name == "trackio" else "-c constraints.txt "  # it wants an older pillow than the pinned one
        change = f"choose logger=none, or `pip install {pins}-e '.[{name}]'`"
        raise UserError(f"logger={name}", f"the package {name} is not installed", change)
    if configuration.logger.mode == "online" and name == "wandb" and not trackers.has_key():
        given = "logger=wandb logger.mode=online"
        why = "there is no key for W&B: neither WANDB_API_KEY nor one that `wandb login` left"
        raise UserError(given, why, "log in, or set logger.mode=auto, which keeps the run offline until then")


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
    """A rough upper bound: the checkpoints of every run that are kept, beside a least amount."""
    folder = Path(configuration.model.path)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0
    whole, models = retention.at_most(configuration.train, configuration.total_steps)
    return LEAST_FREE_BYTES + runs * (CHECKPOINT_TO_WEIGHTS * whole + models) * weights
