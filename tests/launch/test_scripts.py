"""The batch scripts line by line, without Slurm: options, quoting, secrets, what each job runs, and bash's check."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from conf.errors import UserError
from launch import evaluate, folders, pair, ranks, scripts, show, slurm, sweep, targets
from launch.compose import compose


def options(script: str) -> dict[str, str]:
    """Option -> value of the #SBATCH lines, as a shell would split them; "" for one without a value."""
    lines = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]
    words = [shlex.split(line) for line in lines]
    assert all(len(one) == 1 for one in words)
    return dict((key, value) for key, _, value in (one[0].removeprefix("--").partition("=") for one in words))


def exports(script: str) -> dict[str, str]:
    lines = [shlex.split(line)[1] for line in script.splitlines() if line.startswith("export ") and "=" in line]
    return dict((key, value) for key, _, value in (line.partition("=") for line in lines))


def is_bash(script: str) -> bool:
    return subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_run_on_four_machines(make, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a secret")
    monkeypatch.setenv("HF_TOKEN", "a secret")
    given = ["partition=gpu", "account=me", "qos=high", "time_limit=1-12:00:00", "signal_seconds=900"]
    asked = [f"hardware.slurm.{one}" for one in given] + ['hardware.slurm.extra=["--exclusive","--mem=0"]']
    setup = 'hardware.slurm.setup=["module load cuda"]'
    configuration = make("hardware=nodes4x8", "train.prompts_per_step=32", "logger=wandb", *asked, setup)
    run = folders.run_folder(configuration)
    script = scripts.of_run(configuration, run)
    assert script.startswith("#!/bin/bash\n#SBATCH ") and is_bash(script) and "secret" not in script
    assert options(script) == {
        "job-name": "embedded/sft/seed-0",
        "nodes": "4",
        "ntasks-per-node": "1",
        "gpus-per-node": "8",
        "cpus-per-task": str(8 * (4 + 1)),
        "time": "1-12:00:00",
        "partition": "gpu",
        "account": "me",
        "qos": "high",
        "chdir": str(Path.cwd()),
        "output": str(run.absolute() / "worker.log"),
        "open-mode": "append",
        "requeue": "",
        "signal": "B:USR1@900",
        "exclusive": "",
        "mem": "0",
    }
    found = exports(script)
    assert found["OMP_NUM_THREADS"] == "4" and found["HF_HOME"]
    lines = script.splitlines()
    assert lines.index("module load cuda") > lines.index("set -euo pipefail")
    assert 'read -r MAIN_ADDRESS < <(scontrol show hostnames "$SLURM_JOB_NODELIST")' in lines
    start = next(line for line in lines if line.startswith("srun "))
    words = shlex.split(start.removesuffix(" &"))
    assert words[:4] == ["srun", "--ntasks-per-node=1", "--kill-on-bad-exit=1", "--cpus-per-task=40"]
    assert words[4:6] == ["bash", "-c"] and is_bash(words[6])
    inner = shlex.split(words[6])
    place = ["--machine_rank", "$SLURM_NODEID", "--main_process_ip", "$MAIN_ADDRESS"]
    place += ["--main_process_port", "$MAIN_PORT", "--module", "train", str(run)]
    assert inner[0] == "exec" and inner[1] == sys.executable and inner[-9:] == place
    accelerate = yaml.safe_load(ranks.files(configuration, run)["accelerate.yaml"])
    assert accelerate["num_machines"] == 4 and accelerate["num_processes"] == 32
    assert not {"machine_rank", "main_process_ip", "main_process_port"} & set(accelerate)


def test_a_run_on_one_machine_without_a_device(make):
    configuration = make("hardware.launcher=slurm", "hardware.processes=2")
    script = scripts.of_run(configuration, folders.run_folder(configuration))
    assert is_bash(script) and "MAIN_ADDRESS" not in script
    found = options(script)
    assert found["nodes"] == "1" and not {"gpus-per-node", "partition", "time"} & set(found)
    assert "scontrol requeue" in script and "exit 75" in script and "train.owed" not in script


WAITS = "until [[ -e $run/stop ]]; do sleep 0.05; done; "
SAVES = "mkdir -p $run/checkpoints/step-000003; touch $run/checkpoints/step-000003/model; "


@pytest.mark.parametrize(
    ("training", "warn", "code", "requeued"),
    [
        ("exit 0", False, 0, False),
        ("exit 3", False, 3, False),
        (f"{WAITS}{SAVES}touch $run/stopped.json; exit 75", True, 0, True),
        (f"{WAITS}exit 0", True, 0, False),  # it came to its end before
        (f"{SAVES}exec sleep 600", True, 0, True),  # no end of a step in time, and yet it has written
        ("mkdir -p $run/checkpoints/.writing; exec sleep 600", True, 128 + 15, False),  # it would do no more next time
    ],
)
def test_what_the_script_makes_of_an_end_and_of_a_warning(make, tmp_path, training, warn, code, requeued):
    """The script as bash runs it, with a short command in place of the training, and without Slurm."""
    configuration = make("hardware.launcher=slurm", "hardware.slurm.signal_seconds=3")
    run = folders.run_folder(configuration)
    run.mkdir(parents=True)
    own = [line for line in scripts.of_run(configuration, run).splitlines() if "launch.stage begin" not in line]
    place = next(number for number, line in enumerate(own) if line.startswith("srun "))
    own[place] = f"run={shlex.quote(str(run))} bash -c {shlex.quote(training)} &"
    asked = tmp_path / "scontrol.log"
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    (tmp_path / "scontrol").chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    text = "\n".join(own).replace(sys.executable, "true")
    job = subprocess.Popen(["bash", "-c", text], env=variables, process_group=0)
    started = run / scripts.STARTED
    deadline = time.monotonic() + 20
    while warn and not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3 if warn else 0)  # the command is waited for
    if warn:
        job.send_signal(signal.SIGUSR1)
    assert job.wait(20) == code
    assert asked.exists() == requeued and (not requeued or asked.read_text() == "requeue 7\n")


def test_names_with_spaces_and_signs_stay_one_word(make, tmp_path):
    odd = "a b'c\"d $(touch x) 5%j"
    configuration = make("hardware.launcher=slurm", "hardware.nodes=2", "hardware.processes=2").model_copy(
        update={"runs": tmp_path / odd}
    )
    run = folders.run_folder(configuration)
    script = scripts.of_run(configuration, run)
    assert is_bash(script)
    assert options(script)["output"] == str(run / "worker.log").replace("%", "%%")
    line = next(line for line in script.splitlines() if line.startswith("run="))
    assert shlex.split(line) == [f"run={run}"]
    start = next(line for line in script.splitlines() if line.startswith("srun "))
    inner = shlex.split(shlex.split(start.removesuffix(" &"))[6])
    assert inner[-1] == str(run) and "--nnodes=2" in inner and "--node-rank=$SLURM_NODEID" in inner


def test_a_machine_more_serves_vllm(make):
    asked = ["recipe=grpo", "rollouts.use_vllm=true", "rollouts.vllm_mode=server", "hardware.slurm.vllm_node=true"]
    configuration = make("hardware=nodes4x8", "train.prompts_per_step=32", *asked)
    script = scripts.of_run(configuration, folders.run_folder(configuration))
    assert is_bash(script) and options(script)["nodes"] == "5" and options(script)["gpus-per-node"] == "8"
    served, trained = (shlex.split(line) for line in script.splitlines() if line.startswith("srun "))
    assert {"--nodes=1", "--ntasks=1", "--nodelist=${MACHINES[-1]}"} <= set(served) and served[-2:] == ["2>&1", "&"]
    assert served[served.index("--port") + 1] == "$VLLM_PORT" and served[served.index("--host") + 1] == "0.0.0.0"
    assert {"--nodes=4", "--ntasks=4", "--nodelist=$TRAINING"} <= set(trained)
    assert 'TRAINING=$(IFS=,; echo "${MACHINES[*]:0:4}")' in script.splitlines()
    sft = make("hardware=nodes4x8", "train.prompts_per_step=32", *asked[1:])
    assert options(scripts.of_run(sft, folders.run_folder(sft)))["nodes"] == "4"


def test_measurements_after_training_are_made_on_its_devices(make):
    configuration = make("hardware.launcher=slurm", "suite.where=after")
    run, experiment = folders.run_folder(configuration), folders.experiment_folder(configuration)
    assert scripts.of_run(configuration, run).splitlines()[-1].endswith(f"-m train.owed {run} training after")
    prepared = scripts.of_preparation(configuration, experiment).splitlines()
    work = [line.partition(" -m ")[2].split()[0] for line in prepared if " -m " in line]
    assert work == ["launch.stage", "train.prepare", "train.owed", "launch.stage"]


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["hardware.slurm.time_limit=90"], "time_limit"),
        (["hardware.slurm.time_limit=00:10:00"], "asked to stop at once"),
        (["hardware.slurm.extra=[exclusive]"], "no option of sbatch"),
        (['hardware.slurm.partition="gpu\nrm"'], "no option of sbatch"),
        (['hardware.slurm.setup=["export HF_TOKEN=hf_abc"]'], "a secret would be written"),
        (["hardware.hosts=[a,b]", "hardware.processes=2"], "Slurm says which machines"),
    ],
)
def test_what_no_script_may_hold_is_refused(make, overrides, match):
    with pytest.raises(UserError, match=match) as caught:
        make("hardware.launcher=slurm", *overrides)
    assert "hf_abc" not in str(caught.value)


def test_a_secret_may_be_read_where_the_job_runs(make):
    lines = ["export HF_TOKEN=$(cat ~/token)", 'export WANDB_API_KEY="$KEY"', "source ~/keys.sh"]
    assert make(f"hardware.slurm.setup={json.dumps(lines)}").hardware.slurm.setup == lines


@pytest.mark.parametrize("main", [pair.main, sweep.main])
def test_print_slurm_shows_every_script_and_submits_nothing(base, tmp_path, capsys, monkeypatch, main):
    monkeypatch.setenv("PATH", str(tmp_path))  # no sbatch, no squeue
    runs = tmp_path / "runs"
    main([f"model.path={base}", f"runs={runs}", "hardware.launcher=print_slurm"])
    said = capsys.readouterr().out
    found = said.split("#!/bin/bash\n")
    assert "prepare.sbatch" in found[0] and "launch.stage begin" in found[1] and not runs.exists()
    assert "again.sbatch, after all runs" in said and "hardware.launcher=slurm" in found[-1]
    assert len(found) == 1 + 2 + (2 if main is pair.main else 8)
    assert all(is_bash(one) for one in found[1:])


@pytest.mark.parametrize("module", [evaluate, targets])
def test_other_commands_are_one_job_on_one_machine(base, tmp_path, capsys, module):
    asked = [f"model.path={base}", f"runs={tmp_path / 'runs'}", "hardware=nodes4x8", "train.prompts_per_step=32"]
    module.main([*asked, "hardware.launcher=print_slurm", "targets.model=m"])
    script = capsys.readouterr().out
    assert is_bash(script) and options(script)["nodes"] == "1" and options(script)["gpus-per-node"] == "8"
    words = shlex.split(script.strip().splitlines()[-1])
    assert words[1:4] == ["-m", module.__name__, asked[0]]
    assert words[-3:] == ["hardware.launcher=local", "hardware.nodes=1", "hardware.processes=8"]
    assert compose(words[3:]).hardware.processes == 8 and not (tmp_path / "runs").exists()


def test_without_slurm_it_is_said(make, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no squeue on this machine"):
        slurm.jobs(make("hardware.launcher=slurm"))
    assert not show.shown([make("hardware.launcher=slurm")])
