"""Ctrl-C in the middle of the pair; the same command goes on, and nothing finished is done twice."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.files import read_json, read_jsonl

ROOT = Path(__file__).parent.parent.parent


def command(runs: Path, *more: str) -> list[str]:
    small = ["train.steps=12", "train.save_steps=3", "suite.items=4", "suite.samples=1", "data.rows=256"]
    return [sys.executable, "-m", "launch.pair", "experiment=embedded", f"runs={runs}", *small, *more]


@pytest.mark.slow
def test_the_pair_goes_on_after_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "embedded"
    first = folder / "arms/grpo/seed-0/checkpoints/step-000003"
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 300
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "goes on from the last checkpoint" in said and "Traceback" not in said
    kept = (first / "complete.json").stat().st_mtime_ns

    again = subprocess.run(command(tmp_path), cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (folder / "report/index.html").exists()
    assert (first / "complete.json").stat().st_mtime_ns == kept
    for arm in ("sft", "grpo"):
        run = folder / "arms" / arm / "seed-0"
        assert [row["step"] for row in read_jsonl(run / "metrics.jsonl")] == list(range(1, 13))
        assert read_jsonl(run / "ledger.jsonl")[-1]["prompts_shown"] == 12 * 16
        assert sorted(path.name for path in (run / "evaluation").iterdir()) == [f"step-{n:06d}" for n in (3, 6, 9, 12)]

    refused = subprocess.run(
        command(tmp_path, "train.weight_decay=0.1"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and "train.weight_decay" in refused.stderr and "Traceback" not in refused.stderr
    assert read_json(folder / "report/results.json")["experiment"] == "embedded"


@pytest.mark.slow
def test_a_pair_in_pieces_ends_as_one_does(tmp_path: Path) -> None:
    """Each piece ends with 75 after its minutes, and the same command goes on, through training and measuring."""
    more = (
        "hardware.piece_minutes=0.35",
        "suites=[embedded]",
        "suites.embedded.items=4",
        "suites.embedded.where=after",
    )
    said = []
    for _ in range(12):
        piece = subprocess.run(command(tmp_path, *more), cwd=ROOT, capture_output=True, text=True, check=False)
        said.append(piece.returncode)
        if piece.returncode != 75:
            break
        assert "stopped as asked" in piece.stderr and "Traceback" not in piece.stderr
    assert said[-1] == 0 and said.count(75) == len(said) - 1 >= 2, said
    for arm in ("sft", "grpo"):
        run = tmp_path / "embedded" / "arms" / arm / "seed-0"
        assert [row["step"] for row in read_jsonl(run / "metrics.jsonl")] == list(range(1, 13))
        assert (run / "evaluation/step-000012/suites/embedded/scores.json").exists()
    assert (tmp_path / "embedded/report/index.html").exists()
