"""The files and the command of a run in several processes, against its configuration; and what is refused."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from conf.errors import UserError
from conf.files import write_json
from launch import __main__ as launch
from launch import machine, pair, preflight, ranks, show, sweep
from launch.command import WorkerFailed
from launch.progress import Lines
from launch.workers import Job, Usage, environment, run_pool


def test_the_files_say_what_the_configuration_says(make, tmp_path):
    asked = ["hardware=gpu8", "hardware.processes=4", "hardware.offload=all"]
    configuration = make(*asked, "train.prompts_per_step=8")
    ranks.write(configuration, tmp_path)
    accelerate = yaml.safe_load((tmp_path / "accelerate.yaml").read_text())
    assert accelerate["distributed_type"] == "DEEPSPEED" and accelerate["num_processes"] == 4
    assert accelerate["deepspeed_config"] == {
        "deepspeed_config_file": str(tmp_path / "deepspeed.json"),
        "zero3_init_flag": True,
    }
    deepspeed = json.loads((tmp_path / "deepspeed.json").read_text())
    zero = deepspeed["zero_optimization"]
    assert deepspeed["bf16"]["enabled"] and deepspeed["communication_data_type"] == "fp32" and zero["stage"] == 3
    assert zero["offload_optimizer"]["device"] == zero["offload_param"]["device"] == "cpu"
    batch = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    assert {deepspeed[key] for key in batch} == {"auto"}  # so that train/arguments.py alone decides


@pytest.mark.parametrize(
    ("overrides", "starts", "files"),
    [
        ([], ["-m", "train"], set()),
        (["hardware.processes=2"], ["-m", "torch.distributed.run", "--nproc-per-node=2"], set()),
        (
            ["hardware.zero_stage=2"],
            ["-m", "accelerate.commands.accelerate_cli", "launch"],
            {"accelerate.yaml", "deepspeed.json"},
        ),
        (
            ["hardware=gpu1", "hardware.processes=2"],
            ["-m", "accelerate.commands.accelerate_cli", "launch"],
            {"accelerate.yaml"},
        ),
    ],
)
def test_one_process_starts_plainly_and_others_through_their_launcher(make, tmp_path, overrides, starts, files):
    configuration = make(*overrides)
    command = ranks.command(configuration, tmp_path)
    assert command[0] == sys.executable and command[1 : 1 + len(starts)] == starts
    assert command[-2:] == ["train", str(tmp_path)]
    assert set(ranks.files(configuration, tmp_path)) == files


@pytest.mark.parametrize("main", [launch.main, pair.main, sweep.main])
def test_print_shows_what_would_run_and_starts_nothing(base, tmp_path, capsys, main):
    runs = tmp_path / "runs"
    main([f"model.path={base}", f"runs={runs}", "hardware=gpu8", "hardware.launcher=print"])
    said = capsys.readouterr().out
    assert "distributed_type: DEEPSPEED" in said and '"stage": 3' in said and "accelerate_cli launch" in said
    assert "8 processes, ZeRO-3" in said and not runs.exists()


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["hardware.processes=3"], "hardware.processes=3 with 128 responses"),
        (["hardware.offload=optimizer"], "offload=optimizer with hardware.zero_stage=0"),
        (["hardware.zero_stage=2", "hardware.offload=all"], "parameters in stage 3 only"),
        (["hardware.zero_stage=2", "hardware.mixed_precision=bf16"], "no bfloat16"),
        (["model.dtype=bfloat16"], "small updates round away"),
        (["model.lora_rank=8", "recipe=iterative_rft"], "snapshot"),
    ],
)
def test_what_cannot_be_started_is_refused(make, overrides, match):
    with pytest.raises(UserError, match=match):
        make(*overrides)


def test_bfloat16_parameters_are_trained_where_that_is_asked_for(make):
    assert make("model.dtype=bfloat16", "model.allow_pure_bfloat16=true").model.dtype == "bfloat16"
    assert make("model.dtype=bfloat16", "model.lora_rank=8").model.lora_rank == 8  # the frozen base alone


def test_more_processes_than_devices_are_refused(make, monkeypatch):
    monkeypatch.setattr(machine, "devices", lambda: ["GPU"] * 2)
    with pytest.raises(UserError, match="set hardware.processes=2"):
        preflight.check(make("hardware=gpu8"))
    with pytest.raises(UserError, match="same CUDA devices"):
        preflight.check(make("hardware=gpu8", "hardware.processes=2", "hardware.workers=2"))


def test_machines_that_nothing_names_are_refused(make, monkeypatch):
    monkeypatch.setattr(machine, "devices", lambda: ["GPU"] * 8)
    with pytest.raises(UserError, match="nothing says which machines"):
        preflight.check(make("hardware=nodes4x8", "hardware.launcher=local"))
    with pytest.raises(UserError, match="nothing says which machines"):
        show.shown([make("hardware=nodes4x8", "hardware.launcher=print")])
    with pytest.raises(UserError, match="a multiple of the nodes"):
        make("hardware=nodes4x8", "hardware.nodes=3")
    with pytest.raises(UserError, match="names 2 machines with hardware.nodes=4"):
        make("hardware=nodes4x8", "hardware.hosts=[a,b]")
    twice = ["hardware=gpu8", "hardware.hosts=[localhost,localhost]"]
    with pytest.raises(UserError, match="same CUDA devices"):
        preflight.check(make(*twice))


def test_ranks_of_an_outer_launcher_are_not_inherited(make, monkeypatch):
    for name in ("ACCELERATE_USE_DEEPSPEED", "TORCHELASTIC_RUN_ID", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
        assert name not in environment(make())


RANK = """
import sys, time
from pathlib import Path
from conf.errors import UserError, ending
from train import processes
folder = Path(sys.argv[1])
def work():
    if processes.rank() == 1:
        raise UserError("a row without an answer", "nothing to weigh", "give it one")
    while processes.rank() == 0 or not (folder / "failed-rank-1.json").exists():
        time.sleep(0.05)
    raise RuntimeError("the other process is gone")
sys.exit(ending(lambda: processes.watched(work, folder), folder))
"""


def test_the_first_failure_is_shown_and_ends_all(tmp_path):
    code = tmp_path / "rank.py"
    code.write_text(RANK)  # process 0 would never end
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=3", "--rdzv-backend=c10d"]
    command += ["--rdzv-endpoint=localhost:0", str(code), str(tmp_path)]
    root = str(Path(launch.__file__).parent.parent)
    variables = dict(os.environ) | {"PYTHONPATH": root}
    with pytest.raises(WorkerFailed, match="process 1: a row without an answer") as caught:
        run_pool([Job("three", command, tmp_path / "worker.log", variables)], 1, Lines(0), Usage())
    assert caught.value.code == 2 and "gone" not in str(caught.value)


def test_a_killed_process_is_the_cause_and_not_those_that_missed_it(tmp_path):
    write_json(tmp_path / "failed-rank-0.json", {"time": 1.0, "rank": 0, "code": 1, "text": "connection closed"})
    said = "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : -9 (pid: 7)\n"
    assert ranks.first_failure(tmp_path, said) == (1, "process 1 of the run was ended by SIGKILL")
    assert ranks.first_failure(tmp_path, "") == (1, "process 0: connection closed")
    assert ranks.first_failure(tmp_path / "none", "") is None
