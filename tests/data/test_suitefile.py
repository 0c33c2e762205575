"""A suite's items as a file: the same as the collections give, made up for, and refused where it is not what it was."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import UserError
from conf.schema import Suite
from data import decontaminate, offline, suite, suitefile, world
from data.items import Missing
from tests.data.published import write

SMALL = Suite(collections=["world", "skills_tiny"], items=4, shots=2)


def test_the_file_has_the_items_and_their_digests(tmp_path):
    file = tmp_path / "suite" / "items.parquet"
    suitefile.compile_one(SMALL, file)
    plain, missing = suite.found(SMALL)
    assert suitefile.found(SMALL, file) == (plain, missing) == suitefile.found(SMALL)
    assert suitefile.with_shots(SMALL, plain, SMALL.shots, file) == suite.with_shots(SMALL, plain, SMALL.shots)
    assert suitefile.both_splits(SMALL, file) == suitefile.both_splits(SMALL)
    described = json.loads(pq.read_schema(file).metadata[b"suite"])
    assert described["digests"]["test"] == suite.digests(plain) and described["missing"]["test"] == {}
    assert not list(file.parent.glob(".*"))


def test_published_items_keep_options_choices_and_what_is_missing(tmp_path):
    local = write(tmp_path / "rows")
    left_out = local.pop("coqa")
    asked = {"collections": ["published", "wide"], "items": 3, "local": local}
    given, file = Suite.model_validate(asked), tmp_path / "items.parquet"
    suitefile.compile_one(given, file)
    plain, missing = suite.found(given)
    found = suitefile.found(given, file)
    assert suite.digests(found[0]) == suite.digests(plain) and found[1] == missing and list(missing) == ["coqa"]
    assert [(one.choices, one.labels, one.shots) for one in found[0]] == [(i.choices, i.labels, i.shots) for i in plain]
    later = Suite.model_validate(asked | {"local": local | {"coqa": left_out}})
    there, still = suitefile.found(later, file)
    assert not still and suite.digests(there) == suite.digests(suite.items(later))
    assert json.loads(pq.read_schema(file).metadata[b"suite"])["missing"]["test"] == {}


def test_held_out_prompts_are_the_same_with_and_without_the_file(tmp_path):
    file = suitefile.path(tmp_path)
    suitefile.compile_one(SMALL, file)
    ours, plain = decontaminate.held_out([SMALL], 13, [file]), decontaminate.held_out([SMALL], 13)
    assert ours.prompts == plain.prompts and list(ours.prompts) == list(plain.prompts)
    assert (ours.numbers == plain.numbers).all() and (ours.benchmarks == plain.benchmarks).all()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    file = tmp_path_factory.mktemp("written") / "items.parquet"
    suitefile.compile_one(SMALL, file)
    return file


def changed(row):
    return row | {"reference": row["reference"] + "1"} if row["id"].startswith("sorting") else row


@pytest.mark.parametrize("damage", ["cut", "text", "rows"])
def test_a_damaged_file_is_refused(written, tmp_path, damage):
    file, whole = tmp_path / "items.parquet", written.read_bytes()
    if damage == "rows":
        table = pq.read_table(written)
        rows = [changed(row) for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    else:
        file.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"no parquet at all")
    with pytest.raises(UserError, match="are damaged") as refused:
        suitefile.found(SMALL, file)
    assert "delete the file" in refused.value.change


def test_another_suites_file_and_other_items_are_refused(written, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="suite.items: 4 there, 5 here"):
        suitefile.found(SMALL.model_copy(update={"items": 5}), written)
    file = tmp_path / "items.parquet"
    file.write_bytes(written.read_bytes())
    items = world.items
    monkeypatch.setattr(world, "items", lambda *given, **more: items(*given, **more | {"seed": 1}))
    assert suitefile.found(SMALL, file) == suitefile.found(SMALL, written)  # nothing has to be made
    with pytest.raises(UserError, match="of two tests"):
        suitefile.with_shots(SMALL.model_copy(update={"shots": 3}), [], 3, file)


def test_few_shots_that_are_asked_for_later_are_added(tmp_path):
    file, none = tmp_path / "items.parquet", SMALL.model_copy(update={"shots": 0})
    suitefile.compile_one(none, file)
    plain = suite.items(SMALL)
    assert suitefile.with_shots(SMALL, plain, SMALL.shots, file) == suite.with_shots(SMALL, plain, SMALL.shots)


def test_a_benchmark_that_cannot_be_had_is_recorded_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path / "nothing"))
    offline._all.cache_clear()
    given = Suite(collections=["world", "offline"], benchmarks=["sorting", "gsm8k"], items=2)
    file = tmp_path / "items.parquet"
    suitefile.compile_one(given, file)
    there, missing = suitefile.found(given, file)
    assert [one.benchmark for one in there] == ["sorting"] * 2 and "make fetch-offline" in missing["gsm8k"]
    with pytest.raises(Missing):
        offline.items("gsm8k", "test", 2)
