"""A cut evaluation goes on where it was; items are shared out; what is missing is named; grades are made again."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from conf import freeze
from conf.errors import UserError
from conf.files import read_json, write_json
from data import world
from data.items import Item, Missing
from evaluation.grade import SCHEMA
from evaluation.regrade import regrade, regrade_all, words
from evaluation.run import Task, evaluate, finished, respond, score
from models.tiny import make_model, make_tokenizer
from tests.evaluation.folders import configuration

NAMES = ["arithmetic_3", "sorting", "form"]
SUITE = {"benchmarks": NAMES, "items": 6, "samples": 3, "max_new_tokens": 6, "batch_size": 1}


@pytest.fixture(scope="module")
def tiny():
    tokenizer = make_tokenizer()
    return make_model(tokenizer), tokenizer


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    evaluate(*tiny, configuration(suite=SUITE), folder, 0, "base")
    return folder


def rows(folder):
    return pq.read_table(folder / "items.parquet").to_pylist()


def same_but_for_rounding(left, right):
    """A row's log-probability hangs on the batch it shared, in the last digits."""
    for one, other in zip(left, right, strict=True):
        assert one | {"mean_logp": None} == other | {"mean_logp": None}
        assert one["mean_logp"] == pytest.approx(other["mean_logp"], abs=1e-4)


KILLED = """
import sys, time
from pathlib import Path
from conf import freeze
from evaluation import parts
from evaluation.run import Task, respond
from models.tiny import make_model, make_tokenizer

write = parts.write
def slowly(table, path):
    write(table, path)
    time.sleep(0.5)
parts.write = slowly
folder, tokenizer = Path(sys.argv[1]), make_tokenizer()
respond(Task(freeze.read(folder / "config.yaml"), folder, 0, "base"), make_model(tokenizer), tokenizer)
"""


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_and_ends_as_one_that_was_not(tiny, whole, tmp_path):
    freeze.write(configuration(suite=SUITE), tmp_path / "config.yaml")
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    while len(list(tmp_path.glob("parts-*/items-*.parquet"))) < 3:
        assert running.poll() is None
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = {path: path.stat().st_ino for path in tmp_path.glob("parts-*/items-*.parquet")}
    task = Task(configuration(suite=SUITE), tmp_path, 0, "base")
    respond(task, *tiny)
    after = {path: path.stat().st_ino for path in tmp_path.glob("parts-*/items-*.parquet")}
    assert before.items() <= after.items() and 3 <= len(before) < len(after)
    assert sum(pq.read_table(path).num_rows for path in after) == 3 * 6 * 4  # none is there twice
    score(task)
    for name in ("items.parquet", "likelihood.parquet", "scores.json"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert not list(tmp_path.glob("parts-*")) and not list(tmp_path.glob("progress-*"))


def test_responses_are_stored_as_they_end_within_a_batch(tiny, whole, tmp_path):
    task = Task(configuration(suite=SUITE | {"batch_size": 7}), tmp_path, 0, "base")
    respond(task, *tiny, save_seconds=0.0)
    assert len(list(tmp_path.glob("parts-*/items-*.parquet"))) > 2  # calls of the generator
    score(task)
    same_but_for_rounding(rows(tmp_path), rows(whole))


@pytest.mark.parametrize("of", [2, 3, 20])
def test_items_shared_out_give_the_same_whatever_the_number(tiny, whole, tmp_path, of):
    task = Task(configuration(suite=SUITE), tmp_path, 0, "base")
    for number in reversed(range(of)):
        respond(task, *tiny, share=(number, of))
    found, expected = score(task), read_json(whole / "scores.json")
    for name in NAMES:
        likely = [scores["benchmarks"][name].pop("likelihood")["reference_logp"] for scores in (found, expected)]
        assert likely[0] == pytest.approx(likely[1], abs=1e-4)
    assert found == expected
    same_but_for_rounding(rows(tmp_path), rows(whole))


def test_parts_of_other_settings_are_not_read(tiny, whole, tmp_path):
    other = Task(configuration(suite=SUITE | {"seed": 1}), tmp_path, 0, "base")
    respond(other, *tiny)
    evaluate(*tiny, configuration(suite=SUITE), tmp_path, 0, "base")
    assert (tmp_path / "items.parquet").read_bytes() == (whole / "items.parquet").read_bytes()
    assert not list(tmp_path.glob("parts-*"))


@pytest.fixture
def lacking(monkeypatch):
    """The world without one of its benchmarks, until what it raises is taken away."""
    absent = {"sorting": Missing("sorting", "there is no folder for it")}
    items = world.items

    def without(benchmark, split, count, seed=0):
        found = absent.get(benchmark) or items(benchmark, split, count, seed)
        if isinstance(found, Missing):
            raise found
        return found

    monkeypatch.setattr(world, "items", without)
    return absent


def test_what_is_missing_is_named_and_made_up_for_once_it_is_there(tiny, whole, lacking, tmp_path):
    settings = configuration(suite=SUITE)
    scores = evaluate(*tiny, settings, tmp_path, 0, "base")
    assert scores["missing"] == {"sorting": {"group": "other_reasoning", "reason": "there is no folder for it"}}
    assert list(scores["benchmarks"]) == ["arithmetic_3", "form"] and "other_reasoning" not in scores["groups"]
    assert finished(settings, tmp_path, 0, "base") == scores  # as long as it is missing
    kept = pq.read_table(tmp_path / "items.parquet").to_pylist()
    kept[0]["response"] = "stored, and not written again"
    pq.write_table(
        pq.read_table(tmp_path / "items.parquet").schema.empty_table().from_pylist(kept, schema=SCHEMA),
        tmp_path / "items.parquet",
    )
    del lacking["sorting"]
    assert finished(settings, tmp_path, 0, "base") is None
    full = evaluate(*tiny, settings, tmp_path, 0, "base")
    assert list(full["benchmarks"]) == NAMES and not full["missing"]
    assert rows(tmp_path)[0]["response"] == "stored, and not written again"
    same_but_for_rounding(rows(tmp_path)[1:], rows(whole)[1:])


BROKEN = {
    "its split test is empty": [],
    "1 ids stand twice": [Item("a", "sorting", "math", "text", "p", "r")] * 2,
    "item a has no prompt": [Item("a", "sorting", "math", "text", " ", "r")],
    "item a has no reference": [Item("a", "sorting", "math", "text", "p", "")],
    "item a is of the unknown kind essay": [Item("a", "sorting", "math", "essay", "p", "r")],
    "its reference is none of them": [Item("a", "sorting", "math", "choice", "p", "C", choices=("x", "y"))],
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_benchmark_is_skipped_whole_and_never_scored_0(tiny, monkeypatch, tmp_path, reason):
    items = world.items
    monkeypatch.setattr(world, "items", lambda name, *more: BROKEN[reason] if name == "sorting" else items(name, *more))
    scores = evaluate(*tiny, configuration(suite=SUITE | {"items": 1, "samples": 0}), tmp_path, 0, "base")
    assert reason in scores["missing"]["sorting"]["reason"] and "sorting" not in scores["benchmarks"]


def test_worked_examples_stand_before_the_prompt_as_far_as_they_fit(tiny, tmp_path):
    suite = SUITE | {"shots": 2, "samples": 0}
    settings = configuration(suite=suite)
    plain = evaluate(*tiny, settings, tmp_path / "plain", 0, "base")
    shown = evaluate(*tiny, settings, tmp_path / "shown", 0, "base", few_shots=True)
    assert plain["settings"]["digest"] != shown["settings"]["digest"]
    assert {row["shots"] for row in rows(tmp_path / "plain")} == {0}
    assert {row["shots"] for row in rows(tmp_path / "shown")} == {2}
    assert [row["prompt"] for row in rows(tmp_path / "plain")] == [row["prompt"] for row in rows(tmp_path / "shown")]
    scored = {row["prompt"] for row in rows(tmp_path / "shown")}
    item = Task(settings, tmp_path, 0, "base", few_shots=True).items[0][0]
    for prompt, response in item.shots:
        assert prompt not in scored and response == f"\\boxed{{{world.evaluate_steps(prompt)[-1][3]}}}"
    told = configuration(suite=suite | {"shots": 0, "num_fewshot": 2})  # the same before every prompt of every model
    evaluate(*tiny, told, tmp_path / "told", 5, "arm")
    said = [(row["prompt"], row["context"], row["response"]) for row in rows(tmp_path / "told")]
    assert said == [(row["prompt"], row["context"], row["response"]) for row in rows(tmp_path / "shown")]
    assert [tuple(map(tuple, json.loads(context))) for _, context, _ in said][0] == item.shots
    # without shots the settings are as if there were no such key
    assert finished(configuration(suite=suite | {"shots": 0}), tmp_path / "plain", 0, "base") == plain
    long = configuration(suite=suite | {"shots": 200, "items": 1})
    evaluate(*tiny, long, tmp_path / "long", 0, "base", few_shots=True)
    assert all(2 < row["shots"] < 100 for row in rows(tmp_path / "long") if row["benchmark"] != "form")


# --- grading again ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tiny, tmp_path):
    evaluate(*tiny, configuration(suite=SUITE | {"samples": 1}), tmp_path, 0, "base")
    return tmp_path


def test_nothing_changes_where_nothing_did(stored):
    before = (stored / "items.parquet").read_bytes(), read_json(stored / "scores.json")
    changed = regrade(stored)
    assert changed["responses"] == 36 and not any(changed["grades_changed"].values())
    assert (stored / "items.parquet").read_bytes() == before[0]
    assert read_json(stored / "scores.json") == before[1] | {"regraded": changed}


def test_stored_text_alone_decides_the_new_grades(stored):
    """Responses edited by hand, in a file of an older layout."""
    edited = rows(stored)
    first = next(row for row in edited if row["benchmark"] == "arithmetic_3")
    first["response"] = f"The answer is {first['reference']}."
    old = [
        {key: value for key, value in row.items() if key not in ("aware", "shots", "finish_reason")} for row in edited
    ]
    pq.write_table(pq.read_table(stored / "items.parquet").slice(0, 0).from_pylist(old), stored / "items.parquet")
    regrade(stored)
    found = next(row for row in rows(stored) if row["item"] == first["item"])
    assert (found["strict"], found["aware"], found["outcome"]) == ("wrong", "right", "wrong")
    own = read_json(stored / "scores.json")["benchmarks"]["arithmetic_3"]
    assert own["format_loss"]["greedy"]["difference"] == pytest.approx(100 / 6)


def test_items_that_changed_are_counted_and_another_prompt_keeps_its_grade(stored, monkeypatch):
    items = world.items

    def changed(name, *more):
        found = items(name, *more)
        if name == "sorting":
            return [replace(found[0], reference="0"), replace(found[1], prompt="sort 21"), *found[2:-1]]
        return found

    monkeypatch.setattr(world, "items", changed)
    told = regrade_all(stored)[str(stored)]
    assert (told["items_changed"], told["items_gone"], told["responses"]) == (2, 1, 36 - 4)
    assert words(told).endswith("items that changed: 2; items that are gone: 1")
    assert len(rows(stored)) == 36


def test_a_folder_without_responses_is_a_users_error(tmp_path, stored):
    with pytest.raises(UserError, match="holds no evaluation"):
        regrade_all(tmp_path / "nothing")
    write_json(stored / "scores.json", read_json(stored / "scores.json") | {"settings": {}})
    with pytest.raises(UserError, match="evaluate the model again"):
        regrade(stored)
    assert json.loads((stored / "scores.json").read_text())
