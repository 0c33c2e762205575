"""Worker processes: order, failure, Ctrl-C, and no child outliving its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from conf.files import write_json
from conf.schema import Configuration
from data import suitefile
from launch import training, workers
from launch.command import Stopped, WorkerFailed
from launch.compose import compose
from launch.progress import Lines
from launch.workers import Job, Usage, environment, run_pool

ROOT = Path(__file__).parent.parent.parent


def job(folder: Path, name: str, code: str) -> Job:
    return Job(name, [sys.executable, "-c", code], folder / name / "worker.log", dict(os.environ))


def test_all_run_and_memory_is_seen(tmp_path: Path) -> None:
    usage = Usage()
    code = "import time; held = bytearray(20_000_000); time.sleep(0.8)"
    run_pool([job(tmp_path, f"j{n}", code) for n in range(3)], 2, Lines(0), usage)
    assert usage.peak_bytes > 30_000_000


def test_failure_names_the_log_and_starts_no_other(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "bad", "raise RuntimeError('boom')"), job(tmp_path, "next", "pass")]
    with pytest.raises(WorkerFailed, match=r"(?s)worker\.log.*boom") as caught:
        run_pool(jobs, 1, Lines(0), Usage())
    assert caught.value.code == 1 and jobs[1].process is None


def test_a_workers_user_error_is_passed_on(tmp_path: Path) -> None:
    code = "import sys; print('noise'); print('error: a row has no answer', file=sys.stderr); sys.exit(2)"
    with pytest.raises(WorkerFailed) as caught:
        run_pool([job(tmp_path, "bad", code)], 1, Lines(0), Usage())
    assert caught.value.code == 2 and str(caught.value) == "a row has no answer"


OUTER = """
import os, sys
from pathlib import Path
from launch import command
from launch.progress import Lines
from launch.workers import Job, Usage, run_pool
code = '''
import pathlib, sys, time
pathlib.Path(sys.argv[1], "up").write_text("")
try:
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1], "saved").write_text("")
    sys.exit(130)
'''
folder = sys.argv[1]
job = Job("worker", [sys.executable, "-c", code, folder], Path(folder, "worker.log"), dict(os.environ))
command.run(lambda _: run_pool([job], 1, Lines(0), Usage()))
"""


def start_outer(folder: Path) -> tuple[subprocess.Popen[str], psutil.Process]:
    """The pool in a process of its own, and its one worker, once that is up."""
    outer = subprocess.Popen([sys.executable, "-c", OUTER, str(folder)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (folder / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return outer, psutil.Process(outer.pid).children()[0]


def test_ctrl_c_lets_the_worker_save_and_exits_130(tmp_path: Path) -> None:
    outer, _ = start_outer(tmp_path)
    outer.send_signal(signal.SIGINT)
    _, said = outer.communicate(timeout=30)
    assert outer.returncode == 130
    assert "the same command goes on" in said and "Traceback" not in said
    assert (tmp_path / "saved").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_killed_launcher_leaves_no_worker(tmp_path: Path) -> None:
    outer, worker = start_outer(tmp_path)
    outer.kill()
    outer.communicate(timeout=10)
    assert psutil.wait_procs([worker], timeout=10)[1] == []


def test_environment_is_of_one_process(make: Callable[..., Configuration], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    variables = environment(make("hardware.threads=3"))
    assert "RANK" not in variables and "WORLD_SIZE" not in variables
    assert variables["OMP_NUM_THREADS"] == "3" and variables["HF_HUB_OFFLINE"] == "1"
    assert variables["WANDB_MODE"] == "disabled"
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert "HF_HUB_OFFLINE" not in environment(make("suite.download=true"))


def test_when_a_piece_is_over_what_measures_is_ended_and_nothing_failed(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "measures", "import time; time.sleep(60)"), job(tmp_path, "next", "pass")]
    training._begin_piece(1 / 60)
    try:
        with pytest.raises(Stopped):
            run_pool(jobs, 1, Lines(0), Usage())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert jobs[0].ended and not jobs[0].failed and not jobs[0].running and jobs[1].process is None


def test_a_piece_ends_between_two_pools_too() -> None:
    training._begin_piece(0.5 / 60)
    try:
        with pytest.raises(Stopped):
            time.sleep(20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


FAKE = """
import sys
from pathlib import Path
from conf import freeze
folder = Path(sys.argv[1])
folder = folder.parent if folder.is_file() else folder
freeze.mark(folder, "prepared.json" if (folder / "arms").exists() else "done.json")
"""


def test_what_is_done_is_not_done_again(make: Callable[..., Configuration], monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def fake(name: str, module: str, arguments: list[str], folder: Path, configuration: Configuration) -> Job:
        started.append(name)
        return Job(
            name, [sys.executable, "-c", FAKE, *arguments], folder / "worker.log", workers.environment(configuration)
        )

    monkeypatch.setattr(training, "python_job", fake)
    monkeypatch.setattr(training.ranks, "beside", lambda _, module, arguments: [sys.executable, "-c", FAKE, *arguments])
    both = [make("recipe=sft"), make("recipe=grpo")]
    (both[0].runs / "embedded" / "data").mkdir(parents=True)
    write_json(both[0].runs / "embedded" / "data" / "manifest.json", {"targets": {"present": True}})
    (both[0].runs / "embedded" / "base" / "evaluation").mkdir(parents=True)
    write_json(both[0].runs / "embedded" / "base" / "evaluation" / "scores.json", {})
    training.train_all(both)
    assert started == ["base", "sft/seed-0", "grpo/seed-0"]
    training.train_all(both)
    assert len(started) == 3
    training.train_all([*both, make("recipe=grpo", "seed=1", "experiment.seeds=[0,1]")])
    assert started[3:] == ["grpo/seed-1"]


def test_benchmarks_that_cannot_be_had_are_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path / "empty"))
    configuration = compose(["suite=offline", "suite.items=2", "suite.shots=0", "suite.benchmarks=[sciq,boolq]"])
    suitefile.compile_one(configuration.suite, suitefile.path(tmp_path))
    training._tell_missing(tmp_path, configuration)
    said = capsys.readouterr().out
    assert (
        said.startswith("suite offline is scored without ")
        and "sciq" in said
        and "boolq" in said
        and "make fetch-offline" in said
    )
