"""Two machines, which are this one twice: the same training as in one process, and all ends where one part fails."""

import psutil
import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from conf.files import read_jsonl
from launch.command import WorkerFailed
from tests.train.launched import killed_at, launched
from train import worker

SIZE = {"data__max_completion_length": 48, "train__steps": 4, "recipe__micro_batch_size": 4}
TWO = {"hardware__hosts": ["localhost", "localhost"], "hardware__processes": 2}


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stage"), [("sft", 0), ("grpo", 2)])
def test_two_machines_do_what_one_process_does(configure, run_folder, recipe, stage):
    """By torchrun without ZeRO, by accelerate and DeepSpeed with it."""
    asked = SIZE | {"recipe__reward_funcs": ["random"]}
    alone = run_folder(configure(recipe, **asked), "alone")
    worker.run(alone)
    configuration = configure(recipe, **asked, **TWO, hardware__zero_stage=stage)
    folder = run_folder(configuration)
    launched(configuration, folder)
    two, one = (read_jsonl(where / "metrics.jsonl") for where in (folder, alone))
    assert [row["step"] for row in two] == [1, 2, 3, 4]
    assert [row["loss"] for row in two] == pytest.approx([row["loss"] for row in one], rel=1e-3, abs=1e-4)
    ends = [load_file(where / "checkpoints/step-000004/model.safetensors") for where in (folder, alone)]
    for name, tensor in ends[1].items():
        assert_close(ends[0][name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_machine_that_fails_ends_the_run_which_then_goes_on(configure, run_folder):
    configuration = configure("sft", **SIZE, **TWO)
    folder = run_folder(configuration)
    with pytest.raises(WorkerFailed, match="process 1 of the run was ended by SIGKILL"):
        killed_at(configuration, folder, 2)
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in (one.info["cmdline"] or [])]
    launched(configuration, folder)
    assert [row["step"] for row in read_jsonl(folder / "metrics.jsonl")] == [1, 2, 3, 4]
