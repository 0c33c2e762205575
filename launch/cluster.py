"""An experiment on Slurm: one job prepares it, one trains each run, and the last is the same command again.

What that finds done it keeps, so it writes the report, takes the sweep's next step or makes the table. What is queued
is left alone, and what is neither done nor queued is submitted.
"""

import hashlib
from pathlib import Path

from conf.errors import UserError
from conf.schema import Configuration
from launch import folders, manifest, ranks, scripts, slurm
from launch.command import Submitted
from train import measuring

FOLDER = "slurm"  # of an experiment: scripts, job numbers and logs that belong to no run
Again = list[str]  # module and arguments of the command that follows once all runs are done


def train_all(configurations: list[Configuration], every: list[Configuration], again: Again | None) -> list[Path]:
    """Run folders of `configurations`, all of them done; else Submitted, with a job queued for each that is not.

    `every`: all of the experiment; `again` follows once the jobs ended well. UserError where Slurm refuses one; what
    this command had submitted is cancelled then.
    """
    new: list[int] = []
    try:
        runs, jobs = _submit(configurations, every, new)
        if jobs and again:
            place = folders.experiment_folder(every[0]) / FOLDER / "again"
            follow(every[0], place, again, jobs, bool(new))
    except UserError:
        slurm.cancel(every[0], new)
        raise
    if jobs:
        raise Submitted(jobs, bool(new))
    return runs


def follow(configuration: Configuration, place: Path, again: Again, jobs: list[int], new: bool) -> None:
    """Have the command `again` run once `jobs` ended well, in place of the one that waits for others at `place`."""
    waits = slurm.job(place)
    if waits in slurm.jobs(configuration) and waits != slurm.own_job():
        if not new:
            print(f"{' '.join(again[:1])}: job {waits} follows", flush=True)
            return
        slurm.cancel(configuration, [waits])
    name = f"{configuration.experiment.name}/{place.name}"
    script = scripts.of_command(configuration, name, place.with_suffix(".log"), again)
    number = slurm.submit(configuration, script, place, jobs, again)
    print(f"{again[0]} again: job {number}, once these have ended well; its words go to {place}.log", flush=True)


def whole(configuration: Configuration, command: Again) -> bool:
    """Submit `command` as one job, on one machine with its devices, where the configuration asks for Slurm: Submitted.

    Where that is to be shown alone its script is printed; whether it was. Else the command is to run here.
    """
    hardware = configuration.hardware
    if hardware.launcher not in ("slurm", "print_slurm"):
        return False
    each = hardware.processes // hardware.nodes
    words = [*command, "hardware.launcher=local", "hardware.nodes=1", f"hardware.processes={each}"]
    name = f"{command[0].removeprefix('launch.')}-{hashlib.sha256(' '.join(command).encode()).hexdigest()[:8]}"
    place = folders.experiment_folder(configuration) / FOLDER / name
    title = f"{configuration.experiment.name}/{name}"
    script = scripts.of_command(configuration, title, place.with_suffix(".log"), words, devices=True)
    if hardware.launcher == "print_slurm":
        print(script)
        return True
    queued, number = slurm.jobs(configuration), slurm.job(place)
    if number not in queued:
        number = slurm.submit(configuration, script, place, [], words)
        queued[number] = "submitted"
    print(f"{name}: job {number} is {queued[number]}; its words go to {place}.log", flush=True)
    raise Submitted([number], True)


def refuse_queued(experiment: Path, runs: list[tuple[Path, Configuration]]) -> None:
    """UserError where a Slurm job works, or is to work, on what this machine would work on now."""
    places = [(experiment / FOLDER / "prepare", runs[0][1])] if runs and not folders.prepared(experiment) else []
    for place, configuration in [*places, *((run / FOLDER, given) for run, given in runs)]:
        number = slurm.job(place)
        if number is None or number == slurm.own_job():
            continue
        given, why = f"{place.parent} was submitted as Slurm job {number}", "two writers would mix their steps"
        change = f"wait for it, or `scancel {number}`"
        try:
            queued = slurm.jobs(configuration)
        except UserError as error:
            change = f"remove {place.with_suffix('.json')} if the job has ended"
            raise UserError(given, f"whether it still runs cannot be asked here: {error.why}", change) from None
        if number in queued:
            raise UserError(f"{given}, which is {queued[number]}", why, change)


def _submit(
    configurations: list[Configuration], every: list[Configuration], new: list[int]
) -> tuple[list[Path], list[int]]:
    """Run folders, and the jobs that are queued for those not done; what is submitted here is added to `new`."""
    shared, experiment = every[0], folders.experiment_folder(every[0])
    queued = slurm.jobs(shared)
    place = experiment / FOLDER / "prepare"
    preparing = [number for number in [slurm.job(place)] if number in queued]
    folders.freeze_experiment(shared, begins=False, keep=bool(preparing))
    if folders.prepared(experiment):
        folders.check_targets(experiment, every)
    elif not preparing:
        _freeze(configurations, queued)  # whatever is refused is refused before the first job
        script = scripts.of_preparation(shared, experiment)
        preparing = [slurm.submit(shared, script, place, [], manifest.command())]
        new += preparing
    if preparing:
        print(f"{shared.experiment.name} is prepared by job {preparing[0]}", flush=True)
    frozen = _freeze(configurations, queued)
    runs = list(zip(frozen, configurations, strict=True))
    jobs = [_job(run, given, queued, preparing, new) for run, given in runs]
    jobs += [_measuring(experiment, experiment / FOLDER / "measure", shared, queued, preparing, new)]
    for (run, given), training in zip(runs, jobs[: len(runs)], strict=True):
        jobs.append(_measuring(run, run / f"{FOLDER}-measure", given, queued, [training] if training else [], new))
    return frozen, [number for number in jobs if number] or preparing


def _freeze(configurations: list[Configuration], queued: dict[int, str]) -> list[Path]:
    """Their folders, the configuration of each frozen where no job reads it already."""
    return [
        folders.freeze_run(given, begins=False, keep=slurm.job(folders.run_folder(given) / FOLDER) in queued)
        for given in configurations
    ]


def _job(
    run: Path, configuration: Configuration, queued: dict[int, str], after: list[int], new: list[int]
) -> int | None:
    """The job of one run, submitted if there is none; None where it is done."""
    name, place = f"{run.parent.name}/{run.name}", run / FOLDER
    number = slurm.job(place)
    if folders.done(run):
        print(f"{name}: done", flush=True)
        return None
    if number in queued:
        print(f"{name}: job {number} is {queued[number]}", flush=True)
        return number
    ranks.write(configuration, run)
    number = slurm.submit(configuration, scripts.of_run(configuration, run), place, after, manifest.command())
    print(f"{name}: submitted as job {number}", flush=True)
    new.append(number)
    return number


def _measuring(
    folder: Path, place: Path, configuration: Configuration, queued: dict[int, str], after: list[int], new: list[int]
) -> int | None:
    """The job that makes the measurements that asked for one of their own, of the base or of a run; None without any.

    One that failed is not tried again by the command that follows the runs: it would do so for ever.
    """
    asked = [one for one in measuring.asked(configuration) if one.when and one.where == "slurm"]
    number = slurm.job(place)
    if not asked or number in queued:
        return number if number in queued else None
    if not after and (slurm.own_job() or not measuring.owed(configuration, folder, ("slurm",))):
        return None
    name = f"{configuration.experiment.name}/measure"
    arguments = ["train.owed", str(folder), "slurm"]
    words = ranks.beside(configuration, arguments[0], arguments[1:])[2:]
    script = scripts.of_command(configuration, name, place.with_suffix(".log"), words, devices=True)
    number = slurm.submit(configuration, script, place, after, arguments)
    print(f"what {folder.parent.name}/{folder.name} asks to be measured apart: job {number}", flush=True)
    new.append(number)
    return number
