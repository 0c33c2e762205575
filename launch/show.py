"""What a command would start, where hardware.launcher asks to be shown it: files and commands, and nothing is begun."""

import shlex
from pathlib import Path

from conf.errors import UserError
from conf.schema import Configuration
from launch import cluster, folders, hosts, needs, ranks, scripts
from models import serving


def wanted(configuration: Configuration) -> bool:
    """Whether what would be started is to be shown, and not started."""
    return configuration.hardware.launcher in ("print", "print_slurm")


def shown(configurations: list[Configuration], again: cluster.Again | None = None) -> bool:
    """Print what would be started, where it is to be shown; whether it is. `again`: as for `train_all`."""
    asked = [one for one in configurations if wanted(one)]
    on_slurm = [one for one in asked if one.hardware.launcher == "print_slurm"]
    for first in {one.experiment.name: one for one in reversed(on_slurm)}.values():
        folder = folders.experiment_folder(first)
        _show(folder / cluster.FOLDER / "prepare.sbatch", scripts.of_preparation(first, folder))
    for configuration in asked:
        _show_run(configuration)
    if on_slurm and again:
        place = folders.experiment_folder(on_slurm[0]) / cluster.FOLDER / "again"
        name = f"{on_slurm[0].experiment.name}/again"
        submitted = [word.replace("print_slurm", "slurm") for word in again]
        script = scripts.of_command(on_slurm[0], name, place.with_suffix(".log"), submitted)
        _show(place.with_suffix(".sbatch"), script, "after all runs")
    return bool(asked)


def _show_run(configuration: Configuration) -> None:
    """The files of a run, and its script, or the command of each of its machines."""
    hardware, folder = configuration.hardware, folders.run_folder(configuration)
    if hardware.launcher == "print" and hardware.nodes > 1 and not hardware.hosts:
        given = f"hardware.launcher=print with hardware.nodes={hardware.nodes}"
        change = "name them, hardware.hosts=[...], or set hardware.launcher=print_slurm"
        raise UserError(given, "nothing says which machines these are", change)
    for name, text in ranks.files(configuration, folder).items():
        _show(folder / name, text)
    print(f"# {ranks.words(configuration)}")
    if needs.set_aside(configuration) and hardware.launcher == "print":
        words = serving.command(configuration, configuration.model.path, 0, *serving.for_rollouts(configuration))
        words[words.index("--port") + 1] = str(configuration.rollouts.vllm_server_port or "PORT")
        print(f"# beside it, started by its first process\n{shlex.join(words)}")
    if hardware.launcher == "print_slurm":
        _show(folder / f"{cluster.FOLDER}.sbatch", scripts.of_run(configuration, folder), "after the preparation")
    elif not hardware.hosts:
        print(f"{shlex.join(ranks.command(configuration, folder))}\n")
    else:
        for host, command in zip(hardware.hosts, hosts.commands(configuration, folder), strict=True):
            print(f"# on {host}\n{shlex.join(command)}\n")


def _show(file: Path, text: str, when: str = "") -> None:
    print(f"# {file}{when and f', {when}'}\n{text}")
