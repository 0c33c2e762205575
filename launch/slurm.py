"""Slurm itself: a script submitted, which jobs there are, jobs cancelled. Numbers stand beside what a job works on."""

import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from conf.errors import UserError
from conf.files import read_json, write_json, write_text
from conf.schema import Configuration
from launch.workers import environment

SECONDS = 60.0
# of the job that this command itself may run in; what says where Slurm is stays
OWN = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")


def submit(configuration: Configuration, script: str, place: Path, after: Sequence[int], command: list[str]) -> int:
    """Write `script` to `place`.sbatch and submit it, to begin once the jobs `after` ended well; the job's number.

    `place`.json keeps the number and the `command` behind it. UserError with Slurm's words where it refuses.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    file = place.with_suffix(".sbatch")
    write_text(file, script)
    waits = [f"--dependency=afterok:{':'.join(map(str, after))}", "--kill-on-invalid-dep=yes"] if after else []
    said = _asked(["sbatch", "--parsable", *waits, str(file)], configuration)
    number = int(said.strip().splitlines()[-1].split(";")[0])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(place.with_suffix(".json"), {"job": number, "time": now, "after": list(after), "command": command})
    return number


def jobs(configuration: Configuration) -> dict[int, str]:
    """Number -> state of this user's jobs that have not ended."""
    said = _asked(["squeue", "--noheader", "--me", "--format=%A %T"], configuration)
    return {int(number): state for number, state in (line.split() for line in said.splitlines() if line.strip())}


def job(place: Path) -> int | None:
    """The number of the job that was last submitted for `place`."""
    file = place.with_suffix(".json")
    return int(read_json(file)["job"]) if file.exists() else None


def cancel(configuration: Configuration, numbers: Sequence[int]) -> None:
    """Cancel jobs; one that has ended is none."""
    if numbers:
        _asked(["scancel", *map(str, numbers)], configuration)


def own_job() -> int | None:
    """The job that this command runs in, if any."""
    number = os.environ.get("SLURM_JOB_ID", "")
    return int(number) if number.isdigit() else None


def _asked(command: list[str], configuration: Configuration) -> str:
    """What Slurm's command says; UserError where it is missing or refuses."""
    variables = environment(configuration)
    outside = {key: value for key, value in variables.items() if not key.startswith("SLURM_") or key in OWN}
    try:
        done = subprocess.run(command, env=outside, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        change = "start from a machine that has Slurm's commands, or set hardware.launcher=local"
        raise UserError("hardware.launcher=slurm", f"there is no {command[0]} on this machine", change) from None
    except subprocess.TimeoutExpired:
        why = f"it did not answer in {SECONDS:.0f} seconds"
        raise UserError(" ".join(command), why, "start the same command again once Slurm answers") from None
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"it ended with code {done.returncode}"
        raise UserError(" ".join(command), why, "change the keys hardware.slurm.* that it names")
    return done.stdout
