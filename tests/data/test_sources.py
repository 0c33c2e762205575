import json

import datasets
import pytest

from conf.errors import UserError
from conf.schema import Data
from data import jsonfiles, sources

ROWS = [{"problem": f"{i}+1", "answer": str(i + 1), "solution": f"\\boxed{{{i + 1}}}"} for i in range(6)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def refused(data: Data) -> UserError:
    with pytest.raises(UserError) as caught:
        list(sources.load(data, 10, 0))
    assert all(part.strip() for part in (caught.value.given, caught.value.why, caught.value.change))
    return caught.value


def test_world_rows_are_math_items_with_distinct_prompts():
    rows = list(sources.load(Data(), 50, 0))
    assert len(rows) == 50 and {row["kind"] for row in rows} == {"math"}
    assert len({row["prompt"] for row in rows}) == 50


def test_every_local_form_gives_the_same_rows(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    datasets.Dataset.from_list(ROWS).to_parquet(tmp_path / "a.parquet")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(tmp_path / "split")
    write(tmp_path / "a.jsonl", ROWS)
    write(tmp_path / "lines.json", ROWS)
    (tmp_path / "files" / "data").mkdir(parents=True)  # as a hub's repository is when it is downloaded
    datasets.Dataset.from_list(ROWS).to_parquet(tmp_path / "files" / "data" / "train-00000-of-00001.parquet")
    found = [
        list(sources.load(Data(source=str(tmp_path / name)), 10, 0))
        for name in ("a.json", "a.jsonl", "lines.json", "a.parquet", "saved", "split", "files")
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
    loaded = list(sources.load(Data(source=write(tmp_path / "a.jsonl", rows)), 10, 0))
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
        ("a.json", b'[{"problem": "x"}] more'),
        ("a.json", b'[{"problem": "x"}, 3]'),
        ("a.json", b'[{"problem": "x"},'),
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


def test_an_array_larger_than_what_is_read_at_a_time(tmp_path):
    rows = [{"problem": f"{i} {'é' * (i % 7000)}", "answer": i / 7, "more": [{"]": "["}, i]} for i in range(900)]
    path = tmp_path / "a.json"
    for indent in (None, 2):
        path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert list(jsonfiles.rows(path)) == rows


def test_columns_that_only_some_lines_have(tmp_path):
    source = write(tmp_path / "a.jsonl", [{"problem": "x"}, {"problem": "y", "answer": 2}])
    assert [row["reference"] for row in sources.load(Data(source=source), 10, 0)] == ["", "2"]


def test_a_corrupt_line_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"problem": "x", "answer": 1}\n{"problem": \n')
    assert "line 2" in refused(Data(source=str(tmp_path / "a.jsonl"))).why


def test_a_file_damaged_in_its_middle_is_the_users_error_and_a_fault_of_ours_is_not(tmp_path):
    path = tmp_path / "a.parquet"
    many = [{"problem": str(i) * 50, "answer": str(i)} for i in range(20_000)]
    datasets.Dataset.from_list(many).to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3] + b"\0" * (len(whole) // 3) + whole[len(whole) // 3 * 2 :])
    with pytest.raises(UserError, match="cannot be read"):
        list(sources.load(Data(source=str(path)), 20_000, 0))
    with pytest.raises(ValueError, match="ours"):
        for _ in sources.load(Data(source=write(tmp_path / "a.jsonl", ROWS)), 10, 0):
            raise ValueError("ours")


def test_a_draw_from_a_parquet_file_of_many_groups(tmp_path):
    table = datasets.Dataset.from_list([{"problem": str(i), "answer": str(i)} for i in range(5000)])
    table.to_parquet(tmp_path / "a.parquet", batch_size=100)
    table.save_to_disk(tmp_path / "saved")
    found = [
        [(row["id"], row["prompt"]) for row in sources.load(Data(source=str(tmp_path / name)), 700, 3)]
        for name in ("a.parquet", "saved")
    ]
    assert found[0] == found[1] and len(set(found[0])) == 700
    assert all(name == f"row-{prompt}" for name, prompt in found[0])
