"""What is shown while workers run."""

import os
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from conf.files import append_jsonl
from launch.progress import MANY, Bars, Lines, columns, last_row, state
from launch.workers import Job, Usage, run_pool


def job(folder: Path) -> Job:
    """A worker that says what rich would read as markup."""
    return Job("[/arm]", [sys.executable, "-c", "print('10%\\r[/odd] 20%')"], folder / "worker.log", dict(os.environ))


def test_bars_take_any_text(tmp_path: Path) -> None:
    with Progress(*columns(), console=Console(file=(tmp_path / "screen").open("w"), force_terminal=True)) as bars:
        run_pool([job(tmp_path)], 1, Bars(bars, 3), Usage())
        assert bars.tasks[0].completed == 3


def test_of_many_jobs_those_that_have_ended_leave_the_screen(tmp_path: Path) -> None:
    ended = job(tmp_path)
    run_pool([ended], 1, Lines(3), Usage())
    for count, shown in ((2, True), (MANY + 1, False)):
        with Progress(*columns(), console=Console(file=(tmp_path / "screen").open("w"), force_terminal=True)) as bars:
            jobs = [Job(f"{n}", ended.command, ended.log, ended.environment, ended.process) for n in range(count)]
            Bars(bars, 3).update(jobs)
            assert [task.visible for task in bars.tasks] == [shown] * count


def test_state_is_the_last_row_or_the_last_word(tmp_path: Path) -> None:
    worker = job(tmp_path)
    run_pool([worker], 1, Lines(3), Usage())
    assert state(worker) == (0, "[/odd] 20%")
    append_jsonl(tmp_path / "metrics.jsonl", {"step": 2, "loss": 0.25, "reward": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, ')
    assert state(worker) == (2, "loss 0.25  reward 0.5")


def test_no_metrics_is_no_row(tmp_path: Path) -> None:
    assert last_row(tmp_path / "metrics.jsonl") is None


def test_lines_say_when_a_job_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_pool([job(tmp_path)], 1, Lines(3), Usage())
    assert "[/arm]: done" in capsys.readouterr().out
