"""The published benchmarks, read from hand-made rows in their real schemas."""

import base64
import json
import pickle
import zlib
from pathlib import Path

import pytest

from conf.errors import UserError
from conf.schema import Suite
from data import published, suite
from data.published import wide
from rewards import verify
from rewards.packed import private_tests
from rewards.paper import GRADERS
from tests.data.published import ROWS, write

BOTH = {**published.BENCHMARKS, **wide.BENCHMARKS}


def read(local: dict[str, str], items: int = 100, **keys: object) -> Suite:
    return Suite.model_validate({"collections": ["published", "wide"], "items": items, "local": local, **keys})


def test_twelve_benchmarks_and_the_wide_ones_are_asked(tmp_path: Path) -> None:
    there, missing = suite.found(read(write(tmp_path)))
    assert not missing
    assert list(dict.fromkeys(item.benchmark for item in there)) == list(BOTH)
    assert len(published.BENCHMARKS) == 12
    assert len({item.id for item in there}) == len(there)
    for item in there:
        task = BOTH[item.benchmark]
        assert item.group == task.group and item.kind == task.kind
        assert item.options.get("paper", "") == task.paper and (not task.paper or task.paper in GRADERS)
        assert not item.choices or item.reference in (*item.choices, "A", "D") or item.benchmark == "halueval"
        json.dumps(item.options)


def test_nothing_is_fetched_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    there, missing = suite.found(read({}))
    assert not there and set(missing) == set(BOTH)
    assert "test of HuggingFaceH4/MATH-500 would be read from the hub" in missing["math500"]
    assert "suite.download=true, or suite.local={math500: FOLDER}" in missing["math500"]


def test_what_the_hub_cannot_give_is_missing_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    there, missing = suite.found(read({}, download=True, benchmarks=["math500", "livecodebench"]))
    assert not there and list(missing) == ["math500", "livecodebench"]
    assert "cannot be reached" in missing["math500"]
    assert "cannot be reached" in missing["livecodebench"]


def test_a_benchmark_that_nobody_holds_is_the_users_mistake(tmp_path: Path) -> None:
    for keys in ({"benchmarks": ["math501"]}, {"local": {"math501": str(tmp_path)}}):
        with pytest.raises(UserError, match="unknown: math501"):
            suite.found(Suite.model_validate({"collections": ["published"], **keys}))


def test_a_test_has_no_validation_split(tmp_path: Path) -> None:
    there, missing = suite.found(read(write(tmp_path), split="validation"))
    assert not there and missing["coqa"] == "it is a test and has no validation split"


@pytest.mark.parametrize(
    ("benchmark", "row", "reason"),
    [
        ("math500", {"problem": "1+1?", "answer": ""}, "row 0 is broken: its reference is empty"),
        ("math500", {"problem": "1+1?", "solution": "2"}, "its schema has changed: there is no column answer"),
        (
            "olympiadbench",
            {"question": "1+1?", "final_answer": []},
            "row 0 of OE_TO_maths_en_COMP is broken (IndexError",
        ),
        (
            "headqa",
            {"qtext": "?", "ra": 4, "answers": [{"atext": "x"}]},
            "row 0 of en is broken (ValueError: answer 4 of 1",
        ),
        (
            "halueval",
            {"hallucination": "maybe", "knowledge": "", "question": "", "answer": ""},
            "hallucination='maybe'",
        ),
        ("gsm8k", {"question": "1+1?", "answer": "2"}, "its answer has no ####"),
    ],
)
def test_a_broken_row_and_a_changed_schema_are_named(
    tmp_path: Path, benchmark: str, row: dict[str, object], reason: str
) -> None:
    subset = next(iter(ROWS[benchmark]))
    local = write(tmp_path, ROWS | {benchmark: ROWS[benchmark] | {subset: [row]}})
    there, missing = suite.found(read(local))
    assert list(missing) == [benchmark] and reason in missing[benchmark]
    assert benchmark not in {item.benchmark for item in there}


def test_an_empty_split_and_a_lost_folder_are_named(tmp_path: Path) -> None:
    local = write(tmp_path)
    Path(local["math500"]).write_text("", encoding="utf-8")
    there, missing = suite.found(read(local | {"aime24": str(tmp_path / "nowhere")}))
    assert set(missing) == {"math500", "aime24"} and there
    assert "empty" in missing["math500"] and "nowhere, which suite.local names" in missing["aime24"]


def test_decoding_is_the_papers_where_it_is_asked_for() -> None:
    """arXiv:2507.00432, A.3.4: temperature 0.6 and top-p 0.95, 10 times for AIME, 3 times else; the others greedy."""
    own = suite.decoding(read({}, decoding="published", samples=1))
    sampled = {name: how[:3] for name, how in own.items() if how.samples}
    three, ten = (3, 0.6, 0.95), (10, 0.6, 0.95)
    assert sampled == {"math500": three, "aime24": ten, "aime25": ten, "gpqa_diamond": three, "livecodebench": three}
    shorter = {name: how.max_new_tokens for name, how in own.items() if how.max_new_tokens != 32768}
    likelihoods = [name for name, task in BOTH.items() if task.likelihood]
    assert shorter == {"ifeval": 512} | dict.fromkeys(likelihoods, 256)
    assert likelihoods == ["headqa", "mc_taco", "truthfulqa", "hellaswag"]
    common = suite.decoding(read({}, samples=2, temperature=0.7, top_p=0.9, max_new_tokens=9))
    assert set(common.values()) == {(2, 0.7, 0.9, 9)}


def test_a_plan_counts_no_more_items_than_there_are() -> None:
    whole = read({}, items=100_000, decoding="published", benchmarks=["aime24", "math500", "coqa"])
    assert suite.responses(whole) == 30 * 11 + 500 * 4 + 500
    assert suite.responses(whole.model_copy(update={"items": 7})) == 7 * (11 + 4 + 1)


def test_subsets_take_turns(tmp_path: Path) -> None:
    row = ROWS["halueval"]["qa_samples"][0]
    local = write(tmp_path, {"halueval": ROWS["halueval"] | {"qa_samples": [row, row]}})
    found = suite.items(read(local, items=3, benchmarks=["halueval"]))
    assert [item.labels["subset"] for item in found] == ["qa_samples", "dialogue_samples", "summarization_samples"]
    assert len(suite.items(read(local, benchmarks=["halueval"]))) == 4


def test_local_copies_in_every_form_hold_the_same_items(tmp_path: Path) -> None:
    import datasets

    row = {name: text for name, text in ROWS["gpqa_diamond"]["gpqa_diamond"][0].items()}
    copy = datasets.Dataset.from_list([row])
    copy.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": copy}).save_to_disk(tmp_path / "split")
    copy.to_csv(tmp_path / "gpqa_diamond.csv")
    copy.to_parquet(tmp_path / "one.parquet")
    (tmp_path / "plain").mkdir()
    copy.to_parquet(tmp_path / "plain" / "train.parquet")
    hub = tmp_path / "hub"
    hub.mkdir()
    copy.to_csv(hub / "diamond.csv")
    card = "---\nconfigs:\n- config_name: gpqa_diamond\n  data_files: diamond.csv\n---\n"
    (hub / "README.md").write_text(card, encoding="utf-8")
    found = [
        suite.items(read({"gpqa_diamond": str(tmp_path / name)}, benchmarks=["gpqa_diamond"]))
        for name in ("saved", "split", "gpqa_diamond.csv", "one.parquet", "plain", "hub")
    ]
    assert len(found[0]) == 1 and all(items == found[0] for items in found)


def test_ifeval_leaves_out_what_evalchemy_leaves_out(tmp_path: Path) -> None:
    rows = ROWS["ifeval"][""] * 60
    local = write(tmp_path, {"ifeval": {"": rows}})
    found = suite.items(read(local, items=1000, benchmarks=["ifeval"]))
    assert [found[0].id, found[-1].id, len(found)] == ["ifeval-10", "ifeval-509", 500]


def test_private_tests_are_read_without_unpickling() -> None:
    evil = base64.b64encode(zlib.compress(pickle.dumps(Path))).decode()
    with pytest.raises(ValueError, match="no single text"):
        private_tests(evil)
    assert private_tests('[{"input": "1"}]') == [{"input": "1"}]
    for cell in (evil, "x", "[", None, base64.b64encode(b"x").decode()):
        verdict = verify("code", "```python\nprint(1)\n```", {"form": "stdin", "packed": cell})
        assert (verdict.outcome, verdict.reason) == ("unscorable", "bad_reference")
