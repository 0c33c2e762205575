"""A run that is asked to stop saves, says so, and goes on as if it had not been: one process, and two machines."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conf.files import read_jsonl
from launch.command import Stopped
from tests.train.launched import launched
from train import stop, worker

ROOT = Path(worker.__file__).parent.parent
SIZE = {"data__max_completion_length": 48, "train__steps": 9, "train__save_steps": 4, "recipe__micro_batch_size": 4}


def after_a_step(folder, act):
    """Call `act` in a thread once the run in `folder` has booked its first step."""

    def wait():
        deadline = time.monotonic() + 120
        while not read_jsonl(folder / "metrics.jsonl") and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def check_goes_on(folder, alone):
    """The run in `folder` is as the one in `alone`, which was never stopped."""
    two, one = (read_jsonl(where / "metrics.jsonl") for where in (folder, alone))
    assert [row["step"] for row in two] == list(range(1, 10))
    assert [row["loss"] for row in two] == pytest.approx([row["loss"] for row in one], rel=1e-3, abs=1e-4)
    ends = [load_file(where / "checkpoints/step-000009/model.safetensors") for where in (folder, alone)]
    for name, tensor in ends[1].items():
        torch.testing.assert_close(ends[0][name], tensor, rtol=1e-3, atol=1e-5)
    for part in ("evaluation", "checkpoints"):
        names = sorted(path.name for path in (folder / part).glob("step-*"))
        assert names == ["step-000004", "step-000008", "step-000009"], part
    assert (folder / "done.json").exists() and stop.noted(folder) is None


@pytest.mark.slow
def test_one_process_ends_with_75_and_goes_on(configure, run_folder):
    configuration = configure("grpo", **SIZE, recipe__reward_funcs=["random"], recipe__num_iterations=2)
    alone, folder = run_folder(configuration, "alone"), run_folder(configuration)
    worker.run(alone)
    command = [sys.executable, "-m", "train", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT)
    after_a_step(folder, lambda: process.send_signal(signal.SIGUSR1)).join()
    assert process.wait(60) == stop.CODE == 75
    step = stop.noted(folder)
    assert step and (folder / f"checkpoints/step-{step:06d}").exists() and not (folder / "done.json").exists()
    assert step % 4 == 0 or not (folder / f"evaluation/step-{step:06d}").exists()
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    check_goes_on(folder, alone)


@pytest.mark.slow
def test_the_launcher_passes_it_on_to_every_machine(configure, run_folder):
    alone = run_folder(configure("sft", **SIZE), "alone")
    worker.run(alone)
    configuration = configure("sft", **SIZE, hardware__processes=2, hardware__hosts=["localhost", "localhost"])
    folder = run_folder(configuration)
    asker = after_a_step(folder, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    with pytest.raises(Stopped, match="goes on from the step"):
        launched(configuration, folder)
    asker.join()
    assert stop.noted(folder) and not (folder / "done.json").exists()
    launched(configuration, folder)
    check_goes_on(folder, alone)
