"""Files are whole or absent, and JSON lines survive a cut."""

import os
from pathlib import Path

import pytest

from conf.files import append_jsonl, read_json, read_jsonl, write_json, write_text


def test_write_leaves_only_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.txt", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"score": float("nan")})
    write_json(tmp_path / "a.json", {"name": "é"})
    assert read_json(tmp_path / "a.json") == {"name": "é"}


def test_cut_line_is_left_out_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert read_jsonl(path) == []
    append_jsonl(path, {"step": 1, "text": "line\u2028separator\x85"})
    with path.open("a") as file:
        file.write('{"step": 2, "te')
    assert [row["step"] for row in read_jsonl(path)] == [1]
    append_jsonl(path, {"step": 2})
    assert [row["step"] for row in read_jsonl(path)] == [1, 2]
