"""A Slurm of a test's own on this machine: one controller, two nodes that are this machine, and no other user."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
PLACES = "/usr/sbin:/usr/local/sbin"
# Nodes claim more cores than there are, so that no job waits for another. No cgroups, no accounting, no munge: it
# runs in a container, and every command finds it by SLURM_CONF. The nodes' names are addresses, which need no resolver.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=127.1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8
NodeName=127.2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8
PartitionName=main Nodes=127.[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; empty where there can."""
    lacking = [name for name in NEEDED if not shutil.which(name, path=f"{os.environ['PATH']}:{PLACES}")]
    return f"Slurm is not installed (no {', '.join(lacking)}; Debian's package is slurm-wlm)" if lacking else ""


@contextmanager
def running(folder: Path) -> Iterator[str | None]:
    """A Slurm with its files in `folder`, for this process and what it starts; yields why it does not start, if so."""
    (folder / "state").mkdir(parents=True)
    text = CONFIGURATION.format(folder=folder, user=getpass.getuser(), ports=_free_ports(3))
    (folder / "slurm.conf").write_text(text)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    path = f"{os.environ['PATH']}:{PLACES}"
    commands = [["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", "127.1"], ["slurmd", "-D", "-N", "127.2"]]
    daemons = []
    try:
        for command in commands:
            program = str(shutil.which(command[0], path=path))
            daemons.append(subprocess.Popen([program, *command[1:]], stderr=subprocess.DEVNULL))
        yield None if _up(daemons) else _last_words(folder)
    finally:
        subprocess.run(["scancel", "--me"], capture_output=True, check=False)
        time.sleep(1)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        del os.environ["SLURM_CONF"]


def _up(daemons: list[subprocess.Popen[bytes]]) -> bool:
    """Whether both nodes come to take jobs."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and all(daemon.poll() is None for daemon in daemons):
        said = subprocess.run(["sinfo", "--noheader", "--format=%D %T"], capture_output=True, text=True, check=False)
        if said.stdout.split() == ["2", "idle"]:
            return True
        time.sleep(0.3)
    return False


def _last_words(folder: Path) -> str:
    lines = [line for log in sorted(folder.glob("*.log")) for line in log.read_text().splitlines() if "fatal" in line]
    return "Slurm does not start here: " + (lines[-1] if lines else "no node came up")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
