"""Responses made by `make targets` take the place of the source's: which are chosen, and what leaves without one."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import models
from conf.errors import UserError
from conf.schema import Configuration
from data.compile import compile_dataset, read
from models.tiny import make_tokenizer

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "prompt", "response", "outcome", "reason", "finish_reason")]
    + [("sample", pa.int32()), ("completion_tokens", pa.int32())]
)
ANSWER = {"0+1": "\\boxed{1}", "1+1": "\\boxed{2}", "2+1": "\\boxed{3}"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def compiled(base, tmp_path, monkeypatch):
    """Compile five sums with given responses: (targets by prompt, manifest)."""
    monkeypatch.setattr(models, "check", lambda path: None)  # these tests need no weights
    source = tmp_path / "a.jsonl"
    rows = [{"problem": f"{i}+1", "answer": str(i + 1), "solution": f"mine \\boxed{{{i + 1}}}"} for i in range(5)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make(responses, **data):
        folder = tmp_path / f"targets{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(responses, schema=SCHEMA), folder / "targets.parquet")
        configuration = Configuration(
            experiment={},
            model={"path": str(base)},
            data={"source": str(source), "targets": str(folder), "rows": 10, **data},
            train={"steps": 2, "prompts_per_step": 2},
            recipe={"name": "sft", "trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"},
            suite={"items": 5},
            hardware={},
            logger={},
        )
        manifest = compile_dataset(configuration, folder / "out")
        return {row["prompt"]: row["targets"] for row in read(folder / "out")[0]}, manifest

    return make


def response(prompt, sample, words, outcome="right", finish="stop", tokens=None):
    text = f"{words} {ANSWER[prompt]}" if words else ANSWER[prompt]
    return {
        "id": "row-x",
        "prompt": prompt,
        "sample": sample,
        "response": text,
        "outcome": outcome,
        "reason": "match",
        "finish_reason": finish,
        "completion_tokens": len(text) if tokens is None else tokens,
    }


RESPONSES = [
    response("0+1", 0, "so it is", outcome="wrong"),
    response("0+1", 2, ""),
    response("0+1", 1, "one and one is"),
    response("0+1", 3, "well"),
    response("1+1", 0, "hm"),
    response("1+1", 1, "cut", finish="length"),
    response("2+1", 0, "no", outcome="unscorable"),
]


def texts(prompt, *words):
    return [f"{word} {ANSWER[prompt]}" if word else ANSWER[prompt] for word in words]


def test_only_right_responses_are_imitated_and_the_source_s_own_never(compiled):
    targets, manifest = compiled(RESPONSES)
    assert targets == {"0+1": texts("0+1", "one and one is"), "1+1": texts("1+1", "hm")}
    assert manifest["targets"]["present"] and manifest["targets"]["written"] == 7
    assert manifest["targets"]["not_right"] == 3
    assert manifest["targets"]["rows_without"]["without_target"] == 2
    assert manifest["targets"]["rows_without"]["target_not_right"] == 1
    assert manifest["counts"]["rows_for_teacher_arms"] == 2 == manifest["counts"]["rows_for_policy_arms"]


@pytest.mark.parametrize(
    ("rule", "chosen"), [("first", ["one and one is", ""]), ("shortest", ["", "well"]), ("random", None)]
)
def test_the_rule_chooses_and_the_order_in_the_file_does_not(compiled, rule, chosen):
    found = [
        compiled(responses, target_rule=rule, targets_per_prompt=2)[0]["0+1"]
        for responses in (RESPONSES, RESPONSES[::-1])
    ]
    assert found[0] == found[1] and len(set(found[0])) == 2
    assert chosen is None or found[0] == texts("0+1", *chosen)


def test_chance_is_the_seeds_and_reaches_every_response(compiled):
    many = [response("0+1", k, f"take {k}") for k in range(4)]
    found = {seed: compiled(many, target_rule="random", seed=seed)[0]["0+1"][0] for seed in range(24)}
    assert len(set(found.values())) == 4
    assert compiled(many, target_rule="random", seed=5)[0]["0+1"][0] == found[5]


def test_what_cannot_be_taken_gives_its_place_to_the_next(compiled):
    responses = [
        response("0+1", 0, "so " * 100),
        response("0+1", 1, "<|end|> so"),
        response("0+1", 2, "well"),
        response("1+1", 0, "so " * 100),
    ]
    targets, manifest = compiled(responses, pairing="union")
    assert targets["0+1"] == texts("0+1", "well") and targets["1+1"] == targets["3+1"] == []
    assert manifest["targets"]["over_max_completion_length"] == 2
    assert manifest["targets"]["special_token_in_text"] == 1
    assert manifest["counts"]["rows_for_policy_arms"] == 5 and manifest["counts"]["rows_for_teacher_arms"] == 1


def test_fewer_than_a_step_takes_are_repeated(compiled):
    targets, manifest = compiled(RESPONSES, targets_per_prompt=4)
    assert targets["1+1"] == texts("1+1", *["hm"] * 4) and len(set(targets["0+1"])) == 3
    assert manifest["targets"]["repeated"] == 4


def test_folders_that_do_not_belong_here(compiled, tmp_path):
    with pytest.raises(UserError, match="no response to any of the 5 prompts"):
        compiled([RESPONSES[0] | {"prompt": "another"}])
    with pytest.raises(UserError, match=r"holds no targets\.parquet") as caught:
        compiled(RESPONSES, targets=str(tmp_path / "nowhere"))
    assert "make targets" in caught.value.change
    (tmp_path / "odd").mkdir()
    pq.write_table(pa.table({"prompt": ["0+1"]}), tmp_path / "odd" / "targets.parquet")
    with pytest.raises(UserError, match="cannot be read"):
        compiled(RESPONSES, targets=str(tmp_path / "odd"))


def test_other_targets_are_other_inputs(compiled, tmp_path):
    first = compiled(RESPONSES)[1]
    second = compiled([*RESPONSES, response("2+1", 1, "ah")])[1]
    assert first["inputs"]["content of data.targets"] != second["inputs"]["content of data.targets"]
    assert first["digests"]["target_ids"] != second["digests"]["target_ids"]
