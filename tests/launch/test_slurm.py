"""A real Slurm on this machine: a pair submitted, cancelled, asked to stop, queued again and finished; two nodes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.files import read_json, read_jsonl
from tests.launch import cluster

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
SMALL = "train.prompts_per_step=4 data.rows=48 data.targets_per_prompt=1 recipe.num_generations=4 suite.items=2"
SMALL += " suite.samples=1 suite.max_new_tokens=8 hardware.launcher=slurm"
PATIENCE = 240.0


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Slurm runs; skipped, with the reason, where it cannot."""
    if reason := cluster.missing():
        pytest.skip(reason)
    with cluster.running(tmp_path_factory.mktemp("slurm")) as reason:
        if reason:
            pytest.skip(reason)
        yield


def launch(module: str, runs: Path, *more: str, code: int = 0) -> str:
    """What a command of the project says, standard error in it."""
    command = [sys.executable, "-m", module, "experiment=embedded", f"runs={runs}", *SMALL.split(), *more]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert said.returncode == code, said.stdout
    return said.stdout


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def queue() -> dict[str, str]:
    """Name -> state of the jobs that have not ended."""
    said = subprocess.run(["squeue", "--noheader", "--format=%j %T"], capture_output=True, text=True, check=True)
    return dict(line.split() for line in said.stdout.splitlines())


def number(place: Path) -> str:
    return str(read_json(place.with_suffix(".json"))["job"])


def steps(run: Path) -> list[int]:
    return [row["step"] for row in read_jsonl(run / "metrics.jsonl")]


def test_a_pair_cancelled_and_stopped_in_the_middle_ends_with_its_report(slurm, tmp_path):
    folder = tmp_path / "embedded"
    sft, grpo = (folder / "arms" / arm / "seed-0" for arm in ("sft", "grpo"))
    asked = ("launch.pair", tmp_path, "train.steps=60", "train.save_steps=20")
    said = launch(*asked)
    assert said.count("submitted as job") == 2 and "embedded is prepared by job" in said and "follows" not in said
    assert queue()["embedded/again"] == "PENDING"
    said = launch(*asked)
    assert "submitted" not in said.partition("the same command")[0] and "launch.pair: job" in said
    here = launch("launch", tmp_path, *asked[2:], "recipe=grpo", "hardware.launcher=local", code=2)
    assert "two writers would mix their steps" in here

    until(lambda: (grpo / "checkpoints/step-000020").exists(), "a checkpoint of GRPO")
    subprocess.run(["scancel", number(grpo / "slurm")], check=True)
    until(lambda: not {"embedded/grpo/seed-0", "embedded/again"} & set(queue()), "the cancelled job and its follower")
    assert not (grpo / "done.json").exists()
    said = launch(*asked)
    assert said.count("grpo/seed-0: submitted as job") == 1 and "sft/seed-0: submitted" not in said

    reached = len(steps(grpo))
    until(lambda: len(steps(grpo)) != reached and steps(grpo)[-1] > 21, "a step after the checkpoint")
    subprocess.run(["scancel", "--signal=USR1", "--batch", number(grpo / "slurm")], check=True)
    until(lambda: "queued again" in (grpo / "worker.log").read_text(), "the run saved and queued itself again")
    until(lambda: not queue(), "all jobs")
    for run in (sft, grpo):
        assert steps(run) == list(range(1, 61)) and (run / "done.json").exists()
        assert [path.name for path in sorted(run.glob("checkpoints/*"))] == [f"step-{n:06d}" for n in (20, 40, 60)]
    # one start each: as submitted, after the cancellation, after it had queued itself again
    assert [start["from_step"] for start in read_json(grpo / "manifest.json")["starts"]][:2] == [0, 20]
    assert len(read_json(grpo / "manifest.json")["starts"]) == 3
    assert read_json(folder / "audit.json")["verdict"] == "controlled", (folder / "slurm/again.log").read_text()
    assert (folder / "report/index.html").exists()
    assert "report:" in launch(*asked)


def test_a_run_on_two_nodes(slurm, tmp_path):
    launch(
        *("launch", tmp_path, "recipe=sft", "train.steps=4", "train.save_steps=4"),
        *("hardware.nodes=2", "hardware.processes=2", "hardware.slurm.time_limit=00:30:00"),
    )
    run = tmp_path / "embedded/arms/sft/seed-0"
    until(lambda: not queue(), "all jobs")
    assert steps(run) == [1, 2, 3, 4], (run / "worker.log").read_text()
    assert read_json(run / "lock.json")["update"]["processes"] == 2 and (run / "done.json").exists()


def test_a_run_that_fails_says_what_failed_first_and_ends_what_waits_for_it(slurm, tmp_path):
    asked = ("launch.pair", tmp_path, "arms=sft", "train.steps=4", "train.save_steps=4", "hardware.processes=2")
    launch(*asked, "hardware.nodes=2")
    run = tmp_path / "embedded/arms/sft/seed-0"
    (run / "checkpoints").write_text("in the way")  # of the folder
    until(lambda: not queue(), "all jobs")
    said = (run / "worker.log").read_text()
    assert "error: process" in said.splitlines()[-1] or "error:" in said, said
    assert not (run / "done.json").exists() and not (tmp_path / "embedded/report").exists()


def test_a_machine_more_serves_vllm(slurm, tmp_path, monkeypatch):
    """By the stand-in of tests/vllm_server.py, on the second node."""
    monkeypatch.setenv("PATH", f"{ROOT / 'tests/standin'}:{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    server = ("rollouts.use_vllm=true", "rollouts.vllm_mode=server", "rollouts.vllm_weight_sync=folder")
    asked = ("recipe=grpo", "train.steps=2", "train.save_steps=2", "hardware.slurm.vllm_node=true")
    launch("launch", tmp_path, *asked, *server)
    run = tmp_path / "embedded/arms/grpo/seed-0"
    until(lambda: not queue(), "all jobs")
    assert steps(run) == [1, 2], (run / "worker.log").read_text()
    assert (run / "done.json").exists() and (run / "vllm.log").stat().st_size
