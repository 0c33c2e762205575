"""The processes of one run: accelerate's and DeepSpeed's files from its configuration, the command that starts them,
and which of them failed first.

Ranks read the run's config.yaml and nothing else; batch, accumulation and clipping are "auto" here, which is
what train/arguments.py makes of them.
"""

import json
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from conf.files import read_json, write_text
from conf.schema import Configuration, Hardware
from train.processes import DEEPSPEED

ACCELERATE = "accelerate.yaml"
FAILED = "failed-rank-*.json"  # written by train/processes.py
ROOT_CAUSE = re.compile(r"Root Cause.*?rank\s*: (\d+).*?exitcode\s*: (-?\d+)", re.DOTALL)  # torchrun's last words


class Machine(NamedTuple):
    """One of a run's machines as its launcher is told of it, in words that a shell may still have to fill in."""

    rank: str
    address: str  # of the machine of rank 0
    port: str


def several(configuration: Configuration) -> bool:
    """Whether the run takes a launcher: more than one process, or DeepSpeed."""
    return configuration.hardware.processes > 1 or configuration.hardware.zero_stage > 0


def command(configuration: Configuration, folder: Path, machine: Machine | None = None) -> list[str]:
    """What starts the training of the run in `folder` on this machine, or on each of several.

    accelerate starts a single process where it is told to use several CPUs, so DDP there goes through torchrun.
    """
    python, hardware = [sys.executable, "-m"], configuration.hardware
    if not several(configuration):
        return [*python, "train", str(folder)]
    if hardware.zero_stage or hardware.device == "cuda":
        launch = ["accelerate.commands.accelerate_cli", "launch", "--config_file", str(folder / ACCELERATE)]
        names = ("--machine_rank", "--main_process_ip", "--main_process_port")
        place = [word for pair in zip(names, machine or (), strict=False) for word in pair]
        return [*python, *launch, *place, "--module", "train", str(folder)]
    launch = ["torch.distributed.run", f"--nproc-per-node={hardware.processes // hardware.nodes}"]
    place = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    if machine:
        rank, address, port = machine
        place = [f"--nnodes={hardware.nodes}", f"--node-rank={rank}", f"--master-addr={address}"]
        place.append(f"--master-port={port}")
    return [*python, *launch, *place, "-m", "train", str(folder)]


def beside(configuration: Configuration, module: str, arguments: Sequence[str]) -> list[str]:
    """What starts a module that measures beside training, on this machine: in as many processes as train here."""
    python, hardware = [sys.executable, "-m"], configuration.hardware
    here = hardware.processes // hardware.nodes
    launch = ["torch.distributed.run", f"--nproc-per-node={here}", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    return [*python, *([*launch, "-m"] if here > 1 else []), module, *arguments]


def forget(folder: Path) -> None:
    """What failed before is no more."""
    for note in folder.glob(FAILED):
        note.unlink()


def files(configuration: Configuration, folder: Path) -> dict[str, str]:
    """Name -> text of the files in the run's `folder` that `command` reads."""
    hardware = configuration.hardware
    if not several(configuration) or hardware.device == "cpu" and not hardware.zero_stage:
        return {}
    found = {ACCELERATE: yaml.safe_dump(_accelerate(hardware, folder), sort_keys=False)}
    if hardware.zero_stage:
        found[DEEPSPEED] = json.dumps(_deepspeed(hardware), indent=2) + "\n"
    return found


def write(configuration: Configuration, folder: Path) -> None:
    """Write `files`, and forget what failed before."""
    for name, text in files(configuration, folder).items():
        write_text(folder / name, text)
    forget(folder)


def first_failure(folder: Path, said: str) -> tuple[int, str] | None:
    """(exit code, message) of the process of the run in `folder` that failed first; None where none is known.

    `said`: the end of the log. A process that was killed leaves no note, and the others fail for the lack of it.
    """
    for rank, code in ROOT_CAUSE.findall(said):  # of several machines each tells its own
        if int(code) < 0:
            return 1, f"process {rank} of the run was ended by {signal.Signals(-int(code)).name}"
    notes = [read_json(path) for path in folder.glob(FAILED)]
    first = min(notes, key=lambda note: note["time"], default=None)
    return (first["code"], f"process {first['rank']}: {first['text']}") if first else None


def _accelerate(hardware: Hardware, folder: Path) -> dict[str, Any]:
    kind: dict[str, Any] = {"distributed_type": "MULTI_GPU", "mixed_precision": hardware.mixed_precision}
    if hardware.zero_stage:  # accelerate refuses a precision beside DeepSpeed's file, which states it
        own: dict[str, Any] = {"deepspeed_config_file": str(folder / DEEPSPEED)}
        own["zero3_init_flag"] = hardware.zero_stage == 3
        if hardware.nodes > 1:
            own["deepspeed_multinode_launcher"] = "standard"  # each machine's processes are started there, by us
        kind = {"distributed_type": "DEEPSPEED", "deepspeed_config": own}
    alone = {"machine_rank": 0, "main_process_port": 0} if hardware.nodes == 1 else {}  # else the command says
    return {
        "compute_environment": "LOCAL_MACHINE",
        **kind,
        "num_machines": hardware.nodes,
        **alone,
        "num_processes": hardware.processes,
        "rdzv_backend": "static",
        "same_network": True,
        "main_training_function": "main",
        "use_cpu": False,
    }


def _deepspeed(hardware: Hardware) -> dict[str, Any]:
    """Gradients are added up and reduced in float32, and torch's AdamW makes the update, as without DeepSpeed."""
    moved = {"none": (), "optimizer": ("optimizer",), "all": ("optimizer", "param")}[hardware.offload]
    zero: dict[str, Any] = {"stage": hardware.zero_stage, "overlap_comm": hardware.device == "cuda"}
    zero |= {f"offload_{part}": {"device": "cpu", "pin_memory": hardware.device == "cuda"} for part in moved}
    if hardware.zero_stage == 3:
        zero |= {"stage3_gather_16bit_weights_on_model_save": True}
        zero |= dict.fromkeys(("reduce_bucket_size", "stage3_prefetch_bucket_size"), "auto")
        zero |= {"stage3_param_persistence_threshold": "auto"}
    automatic = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    return {
        **dict.fromkeys((*automatic, "gradient_clipping"), "auto"),
        "bf16": {"enabled": hardware.mixed_precision == "bf16"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
    }


def words(configuration: Configuration) -> str:
    """What the processes share out."""
    hardware = configuration.hardware
    rows = configuration.train.prompts_per_step * configuration.responses_per_prompt
    spread = f"ZeRO-{hardware.zero_stage}" if hardware.zero_stage else "DDP" if hardware.processes > 1 else "alone"
    on = f" on {hardware.nodes} machines" if hardware.nodes > 1 else ""
    each = rows // hardware.processes
    return f"{hardware.processes} processes{on}, {spread}: {rows} responses a step, {each} each"
