"""What trackers are told is what the run's files say; none of them can end a run."""

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import UserError
from conf.files import read_json, read_jsonl, write_json
from launch import preflight
from train import trackers, worker

KEY = "5e7c0ffee" * 4 + "abcd"  # as long as W&B's are


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


def wandb_records(file: Path) -> list:
    """The records of a .wandb file: seven bytes of heading, then LevelDB's log format (blocks of 32 KiB)."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, found, part = file.read_bytes(), 7, [], b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or its last part
            found.append(Record.FromString(part))
            part = b""
    return found


def values(items) -> dict:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def history(records: list) -> dict[int, dict]:
    """step -> what was logged at it."""
    found: dict[int, dict] = {}
    for record in records:
        if record.WhichOneof("record_type") == "history":
            row = values(record.history.item)
            found.setdefault(int(row["_step"]), {}).update(row)
    return found


def rows(folder: Path) -> dict[int, dict]:
    """What a tracker has to have been told at each step."""
    costs = {row["step"]: row for row in read_jsonl(folder / "ledger.jsonl")}
    return {
        row["step"]: row | {f"ledger/{key}": value for key, value in costs[row["step"]].items() if key != "step"}
        for row in read_jsonl(folder / "metrics.jsonl")
    }


def cut_and_resumed(folder: Path, monkeypatch, ended=lambda: None) -> None:
    """Two steps, a cut after the checkpoint, `ended` as the process's end would do it, and the rest."""

    def cut(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(worker, "evaluate_checkpoint", cut)
        with pytest.raises(KeyboardInterrupt):
            worker.run(folder)
    ended()
    worker.run(folder)


@pytest.mark.slow
def test_wandb_offline_goes_on_in_one_run_and_holds_the_rows(configure, run_folder, monkeypatch, capsys):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens
    folder = run_folder(configure("grpo", logger={"name": "wandb"}))
    cut_and_resumed(folder, monkeypatch, wandb.finish)
    assert capsys.readouterr().out.count("W&B: kept offline, for http://127.0.0.1:9 does not answer") == 2
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    records = [wandb_records(file) for file in files]
    started = [record.run for found in records for record in found if record.WhichOneof("record_type") == "run"]
    assert {run.run_id for run in started} == {read_json(folder / trackers.FILE)["wandb"]}
    about = values(started[0].config.update)
    assert (about["arm"], about["recipe"]["num_generations"]) == ("grpo", 4)
    told = history(records[0] + records[1])
    for step, row in rows(folder).items():
        assert {key: told[step][key] for key in row} == row
    scores = read_json(folder / "evaluation/step-000004/scores.json")
    summary: dict = {}
    for record in records[1]:
        summary |= values(record.summary.update)
    assert summary["scores/math/greedy"] == scores["groups"]["math"]["greedy"]["score"]
    for file in folder.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def test_tensorboard_has_the_rows_and_purges_what_a_cut_run_repeats(configure, run_folder, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run_folder(configure("sft", logger={"name": "tensorboard"}))
    cut_and_resumed(folder, monkeypatch)
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    for step, row in rows(folder).items():
        for key, value in row.items():
            (found,) = [event.value for event in events.Scalars(key) if event.step == step]
            assert found == pytest.approx(value, rel=1e-6)
    scores = read_json(folder / "evaluation/step-000004/scores.json")
    (last,) = [event.value for event in events.Scalars("scores/math/greedy") if event.step == 4]
    assert last == pytest.approx(scores["groups"]["math"]["greedy"]["score"])


@pytest.mark.slow
def test_trackio_has_the_rows_in_one_run(configure, run_folder, monkeypatch):
    pytest.importorskip("trackio")
    folder = run_folder(configure("sft", logger={"name": "trackio"}))
    database = folder.parents[2] / "trackio"
    code = "import sys; from pathlib import Path; from train import worker; worker.run(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TRACKIO_DIR": str(database)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = database.glob("*.db")
    with sqlite3.connect(file) as opened:
        told: dict[int, dict] = {}
        for step, metrics in opened.execute("select step, metrics from metrics"):
            told.setdefault(step, {}).update(json.loads(metrics))
    for step, row in rows(folder).items():
        assert {key: told[step][key] for key in row if key != "step"} == {k: v for k, v in row.items() if k != "step"}


def test_a_page_says_the_arm_the_lock_and_the_configuration(configure, run_folder):
    configuration = configure("grpo")
    folder = run_folder(configuration)
    (folder.parents[2] / "lock.json").write_text('{"version": 1}')
    about = trackers.about(configuration, folder)
    assert about["lock"] == hashlib.sha256(b'{"version": 1}').hexdigest()
    assert (about["arm"], about["train"]["steps"]) == ("grpo", 4)


def test_a_tracker_that_fails_is_named_once_and_left(tmp_path, capsys):
    def broken(*given):
        raise ConnectionResetError("the line is dead\nsecond line")

    mirror = trackers.Mirror(tmp_path, trackers.Tracker(broken, broken, broken))
    mirror.step(1, {"loss": 1.0}, {"step": 1})
    mirror.step(2, {"loss": 1.0}, {"step": 2})
    mirror.close()
    assert capsys.readouterr().out.count("ConnectionResetError: the line is dead") == 1


def test_scores_are_told_once_each_and_under_their_suite(tmp_path):
    told: list = []
    tracker = trackers.Tracker(lambda found, step: told.append((step, found)), lambda found: None, lambda: None)
    mirror = trackers.Mirror(tmp_path, tracker)
    for inner in ("evaluation/step-000020", "evaluation/step-000020/offline"):
        (tmp_path / inner).mkdir(parents=True)
        modes = {"aware": {"greedy": {"score": 7.0}}, "paper": None}
        content = {"step": 20, "benchmarks": {"gsm8k": {"greedy": {"score": 5.0}, "modes": modes}}}
        content["groups"] = {"math": {"sampled": {"score": None}, "likelihood": {"acc_norm": 50.0}}}
        (tmp_path / inner / "scores.json").write_text(json.dumps(content))
    mirror.scores()
    mirror.close()
    scores = {"gsm8k/greedy": 5.0, "gsm8k/aware": 7.0, "math/likelihood": 50.0}
    heads = ("scores/", "scores/offline/")
    assert sorted(told, key=str) == sorted(
        ((20, {head + key: value for key, value in scores.items()}) for head in heads), key=str
    )


def test_auto_is_online_only_with_a_key_and_a_host_that_answers(monkeypatch, tmp_path, capsys):
    assert trackers._mode("auto") == "offline"
    assert "there is no key" in capsys.readouterr().out
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password abc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert trackers.has_key()
    assert trackers._mode("auto") == "offline"
    assert "does not answer" in capsys.readouterr().out
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert trackers._mode("auto") == "offline" and not capsys.readouterr().out


def test_online_without_a_key_is_refused_before_anything_is_spent(configure):
    pytest.importorskip("wandb")
    with pytest.raises(UserError, match="no key for W&B"):
        preflight._check_logger(configure(logger={"name": "wandb", "mode": "online"}))


def test_scores_made_after_training_are_told_at_their_step(tmp_path, configure):
    """And those that were told before are not told twice."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "arms/sft/seed-0"
    cell = {"greedy": {"score": 50.0}, "sampled": {"score": 40.0}}
    for step in (2, 4):
        (folder / f"checkpoints/step-{step:06d}").mkdir(parents=True)
        (folder / f"evaluation/step-{step:06d}").mkdir(parents=True)
    write_json(folder / "evaluation/step-000004/scores.json", {"step": 4, "benchmarks": {"a": cell}, "groups": {}})
    with trackers.late(configure("sft", logger={"name": "tensorboard"}), folder):
        write_json(folder / "evaluation/step-000002/scores.json", {"step": 2, "benchmarks": {"a": cell}, "groups": {}})
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    assert [(one.step, one.value) for one in events.Scalars("scores/a/greedy")] == [(2, 50.0)]
