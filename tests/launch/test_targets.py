"""The command that samples targets: what it refuses, what it shows, and that a kill costs what was under way alone."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from rich.progress import Progress

from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration
from data import endpoint
from launch import folders, machine
from launch.targets import Bar, Lines, check, main, place, summary
from tests.openai_server import serve

Make = Callable[..., Configuration]
ROOT = Path(__file__).parent.parent.parent


def command(runs: Path, *more: str) -> list[str]:
    small = ["data.rows=12", "targets.model=teacher", "targets.concurrency=4", "targets.samples=5"]
    return [sys.executable, "-m", "launch.targets", "experiment=embedded", f"runs={runs}", *small, *more]


def run(runs: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(runs, *more), cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_no_torch_in_the_command_itself() -> None:
    code = "import sys, launch.targets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_server_is_one_message_and_exit_2(tmp_path: Path) -> None:
    answer = run(tmp_path, "targets.base_url=http://127.0.0.1:9/v1")
    assert answer.returncode == 2 and answer.stderr.startswith("error: targets.base_url=")
    assert "cannot be reached" in answer.stderr and "Traceback" not in answer.stderr


def test_a_refused_key_and_a_missing_model_exit_with_2(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(endpoint.KEY, "bad")
    given = ["experiment=embedded", f"runs={tmp_path}", f"model.path={make().model.path}", "targets.model=teacher"]
    with serve(key="good") as server, pytest.raises(UserError, match="refuses it"):
        main([*given, f"targets.base_url={server.url}"])
    with serve(models=["other"]) as server, pytest.raises(UserError, match="one of: other"):
        main([*given, f"targets.base_url={server.url}"])


def test_a_teacher_that_cannot_be_loaded(make: Make, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "targets.backend=transformers"
    with pytest.raises(UserError, match=r"targets\.model=nowhere") as caught:
        check(make(here, "targets.model=nowhere"))
    assert "targets.model" in caught.value.change
    monkeypatch.setattr(machine, "hub_reachable", lambda: False)
    monkeypatch.setattr(machine, "cached", lambda name, kind: False)
    with pytest.raises(UserError, match=r"targets\.model=some/teacher is a hub id"):
        check(make(here, "targets.model=some/teacher"))
    check(make(here, f"targets.model={base}"))


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vllm is installed")
def test_vllm_that_is_not_installed(make: Make, base: Path) -> None:
    with pytest.raises(UserError, match="not installed"):
        check(make("targets.backend=vllm", f"targets.model={base}"))


def test_other_weights_of_the_base_are_another_folder(make: Make, base: Path) -> None:
    before = place(make("targets.q=base"))
    assert before == place(make("targets.q=base", "targets.samples=9")) and before.name.startswith("base-")
    (base / "model.safetensors").write_bytes(b"other")
    assert place(make("targets.q=base")) != before


def test_two_commands_do_not_share_a_folder(make: Make) -> None:
    configuration = make("targets.q=base")
    with folders.held(place(configuration)), pytest.raises(UserError, match="in use"):
        main([f"model.path={configuration.model.path}", f"runs={configuration.runs}", "targets.q=base"])


def test_what_is_shown_while_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "progress.json"
    with Progress(console=Console(file=(tmp_path / "screen").open("w"), force_terminal=True)) as bars:
        bar, lines = Bar(file, bars), Lines(file)
        bar.update([])  # nothing is known yet
        lines.update([])
        write_json(file, {"total": 40, "done": 10, "right": 6, "wrong": 3, "failed": 1})
        bar.update([])
        assert (bars.tasks[0].completed, bars.tasks[0].total) == (10, 40)
    lines.last = -1e9
    lines.update([])
    assert "10/40  right 6  wrong 3  failed 1" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_survives_kill_9_and_says_what_came_out(tmp_path: Path) -> None:
    with serve(lambda body, times: "right" if body["seed"] % 2 else "garbage", seconds=0.1) as server:
        process = subprocess.Popen(command(tmp_path, f"targets.base_url={server.url}"), cwd=ROOT)
        while len(server.asked) < 20 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        first = len(server.asked)
        answer = run(tmp_path, f"targets.base_url={server.url}", "targets.timeout=60")
        good = {key for key in server.asked if key[1] % 2}
        twice = sum(times - 1 for key, times in Counter(server.asked).items() if key in good)
    assert answer.returncode == 0 and "Traceback" not in answer.stderr, answer.stdout + answer.stderr
    assert 20 <= first < 60 and len(set(server.asked)) == 60 and twice <= 4
    folder = Path(answer.stdout.strip().rpartition("use: data.targets=")[2])
    manifest = read_json(folder / "manifest.json")
    assert manifest["counts"]["right"] == len(good) == pq.read_table(folder / "targets.parquet").num_rows
    assert "not_json" in answer.stdout and "\n".join(summary(manifest, folder)) in answer.stdout


@pytest.mark.slow
def test_the_targets_of_the_base(tmp_path: Path) -> None:
    answer = run(tmp_path, "targets.model=", "targets.q=base", "targets.temperature=1.0")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    manifest = read_json(next((tmp_path / "embedded" / "targets").glob("base-*/manifest.json")))
    assert manifest["counts"]["failed"] == 0 and 0 < manifest["counts"]["right"] < manifest["counts"]["asked"] == 60
