"""A run on a list of machines: `python -m launch.hosts RUN_FOLDER` starts its part on each, and ends all with one.

Every machine is reached by ssh without a password and sees this folder at the same path; `localhost` is this machine.
"""

import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from launch import ranks, workers

LOCAL = "localhost"
# a machine that is lost is noticed within a minute
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15", "-T")
LOST = 255  # what ssh itself ends with
PORTS = range(20_000, 30_000)
POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0  # after the first failure, for the others to tell their own
ANSWER_SECONDS = 60.0
Parts = dict[str, subprocess.Popen[bytes]]  # "rank host" -> what runs its part


def address(configuration: Configuration) -> tuple[str, int]:
    """Where the processes of several machines meet: on the first of them."""
    hardware = configuration.hardware
    first, port = hardware.hosts[0], hardware.main_process_port
    if first != LOCAL:
        return first, port or PORTS[zlib.crc32(str(configuration.runs).encode()) % len(PORTS)]
    return LOCAL if set(hardware.hosts) == {LOCAL} else socket.gethostname(), port or _free_port()


def commands(configuration: Configuration, folder: Path) -> list[list[str]]:
    """What starts each machine's part of the run in `folder`, in order of hardware.hosts."""
    hosts = configuration.hardware.hosts
    meeting = address(configuration) if len(hosts) > 1 else None
    found = []
    for rank, host in enumerate(hosts):
        machine = ranks.Machine(str(rank), meeting[0], str(meeting[1])) if meeting else None
        own = [sys.executable, "-m", "launch.guard", *ranks.command(configuration, folder, machine)]
        found.append(own if host == LOCAL else [*SSH, host, _remote(configuration, own)])
    return found


def _remote(configuration: Configuration, command: list[str]) -> str:
    """One line for the other machine's shell. Keys and tokens are not in it: each machine has its own."""
    variables = [f"{key}={value}" for key, value in workers.settings(configuration).items()]
    return f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(['env', *variables, *command])}"


def check(configuration: Configuration) -> None:
    """UserError for a machine that does not answer, sees another folder, or has too few devices."""
    others = list(dict.fromkeys(host for host in configuration.hardware.hosts if host != LOCAL))
    probe = configuration.runs.absolute() / f".probe-{secrets.token_hex(8)}"
    configuration.runs.mkdir(parents=True, exist_ok=True)
    probe.write_text("")
    try:
        with ThreadPoolExecutor(max(1, len(others))) as pool:
            answers = list(pool.map(lambda host: _ask(host, probe), others))
    finally:
        probe.unlink()
    for host, answer in zip(others, answers, strict=True):
        _judge(configuration, host, answer)


def _ask(host: str, probe: Path) -> subprocess.CompletedProcess[str]:
    """What `host` says of itself: a word for each thing it has, and how many devices."""
    quoted = [shlex.quote(str(one)) for one in (Path.cwd(), sys.executable, probe)]
    asked = "cd {} && echo folder; test -x {} && echo python; test -e {} && echo runs".format(*quoted)
    asked += "; echo devices $(nvidia-smi -L 2>/dev/null | grep -c ^GPU); exit 0"
    try:
        return subprocess.run([*SSH, host, asked], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except FileNotFoundError:
        raise UserError(f"hardware.hosts={host}", "ssh is not installed here", "install OpenSSH's client") from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(SSH, LOST, "", f"no answer in {ANSWER_SECONDS:.0f} seconds")


def _judge(configuration: Configuration, host: str, answer: subprocess.CompletedProcess[str]) -> None:
    given, said = f"hardware.hosts: {host}", answer.stdout.split()
    if answer.returncode:
        why = (answer.stderr.strip().splitlines() or ["ssh failed"])[-1]
        raise UserError(given, why, f"make `ssh {host} true` work without a password, or leave the machine out")
    wanted = (("folder", Path.cwd()), ("python", sys.executable), ("runs", configuration.runs.absolute()))
    for word, path in wanted:
        if word not in said:
            change = "share the file system at the same path, or leave the machine out"
            raise UserError(given, f"it does not see {path} as this machine does", change)
    hardware = configuration.hardware
    each, there = hardware.processes // hardware.nodes, int(said[-1])
    if hardware.device == "cuda" and there < each:
        change = f"set hardware.processes={there * hardware.nodes}, or leave the machine out"
        raise UserError(given, f"it has {there} CUDA devices, and {each} processes would run there", change)


def run(folder: Path) -> int:
    """Start every machine's part of the run in `folder`; 0 once all ended well, else the code of the first that did
    not, with all ended; 130 where this was asked to end."""
    configuration = freeze.read(folder / "config.yaml")
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    parts = {
        f"{rank} {host}": _start(command)
        for (rank, host), command in zip(
            enumerate(configuration.hardware.hosts), commands(configuration, folder), strict=True
        )
    }
    failed = _watch(parts, asked)
    _end(parts)
    if failed:
        name, code = failed
        rank, host = name.split(" ", 1)
        lost = " (ssh could not reach it, or lost it)" if code == LOST and host != LOCAL else ""
        print(f"error: {host}, machine {rank} of the run, ended first, with code {code}{lost}", flush=True)
        return code
    return 130 if asked else 0


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C comes to this process alone."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=os.environ)


def _watch(parts: Parts, asked: list[int]) -> tuple[str, int] | None:
    """(name, code) of the first part that failed, once the others ended or had time to; None where none did."""
    failed, deadline = None, 0.0
    while any(part.poll() is None for part in parts.values()) and not asked:
        if failed and time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
        if failed is None:
            failed = next(((name, part.returncode) for name, part in parts.items() if part.poll()), None)
            deadline = time.monotonic() + GRACE_SECONDS
    return failed or next(((name, part.returncode) for name, part in parts.items() if part.poll()), None)


def _end(parts: Parts) -> None:
    """Let every part's input end, which its guard ends it for; then insist."""
    for part in parts.values():
        if part.stdin:
            part.stdin.close()
    deadline = time.monotonic() + GRACE_SECONDS
    for part in parts.values():
        try:
            part.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            part.kill()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
