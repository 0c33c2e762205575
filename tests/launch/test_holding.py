"""Of several commands on one folder exactly one goes on; what a lost one left holds nobody up."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conf.errors import UserError
from launch import holding

ROOT = Path(__file__).parent.parent.parent
HOLD = """
import sys, time
from pathlib import Path
from conf.errors import ending
from launch.holding import held
folder = Path(sys.argv[1])
def work():
    while not (folder / "go").exists():
        time.sleep(0.001)
    with held(folder / "run"):
        print("mine", flush=True)
        while not (folder / "end").exists():
            time.sleep(0.01)
sys.exit(ending(work, folder))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_by(folder: Path, host: str, age: float = 0.0) -> Path:
    """A note that a command on `host` left."""
    path = folder / holding.FILE
    path.write_text(json.dumps({"host": host, "process": 4242, "since": "2026-01-01T00:00:00+00:00"}))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_of_several_at_the_same_moment_one_goes_on(tmp_path: Path) -> None:
    started = [start(tmp_path) for _ in range(4)]
    time.sleep(0.5)
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 30
    while sum(one.poll() is None for one in started) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    (tmp_path / "end").touch()
    said = [one.communicate(timeout=30) for one in started]
    assert sorted(one.returncode for one in started) == [0, 2, 2, 2]
    (winner,) = [one for one in started if one.returncode == 0]
    for one, (out, err) in zip(started, said, strict=True):
        assert out == ("mine\n" if one is winner else "")
        if one is not winner:
            assert "in use by another command" in err and "Traceback" not in err and "\n  do:  wait for it" in err
            assert f"process {winner.pid} on {socket.gethostname()}" in err or "process" not in err  # not written yet
    assert (tmp_path / "run" / holding.FILE).read_text() == ""


def test_a_command_that_was_killed_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    lost = start(tmp_path)
    assert lost.stdout is not None and lost.stdout.readline() == "mine\n"
    with pytest.raises(UserError, match=f"process {lost.pid} on {socket.gethostname()}, since 20"):
        holding.held(tmp_path / "run").__enter__()
    lost.send_signal(signal.SIGKILL)
    lost.communicate(timeout=30)
    assert str(lost.pid) in (tmp_path / "run" / holding.FILE).read_text()
    with holding.held(tmp_path / "run"):
        assert str(os.getpid()) in (tmp_path / "run" / holding.FILE).read_text()


def test_a_note_of_another_machine_without_a_sign_of_life_is_taken_over(tmp_path: Path, monkeypatch) -> None:
    left_by(tmp_path, "other-machine", age=2 * holding.LIFE_SECONDS)
    with holding.held(tmp_path):
        pass
    left_by(tmp_path, "other-machine")
    monkeypatch.setattr(holding, "LIFE_SECONDS", 0.3)
    with holding.held(tmp_path):
        assert "other-machine" not in (tmp_path / holding.FILE).read_text()


def test_a_command_on_another_machine_that_is_alive_is_left_alone(tmp_path: Path, monkeypatch, capsys) -> None:
    path, over = left_by(tmp_path, "other-machine"), threading.Event()
    monkeypatch.setattr(holding, "BEAT_SECONDS", 0.1)

    def live() -> None:
        while not over.wait(0.1):
            os.utime(path)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    with pytest.raises(UserError, match="process 4242 on other-machine, since 2026"):
        holding.held(tmp_path).__enter__()
    over.set()
    thread.join()
    assert "waiting up to" in capsys.readouterr().out and "other-machine" in path.read_text()


def test_the_holder_gives_signs_of_life(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(holding, "BEAT_SECONDS", 0.02)
    with holding.held(tmp_path):
        before = (tmp_path / holding.FILE).stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while (tmp_path / holding.FILE).stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / holding.FILE).stat().st_mtime_ns > before


@pytest.mark.parametrize("text", ["", "{", '{"host": ', "[1]", "\x00" * 40])
def test_a_note_cut_short_holds_nobody_up(tmp_path: Path, text: str) -> None:
    (tmp_path / holding.FILE).write_text(text)
    with holding.held(tmp_path):
        pass


@pytest.mark.slow
def test_two_launches_of_one_run_at_the_same_moment(tmp_path: Path) -> None:
    sizes = "train.steps=1 train.save_steps=1 train.prompts_per_step=2 data.rows=64 suite.items=2 suite.samples=0"
    command = [sys.executable, "-m", "launch", "experiment=embedded", "recipe=sft", f"runs={tmp_path}", *sizes.split()]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=120)[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 2], said
    refused = next(err for one, err in zip(both, said, strict=True) if one.returncode == 2)
    assert "in use by another command" in refused and "Traceback" not in refused
    assert (tmp_path / "embedded/arms/sft/seed-0/done.json").exists()
