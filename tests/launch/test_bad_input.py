"""Every mistake is one message in three parts and exit code 2, before anything is spent."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.errors import UserError
from conf.files import write_json
from conf.schema import Configuration
from launch import folders, machine, preflight

Make = Callable[..., Configuration]
ROOT = Path(__file__).parent.parent.parent


def launch(*arguments: str, module: str = "launch") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_no_arguments_is_help_that_says_what_works_here() -> None:
    answer = launch()
    assert answer.returncode == 0
    assert "works here:" in answer.stdout and "make demo" in answer.stdout


@pytest.mark.parametrize("module", ["launch", "launch.pair", "launch.sweep", "launch.evaluate", "launch.report"])
def test_unknown_key_exits_2_without_traceback(module: str) -> None:
    answer = launch("train.stepz=3", module=module)
    assert answer.returncode == 2
    assert "write train.steps" in answer.stderr and "Traceback" not in answer.stderr


def test_report_of_nothing(tmp_path: Path) -> None:
    answer = launch(f"runs={tmp_path}", module="launch.report")
    assert answer.returncode == 2 and "launch.pair" in answer.stderr


def test_good_configuration_passes(make: Make) -> None:
    preflight.check(make())


def test_output_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        preflight.check(make(f"runs={tmp_path / 'file' / 'runs'}"))
    with pytest.raises(UserError, match="cannot be written"):
        preflight.check(make("runs=/proc/paribus"))


def test_full_disk(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match="GB are needed"):
        preflight.check(make())


def test_model_without_weights(make: Make, base: Path) -> None:
    (base / "model.safetensors").unlink()
    with pytest.raises(UserError, match="safetensors"):
        preflight.check(make())
    with pytest.raises(UserError, match="no such folder"):
        preflight.check(make(f"model.path={base}/nothing"))


def test_cuda_without_a_gpu(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "devices", lambda: [])
    with pytest.raises(UserError, match="make demo"):
        preflight.check(make("hardware=gpu1"))


def test_hub_id_without_network(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "hub_reachable", lambda: False)
    monkeypatch.setattr(machine, "cached", lambda name, kind: False)
    with pytest.raises(UserError, match="hub id"):
        preflight.check(make("model.path=some/model"))
    with pytest.raises(UserError, match="hub id"):
        preflight.check(make("data.source=some/questions"))
    monkeypatch.setattr(machine, "cached", lambda name, kind: True)
    preflight.check(make("model.path=some/model"))


def test_hub_that_never_answers_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "HUB_SECONDS", 0.05)
    monkeypatch.setattr(machine, "_asks_hub", lambda: __import__("time").sleep(5))
    assert not machine.hub_reachable()


def test_data_that_does_not_exist(make: Make) -> None:
    for source in ("nothing.jsonl", "./nothing", "questions"):
        with pytest.raises(UserError, match="no such file or folder"):
            preflight.check(make("data=file", f"data.source={source}"))


def test_imitating_without_responses_is_refused_before_any_arm_trains(make: Make, tmp_path: Path) -> None:
    given = make("recipe=sft")
    (tmp_path / "data").mkdir()
    write_json(tmp_path / "data" / "manifest.json", {"targets": {"present": False}})
    with pytest.raises(UserError, match=r"data\.solution"):
        folders.check_targets(tmp_path, [given])
    folders.check_targets(tmp_path, [make("recipe=grpo")])


@pytest.mark.parametrize("module", ["launch.pair", "launch.sweep", "launch.evaluate", "launch.report", "launch.base"])
def test_help_shows_the_command(module: str) -> None:
    answer = launch("--help", module=module)
    assert answer.returncode == 0 and f"python -m {module}" in answer.stdout
