"""Measuring in several processes: each answers its share, and one that fails neither stops nor hangs the others."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from conf import freeze
from conf.files import read_json
from launch import ranks
from launch.progress import Lines
from launch.training import _beside
from launch.workers import Usage, environment, run_pool
from train import measuring, owed, prepare

FAILING = """
import sys
from pathlib import Path

import evaluation.run
from train import processes, worker

respond = evaluation.run.respond

def fails_once(task, *given):
    if processes.rank() == 1 and task.step == 2:
        raise RuntimeError("no room <here>")
    return respond(task, *given)

evaluation.run.respond = fails_once
worker.run(Path(sys.argv[1]))
"""


def rows(folder):
    return [row | {"mean_logp": None} for row in pq.read_table(folder / "items.parquet").to_pylist()]


@pytest.mark.slow
def test_a_process_that_cannot_measure_is_noted_and_the_training_goes_on(configure, run_folder, tmp_path):
    suite = {"benchmarks": ["sorting", "form"], "items": 3, "samples": 1, "max_new_tokens": 4}
    run = run_folder(configure(suite=suite, hardware={"processes": 2}), "two")
    (tmp_path / "failing.py").write_text(FAILING)
    launch = ["torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    ended = subprocess.run(
        [sys.executable, "-m", *launch, str(tmp_path / "failing.py"), str(run)],
        env=environment(freeze.read(run / "config.yaml")) | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0 and (run / "done.json").exists(), ended.stderr[-3000:]
    failed = read_json(run / "evaluation/step-000002/failed.json")
    assert failed["error"] == "RuntimeError: process 1: RuntimeError: no room <here>"
    assert not (run / "evaluation/step-000002/scores.json").exists()
    assert len(rows(run / "evaluation/step-000004")) == 2 * 3 * 2
    assert read_json(run / "evaluation/step-000004/ledger.json")["processes"] == 2
    owed.make_up(run, measuring.ANYWHERE)  # in one process: the share that was made is not made again
    assert len(rows(run / "evaluation/step-000002")) == 2 * 3 * 2


@pytest.mark.slow
def test_two_processes_prepare_and_score_the_base_as_one_does(configure, tmp_path):
    suite = {"benchmarks": ["sorting", "form", "comparing"], "items": 5, "samples": 2, "max_new_tokens": 6, "shots": 1}
    folders = []
    for number in (1, 2):
        given = configure(suite=suite, experiment={"name": "same"}, hardware={"processes": number})
        folder = tmp_path / str(number)
        folder.mkdir()
        freeze.write(given, folder / "config.yaml")
        folders.append(folder)
    prepare.prepare(folders[0] / "config.yaml")
    job = _beside("base", "train.prepare", [str(folders[1] / "config.yaml")], folders[1], given)
    run_pool([job], 1, Lines(0), Usage())
    for place in ("base/evaluation", "base/evaluation/few_shots"):
        assert rows(folders[1] / place) == rows(folders[0] / place)
        one, two = (read_json(folder / place / "scores.json")["groups"] for folder in folders)
        assert one == two and not list((folders[1] / place).glob("parts-*"))
    locks = [read_json(folder / "lock.json") for folder in folders]
    assert locks[0]["suite"] == locks[1]["suite"] and (folders[1] / "prepared.json").exists()
    assert not list(folders[1].glob(ranks.FAILED))
