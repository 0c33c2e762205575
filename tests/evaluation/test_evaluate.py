"""The suite on a fresh tiny Qwen3: files as documented, repeatable, and no work where it is done."""

import pyarrow.parquet as pq
import pytest

from conf.files import read_json
from evaluation.grade import SCHEMA
from evaluation.run import evaluate, finished
from evaluation.summing import all_scores
from models.tiny import make_model, make_tokenizer
from tests.evaluation.folders import configuration

NAMES = ["arithmetic_3", "sorting", "form"]
SUITE = {"benchmarks": NAMES, "items": 4, "samples": 3, "max_new_tokens": 6, "batch_size": 5}


@pytest.fixture(scope="module")
def tiny():
    tokenizer = make_tokenizer()
    return make_model(tokenizer), tokenizer


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "evaluation" / "step-000020"
    return folder, evaluate(*tiny, configuration(suite=SUITE), folder, 20, "sft-0")


def test_files_are_as_documented(done):
    folder, scores = done
    table = pq.read_table(folder / "items.parquet")
    assert table.schema.equals(SCHEMA) and table.num_rows == 3 * 4 * (1 + 3)
    assert read_json(folder / "scores.json") == scores
    assert scores["step"] == 20 and scores["label"] == "sft-0" and len(scores["settings"]["digest"]) == 64
    assert list(scores["benchmarks"]) == NAMES and list(scores["groups"]) == [
        "math",
        "other_reasoning",
        "non_reasoning",
    ]
    assert list(scores["benchmarks"]["sorting"]["pass_at_k"]) == ["1", "2", "3"]
    weighed = pq.read_table(folder / "likelihood.parquet").to_pylist()
    assert all_scores(table.to_pydict(), weighed=weighed) == {
        key: scores[key] for key in ("benchmarks", "groups", "missing")
    }
    rows = table.to_pylist()
    assert [row["sample"] for row in rows[:4]] == [0, 1, 2, 3] and len({row["item"] for row in rows[:4]}) == 1
    assert all(row["completion_tokens"] == 6 for row in rows if row["truncated"])
    assert all(bool(row["strategy"]) == (row["group"] == "math") for row in rows)


def test_done_and_valid_is_read_without_a_model(done, tmp_path):
    folder, scores = done
    assert evaluate(None, None, configuration(suite=SUITE | {"batch_size": 7}), folder, 20, "sft-0") == scores
    assert finished(configuration(suite=SUITE | {"seed": 9}), folder, 20, "sft-0") is None
    assert finished(configuration(suite=SUITE), folder, 40, "sft-0") is None
    assert finished(configuration(suite=SUITE), folder, 20, "sft-0", "other weights") is None
    assert finished(configuration(suite=SUITE), tmp_path, 20, "sft-0") is None


def test_samples_do_not_depend_on_batches(tiny, done, tmp_path):
    evaluate(*tiny, configuration(suite=SUITE | {"batch_size": 64}), tmp_path / "again", 20, "sft-0")
    columns = [
        pq.read_table(folder / "items.parquet").column("response").to_pylist()
        for folder in (done[0], tmp_path / "again")
    ]
    assert columns[0] == columns[1]


def test_unscorable_is_counted_and_left_out_of_the_score():
    rows = [
        ("a", 0, "right"),
        ("a", 1, "right"),
        ("a", 2, "unscorable"),
        ("b", 0, "unscorable"),
        ("b", 1, "wrong"),
        ("b", 2, "wrong"),
    ]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("item", "sample", "outcome"))}
    columns |= {
        name: [value] * len(rows)
        for name, value in {"benchmark": "x", "group": "math", "strategy": "", "truncated": False}.items()
    }
    own = all_scores(columns)["benchmarks"]["x"]
    assert own["unscorable"] == 2 and own["greedy"]["score"] == 100.0 and own["sampled"]["score"] == 50.0
    assert own["pass_at_k"] == {"1": 50.0, "2": 0.0}
