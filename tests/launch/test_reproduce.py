"""`make reproduce`: without a run the published numbers, and a wrong folder as one message."""

import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import UserError
from launch import reproduce

ROOT = Path(__file__).parent.parent.parent


def test_without_a_run_it_shows_what_was_published_and_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    reproduce.main([])
    told = capsys.readouterr().out
    assert "UniReason no-think SFT" in told and "165.4" in told and "does not follow" in told
    assert "What cannot be computed from what is published" in told


def test_a_folder_that_is_not_there_or_holds_no_evaluation(tmp_path: Path) -> None:
    (tmp_path / "known" / "arms").mkdir(parents=True)
    with pytest.raises(UserError) as told:
        reproduce.main([str(tmp_path / "unknown")])
    assert "there are known" in told.value.change and "launch.pair" in told.value.change
    with pytest.raises(UserError, match="base/evaluation"):
        reproduce.main([str(tmp_path / "known")])


def test_the_command_ends_with_two_and_three_parts() -> None:
    command = [sys.executable, "-m", "launch.reproduce", "runs/no_such_experiment"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 2 and "Traceback" not in answer.stderr
    assert all(part in answer.stderr for part in ("is not a folder", "why:", "do:"))
