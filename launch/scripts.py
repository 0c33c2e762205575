"""The batch scripts of an experiment on Slurm: what sbatch is told, and the lines that a job runs.

Values are quoted for the shell. No key or token is written: sbatch passes on the environment it is called in.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.constants import HF_HOME

from conf.schema import Configuration
from launch import needs, ranks, workers
from models import serving
from train import measuring, stop

FIRST_PORT, PORTS = 20_000, 10_000  # the job's number decides, so that jobs that share a machine do not meet
PLACES = {"@RANK@": '"$SLURM_NODEID"', "@ADDRESS@": '"$MAIN_ADDRESS"', "@PORT@": '"$MAIN_PORT"'}
STARTED = ".started"  # in a run's folder, as old as the job's present start

# Slurm warns the batch shell alone. A run that does not come to the end of its step in time (a long evaluation) is
# ended, and queued again where it has written anything since its start.
TRAIN = """\
run={run}
save() {{
    interrupted=1
    (( warned )) && return
    warned=1
    echo "asked to stop: the run saves at the end of its step"
    touch "$run/{asked}"
    {{ sleep {patience}; kill -TERM "$child"; }} 2>/dev/null &
}}
child= interrupted=0 warned=0 code=0
rm -f "$run/{asked}" "$run/{stopped}"
touch "$run/{started}"
trap save USR1
{serving}srun {on}--ntasks-per-node=1 --kill-on-bad-exit=1 --cpus-per-task={cpus} {command} &
child=$!
wait "$child" || code=$?
while (( interrupted )); do interrupted=0 code=0; wait "$child" || code=$?; done
{served}new=(-path "*/step-*/*" -type f -newer "$run/{started}")
written=$(find "$run/checkpoints" "$run/evaluation" "${{new[@]}}" -print -quit 2>/dev/null || true)
if [[ -e $run/{stopped} || $warned -ne 0 && $code -ne 0 && -n $written ]]; then
    echo "queued again, to go on from the last checkpoint"
    scontrol requeue "$SLURM_JOB_ID" || exit {code}
    exit 0
fi
(( code == 0 )) || {{ {failed}; exit "$code"; }}
"""
MEETING = """\
read -r MAIN_ADDRESS < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
MAIN_PORT={port}
export MAIN_ADDRESS MAIN_PORT
"""
ANY_PORT = f"$(( {FIRST_PORT} + SLURM_JOB_ID % {PORTS} ))"
# The last machine serves vLLM, and the others train.
SERVING = """\
mapfile -t MACHINES < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
TRAINING=$(IFS=,; echo "${{MACHINES[*]:0:{nodes}}}")
VLLM_PORT={port}
export {address}="http://${{MACHINES[-1]}}:$VLLM_PORT"
srun --nodes=1 --ntasks=1 --nodelist="${{MACHINES[-1]}}" --cpus-per-task={cpus} {command} >>"$run/vllm.log" 2>&1 &
server=$!
"""
SERVED = 'kill "$server" 2>/dev/null || true\n'
SERVER_PORT = f"$(( {FIRST_PORT + PORTS} + SLURM_JOB_ID % {PORTS} ))"


def of_run(configuration: Configuration, run: Path) -> str:
    """The job that trains the run in `run` on every machine it takes, saves before its time is over, and goes on."""
    hardware = configuration.hardware
    several = ranks.Machine(*PLACES) if hardware.nodes > 1 else None
    command = shlex.join(ranks.command(configuration, run, several))
    if several:
        for word, value in PLACES.items():
            command = command.replace(word, value)
        command = f"bash -c {shlex.quote(f'exec {command}')}"  # in each machine's task, which knows its number
    apart = configuration.served_apart
    lines = TRAIN.format(
        serving=_serving(configuration) if apart else "",
        served=SERVED if apart else "",
        on=f'--nodes={hardware.nodes} --ntasks={hardware.nodes} --nodelist="$TRAINING" ' if apart else "",
        run=shlex.quote(str(run)),
        asked=stop.ASKED,
        stopped=stop.STOPPED,
        started=STARTED,
        code=stop.CODE,
        patience=hardware.slurm.signal_seconds * 2 // 3,
        cpus=_cpus(configuration),
        command=command,
        failed=_stage("failed", run),
    )
    meeting = MEETING.format(port=hardware.main_process_port or ANY_PORT) if several else ""
    own = ["--requeue", f"--signal=B:USR1@{hardware.slurm.signal_seconds}"]
    name = "/".join((configuration.experiment.name, *run.parts[-2:]))
    head = _directives(configuration, name, run / "worker.log", hardware.nodes + apart, own)
    work = [_stage("begin", run), (meeting + lines).rstrip(), *_measure(configuration, run)]
    return _script(configuration, head, work)


def _serving(configuration: Configuration) -> str:
    """The lines that serve vLLM on the job's last machine, reachable by the others."""
    rollouts = configuration.rollouts.model_copy(update={"vllm_server_host": "0.0.0.0"})
    public = configuration.model_copy(update={"rollouts": rollouts})
    words = serving.command(public, configuration.model.path, 0, *serving.for_rollouts(configuration))
    words[words.index("--port") + 1] = "@PORT@"
    variables = [f"{key}={value}" for key, value in serving.SETTINGS.items()]
    return SERVING.format(
        nodes=configuration.hardware.nodes,
        port=configuration.rollouts.vllm_server_port or SERVER_PORT,
        address=serving.ADDRESS,
        cpus=_cpus(configuration),
        command=shlex.join(["env", *variables, *words]).replace("@PORT@", '"$VLLM_PORT"'),
    )


def of_preparation(configuration: Configuration, experiment: Path) -> str:
    """The job that compiles the data, writes the lock and evaluates the base."""
    name = f"{configuration.experiment.name}/prepare"
    head = _directives(configuration, name, experiment / "worker.log", 1, ["--requeue"])
    prepare = shlex.join(ranks.beside(configuration, "train.prepare", [str(experiment / "config.yaml")]))
    work = [_stage("begin", experiment), prepare, *_measure(configuration, experiment), _stage("check", experiment)]
    return _script(configuration, head, work)


def of_command(
    configuration: Configuration, name: str, log: Path, arguments: Sequence[str], devices: bool = False
) -> str:
    """The job that runs `python -m ARGUMENTS`, one of this project's commands, on one machine."""
    head = _directives(configuration, name, log, 1, [], devices)
    return _script(configuration, head, [shlex.join([sys.executable, "-m", *arguments])])


def _directives(
    configuration: Configuration, name: str, log: Path, nodes: int, own: list[str], devices: bool = True
) -> list[str]:
    """What sbatch is told, one option each."""
    hardware, slurm = configuration.hardware, configuration.hardware.slurm
    output = str(log.absolute()).replace("%", "%%")  # Slurm fills in what stands after one
    options = [f"--job-name={name}", f"--nodes={nodes}", "--ntasks-per-node=1"]
    if devices and hardware.device == "cuda":
        each = hardware.processes // hardware.nodes + needs.set_aside(configuration)
        options.append(f"--gpus-per-node={each}")
    options.append(f"--cpus-per-task={_cpus(configuration) if devices else hardware.threads}")
    given = {"time": slurm.time_limit, "partition": slurm.partition, "account": slurm.account, "qos": slurm.qos}
    options += [f"--{key}={value}" for key, value in given.items() if value]
    options += [f"--chdir={Path.cwd()}", f"--output={output}", "--open-mode=append"]
    return [*options, *own, *slurm.extra]


def _script(configuration: Configuration, options: list[str], work: list[str]) -> str:
    """The whole script: options, environment, the user's own lines, and the work, which ends at the first failure."""
    variables = workers.settings(configuration) | {"HF_HOME": HF_HOME}
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {shlex.quote(option)}" for option in options),
            "set -euo pipefail",
            *(f"export {key}={shlex.quote(value)}" for key, value in variables.items()),
            *configuration.hardware.slurm.setup,
            *work,
            "",
        ]
    )


def _stage(name: str, folder: Path) -> str:
    return shlex.join([sys.executable, "-m", "launch.stage", name, str(folder)])


def _measure(configuration: Configuration, folder: Path) -> list[str]:
    """The line that measures what is to be measured after training, on the same devices; none where nothing is."""
    asked = any(one.when and one.where == "after" for one in measuring.asked(configuration))
    command = ranks.beside(configuration, "train.owed", [str(folder), "training", "after"])
    return [shlex.join(command)] if asked else []


def _cpus(configuration: Configuration) -> int:
    """Cores of each machine: its processes' threads, and the workers that judge responses."""
    hardware = configuration.hardware
    each = hardware.processes // hardware.nodes
    return hardware.slurm.cpus_per_task or each * (hardware.threads + hardware.reward_workers)
