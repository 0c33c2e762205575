import json

import datasets
import pytest

from conf.errors import UserError
from conf.schema import Data
from data import sources

ROWS = [{"problem": f"{i}+1", "answer": str(i + 1), "solution": f"\\boxed{{{i + 1}}}"} for i in range(6)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def refused(data: Data) -> UserError:
    with pytest.raises(UserError) as caught:
        sources.load(data, 10, 0)
    assert all(part.strip() for part in (caught.value.given, caught.value.why, caught.value.change))
    return caught.value


def test_world_rows_are_math_items_with_distinct_prompts():
    rows = sources.load(Data(), 50, 0)
    assert len(rows) == 50 and {row["kind"] for row in rows} == {"math"}
    assert len({row["prompt"] for row in rows}) == 50


def test_every_local_form_gives_the_same_rows(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    datasets.Dataset.from_list(ROWS).to_parquet(tmp_path / "a.parquet")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(tmp_path / "split")
    write(tmp_path / "a.jsonl", ROWS)
    found = [
        sources.load(Data(source=str(tmp_path / name)), 10, 0)
        for name in ("a.json", "a.jsonl", "a.parquet", "saved", "split")
    ]
    assert all(rows == found[0] for rows in found)
    assert [row["prompt"] for row in found[0]] == [row["problem"] for row in ROWS]


def test_draw_is_by_seed_and_keeps_the_sources_order(tmp_path):
    data = Data(source=write(tmp_path / "a.jsonl", ROWS))
    ids = [[row["id"] for row in sources.load(data, 3, seed)] for seed in range(5)]
    assert ids[0] == [row["id"] for row in sources.load(data, 3, 0)]
    assert all(len(drawn) == 3 and drawn == sorted(drawn) for drawn in ids) and len(set(map(tuple, ids))) > 1


def test_numbers_become_text(tmp_path):
    rows = [{"problem": "x", "answer": 3}, {"problem": "y", "answer": None}]
    loaded = sources.load(Data(source=write(tmp_path / "a.jsonl", rows)), 10, 0)
    assert [(row["reference"], row["solution"]) for row in loaded] == [("3", None), ("", None)]


def test_missing_path_names_its_neighbours(tmp_path):
    write(tmp_path / "questions.jsonl", ROWS)
    assert "questions.jsonl" in refused(Data(source=str(tmp_path / "question.jsonl"))).why
    assert "nor a folder" in refused(Data(source=str(tmp_path / "no" / "question.jsonl"))).why


def test_missing_column_names_the_nearest(tmp_path):
    source = write(tmp_path / "a.jsonl", [{"problems": "x", "answer": "1"}])
    error = refused(Data(source=source))
    assert "data.problem" in error.change and "nearest is problems" in error.why


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b""),
        ("a.json", b"[]"),
        ("a.json", b"[{"),
        ("a.jsonl", b'{"problem": "x"\n'),
        ("a.parquet", b"PAR1 no"),
        ("a.jsonl", b"\x00\xff"),
        ("a.csv", b"x,y"),
    ],
)
def test_empty_or_corrupt_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert str(tmp_path / name) in refused(Data(source=str(tmp_path / name))).given


def test_folders_that_cannot_be_read(tmp_path):
    refused(Data(source=str(tmp_path)))
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(tmp_path / "split")
    assert "train" in refused(Data(source=str(tmp_path / "split"), split="test")).why
    datasets.Dataset.from_list(ROWS).select([]).save_to_disk(tmp_path / "empty")
    assert "empty" in refused(Data(source=str(tmp_path / "empty"))).why


def test_hub_without_a_network(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert "cannot be reached" in refused(Data(source="someone/something")).why
