"""`make evaluate`: what a person reads, which code it ends with, and which folder it uses."""

import os
import subprocess
import sys

import pytest

from conf.files import read_json, write_json
from launch.command import WorkerFailed
from launch.evaluate import folder_of
from launch.responses import Counted, left
from launch.scores import NO_SCORE, check_scored, print_scores

CELL = {"score": 50.0, "low": 40.0, "high": 60.0}
NONE = {"score": None, "low": None, "high": None}
SCORES = {
    "benchmarks": {
        "sums": {"items": 4, "greedy": CELL, "sampled": NONE, "truncated": 1, "responses": 4}
        | {"modes": {"aware": {"greedy": {"score": 75.0}}}, "format_loss": {"greedy": {"difference": 25.0}}}
        | {"extractor_artefact": None, "likelihood": {"acc": {"score": 62.5}}},
        "odd": {"items": 3, "greedy": NONE, "sampled": NONE, "truncated": 0, "responses": 3},
    },
    "groups": {"math": {"greedy": CELL, "sampled": NONE, "benchmarks": ["sums", "odd"], "missing": ["aime24"]}},
    "missing": {"aime24": {"group": "math", "reason": "there is no local copy"}},
}


def test_the_table_has_every_benchmark_and_what_is_missing(capsys):
    print_scores(SCORES)
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines["sums"] == ["4", "50.0", "40.0-60.0", "75.0", "25.0", "62.5", "25.0"]
    assert lines["math"] == ["50.0", "40.0-60.0"] and lines["odd"] == ["3", "0.0"]
    assert "missing" in lines["aime24:"][0]


def test_benchmarks_without_a_score_are_named_with_their_reasons_and_4(capsys):
    with pytest.raises(WorkerFailed) as failed:
        check_scored(SCORES)
    assert failed.value.code == NO_SCORE == 4
    assert "2 of 3 benchmarks have no score" in str(failed.value)
    assert "aime24: there is no local copy" in str(failed.value) and "odd: none of its 3 items" in str(failed.value)
    check_scored({"benchmarks": {"sums": SCORES["benchmarks"]["sums"]}, "missing": {}})


def test_a_folder_for_each_model_and_suite(make):
    plain = make()
    assert folder_of(plain) == folder_of(make("suite.batch_size=7", "suite.shots=2"))
    others = {folder_of(make(key)) for key in ("suite.items=7", "suite.split=validation", "suite.name=mine")}
    assert len(others | {folder_of(plain)}) == 4


def test_time_left_counts_what_this_start_made():
    assert left(10, 30, 20.0) == "0:01:00 left" and left(1, 3700, 1.0) == "1:01:40 left"
    assert left(0, 30, 20.0) == "time left unknown"


def test_processes_are_added_up(tmp_path, capsys):
    for number, done in enumerate((30, 10)):
        file = tmp_path / f"progress-{number}-of-2.json"
        write_json(file, {"done": done, "total": 50, "known": 10 * number, "seconds": 15.0})
    counted = Counted(tmp_path)
    counted.last = -1e9
    counted.update([])
    assert capsys.readouterr().out == "40 of 100 responses, 0:00:30 left\n"


@pytest.mark.slow
def test_two_processes_and_one_end_with_the_same_and_a_missing_benchmark_with_4(tmp_path):
    """The whole command on the embedded base, as a user starts it."""
    command = [sys.executable, "-m", "launch.evaluate", "model.path=models/embedded", "suite.samples=1"]
    command += ["suite.items=3", "suite.benchmarks=[sorting,comparing,gsm8k]", "suite.collections=[world,wide]"]
    found = {}
    for workers in (1, 2):
        where = [f"runs={tmp_path / str(workers)}", f"hardware.workers={workers}"]
        ended = subprocess.run(
            [*command, *where], capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
        assert ended.returncode == 4, ended.stderr
        assert "1 of 3 benchmarks have no score" in ended.stderr and "gsm8k: " in ended.stderr
        assert "Traceback" not in ended.stderr
        found[workers] = read_json(next((tmp_path / str(workers)).rglob("scores.json")))
    for name in ("sorting", "comparing"):
        one, other = (found[workers]["benchmarks"][name] for workers in (1, 2))
        assert one["greedy"] == other["greedy"] and one["sampled"] == other["sampled"]
    again = subprocess.run([*command, *where, "regrade=true"], capture_output=True, text=True)
    assert again.returncode == 4 and "grades that changed: none" in again.stdout
