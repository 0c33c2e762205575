"""What a command would start, where hardware.launcher asks to be shown it: files and commands, and nothing is begun."""

import shlex

from conf.errors import UserError
from conf.schema import Configuration
from launch import folders, hosts, ranks


def shown(configurations: list[Configuration]) -> bool:
    """Print what would be started, where hardware.launcher=print; whether it is."""
    wanted = [one for one in configurations if one.hardware.launcher == "print"]
    for configuration in wanted:
        _show_run(configuration)
    return bool(wanted)


def _show_run(configuration: Configuration) -> None:
    """The files of a run, and the command of each of its machines."""
    hardware, folder = configuration.hardware, folders.run_folder(configuration)
    if hardware.nodes > 1 and not hardware.hosts:
        given = f"hardware.launcher=print with hardware.nodes={hardware.nodes}"
        change = "name them, hardware.hosts=[...], or set hardware.launcher=print_slurm"
        raise UserError(given, "nothing says which machines these are", change)
    for name, text in ranks.files(configuration, folder).items():
        print(f"# {folder / name}\n{text}")
    print(f"# {ranks.words(configuration)}")
    if not hardware.hosts:
        print(f"{shlex.join(ranks.command(configuration, folder))}\n")
        return
    for host, command in zip(hardware.hosts, hosts.commands(configuration, folder), strict=True):
        print(f"# on {host}\n{shlex.join(command)}\n")
