"""A checkpoint is whole or set aside: every byte that was saved is accounted for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conf.errors import UserError
from conf.files import read_json, write_json
from models import digest
from models.folder import check_sealed
from tests.train.launched import launched
from train import checkpoints, worker

ROOT = Path(__file__).parent.parent.parent
SHORT = {"train__steps": 4, "train__save_steps": 2, "data__max_completion_length": 40}


def flip(file, at=-9):
    """Change one bit of one byte, so that neither length nor structure tells."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Recipe -> folder of its finished run, made once."""
    return {}, tmp_path_factory.mktemp("trained")


@pytest.fixture
def copied(trained, configure, run_folder, tmp_path):
    """A copy of a finished run that a test may spoil."""
    made, where = trained

    def make(recipe):
        if recipe not in made:
            critic = {"recipe__w": "critic_advantage", "recipe__loss_type": "dapo"} if recipe == "ppo" else {}
            folder = run_folder(configure(recipe, **SHORT | critic), recipe)
            worker.run(folder)
            made[recipe] = where / recipe
            shutil.copytree(folder.parents[2], made[recipe])
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(made[recipe], tmp_path / "copy")
        folder = tmp_path / "copy" / "arms" / recipe / "seed-0"
        (folder / "done.json").unlink()
        return folder

    return make


@pytest.mark.parametrize(
    ("recipe", "file"),
    [("sft", "model.safetensors"), ("sft", "optimizer.pt"), ("sft", "rng_state.pth"), ("sft", "ledger.json")]
    + [("sft", "scheduler.pt"), ("sft", "trainer_state.json"), ("ppo", "critic/model.safetensors")],
)
@pytest.mark.slow
def test_a_flipped_bit_is_found_and_named_and_the_checkpoint_before_is_taken(copied, capsys, recipe, file):
    folder = copied(recipe) / "checkpoints"
    flip(folder / "step-000004" / file)
    step, checkpoint = checkpoints.latest(folder)
    assert (step, checkpoint.name) == (2, "step-000002")
    said = capsys.readouterr().out
    assert f"is damaged ({file} holds other bytes" in said and "set aside as damaged-step-000004" in said
    assert (folder / "damaged-step-000004").is_dir() and not (folder / "step-000004").exists()


def test_a_run_whose_last_checkpoint_is_spoilt_ends_where_it_would_have(copied, configure):
    folder = copied("sft")
    last = folder / "checkpoints/step-000004"
    expected = {name: tensor.clone() for name, tensor in load_file(last / "model.safetensors").items()}
    flip(last / "optimizer.pt")
    worker.run(folder)
    for name, tensor in load_file(last / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)
    assert checkpoints.latest(folder / "checkpoints")[0] == 4 and (folder / "done.json").exists()


def test_a_seal_that_cannot_be_read_is_no_seal(copied, capsys):
    folder = copied("sft") / "checkpoints"
    (folder / "step-000004/complete.json").write_bytes(b"\xff{")
    write_json(folder / "step-000002/complete.json", ["not", "a", "seal"])
    assert checkpoints.latest(folder) is None
    assert capsys.readouterr().out.count("complete.json is missing or cannot be read") == 2


def test_a_seal_of_an_earlier_version_holds_sizes_alone(copied):
    folder = copied("sft") / "checkpoints"
    seal = read_json(folder / "step-000004/complete.json")
    write_json(folder / "step-000004/complete.json", {"bytes": seal["bytes"], "processes": 1})
    assert checkpoints.latest(folder)[0] == 4


def test_every_file_is_in_the_seal(copied):
    folder = copied("ppo") / "checkpoints/step-000004"
    seal = read_json(folder / "complete.json")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(seal["bytes"]) == set(seal["sha256"])
    assert there - set(seal["bytes"]) <= {"complete.json", "README.md", "lock.json", "audit.json"}
    assert {"optimizer.pt", "critic/model.safetensors", "ledger.json", "rng_state.pth"} <= set(seal["bytes"])


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_a_spoilt_model_is_not_evaluated(copied, configure, file):
    folder = copied("sft")
    flip(folder / "checkpoints/step-000004" / file)
    with pytest.raises(UserError, match=f"{file} holds other bytes"):
        worker.load_saved(configure("sft", **SHORT), folder, 4)


def test_the_command_line_refuses_a_spoilt_checkpoint_as_a_model(copied, tmp_path):
    folder = copied("sft") / "checkpoints/step-000004"
    flip(folder / "model.safetensors")
    command = [sys.executable, "-m", "launch.evaluate", f"model.path={folder}", f"runs={tmp_path / 'runs'}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 2 and "model.safetensors holds other bytes" in answer.stderr
    assert "Traceback" not in answer.stderr and "\n  why: " in answer.stderr and "\n  do:  " in answer.stderr


def test_a_model_is_evaluated_without_what_only_a_run_going_on_needs(copied):
    folder = copied("ppo") / "checkpoints/step-000004"
    before = digest(folder)
    for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt"):
        (folder / name).unlink()
    shutil.rmtree(folder / "critic")
    check_sealed(folder)
    write_json(folder / "audit.json", {})
    assert digest(folder) == before


def test_a_save_that_was_cut_leaves_nothing_that_counts(copied):
    folder = copied("sft") / "checkpoints"
    (folder / ".writing/checkpoint-6").mkdir(parents=True)
    (folder / ".writing/checkpoint-6/model.safetensors").write_bytes(b"half")
    (folder / ".removed-step-000001").mkdir()
    assert checkpoints.latest(folder)[0] == 4
    checkpoints.clear(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000002", "step-000004"]


@pytest.mark.parametrize(("rank", "mine"), [("0", [0, 1, 4]), ("1", [2, 3])])
def test_each_process_digests_what_it_wrote(monkeypatch, rank, mine):
    names = ["model.safetensors", "rng_state_0.pth", "rng_state_1.pth"]
    names += ["global_step4/zero_pp_rank_1_mp_rank_00_optim_states.pt", "global_step4/mp_rank_00_model_states.pt"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    assert checkpoints.own(names) == [names[i] for i in mine]


@pytest.mark.slow
def test_a_spoilt_shard_of_another_process_is_found_by_all(configure, run_folder):
    spread = {"hardware__processes": 2, "hardware__zero_stage": 2}
    configuration = configure("sft", **SHORT | spread)
    folder = run_folder(configuration)
    launched(configuration, folder)
    last = folder / "checkpoints/step-000004"
    expected = {name: tensor.clone() for name, tensor in load_file(last / "model.safetensors").items()}
    seal = read_json(last / "complete.json")
    shard = next(name for name in seal["sha256"] if "zero_pp_rank_1" in name)
    assert seal["processes"] == 2 and set(seal["sha256"]) == set(seal["bytes"])
    flip(last / shard)
    (folder / "done.json").unlink()
    launched(configuration, folder)
    assert f"step-000004 is damaged ({shard} holds other bytes" in (folder / "worker.log").read_text()
    assert (folder / "checkpoints/damaged-step-000004").is_dir()
    for name, tensor in load_file(last / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)
