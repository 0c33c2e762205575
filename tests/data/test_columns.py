"""Cells become rows: the published data sets in their real schema, chats, and where the answer stands."""

import datasets
import pytest

from conf.schema import Data
from data import columns, sources
from launch.compose import compose
from rewards import verify

GSM8K = {
    "question": "Natalia sold clips to 48 of her friends in April, and half as many in May. How many in all?",
    "answer": "In May she sold 48/2 = <<48/2=24>>24 clips.\nIn all that is 48+24 = <<48+24=72>>72 clips.\n#### 72",
}
MATH = {
    "problem": "Compute $\\frac{1}{2}+\\frac13$.",
    "level": "Level 1",
    "type": "Prealgebra",
    "solution": "First \\boxed{x} no. We get $\\frac36+\\frac26=\\boxed{\\frac{5}{6}}$.",
}
DEEPSCALER = {"problem": "What is $2^{10}$?", "answer": "1024", "solution": "Doubling ten times gives $\\boxed{1024}$."}
NUMINA = {
    "source": "cn_k12",
    "problem": "Solve $x^2=4$ for $x>0$.",
    "solution": "Since $x>0$, $x=\\boxed{2}$.",
    "messages": [
        {"content": "Solve $x^2=4$ for $x>0$.", "role": "user"},
        {"content": "Since $x>0$, $x=\\boxed{2}$.", "role": "assistant"},
    ],
}
NUMINA_1_5 = {"problem": "Prove it.", "solution": "Clear.", "answer": "proof", "problem_type": "Algebra"}
OPEN_R1 = NUMINA | {"answer": "2", "uuid": "u", "generations": ["<think>hm</think> \\boxed{2}"]}
PUBLISHED = {"question": "What is $3\\cdot 4$?", "golden_answer": "12", "data_source": "math"}
NAMED = {
    "gsm8k": (GSM8K, GSM8K["question"], "72"),
    "math": (MATH, MATH["problem"], "\\frac{5}{6}"),
    "deepscaler": (DEEPSCALER, DEEPSCALER["problem"], "1024"),
    "numina_math": (NUMINA, NUMINA["problem"], "2"),
    "numina_math_1_5": (NUMINA_1_5, "Prove it.", ""),
    "open_r1_math": (OPEN_R1, NUMINA["problem"], "2"),
    "math_rl_48k": (PUBLISHED, PUBLISHED["question"], "12"),
}


def loaded(data: Data) -> dict:
    return next(iter(sources.load(data, 10, 0)))


@pytest.mark.parametrize("name", NAMED)
def test_a_published_data_set_by_its_name(name, tmp_path):
    cells, problem, answer = NAMED[name]
    datasets.Dataset.from_list([cells]).save_to_disk(tmp_path / "saved")
    (tmp_path / "files").mkdir()
    datasets.Dataset.from_list([cells]).to_parquet(tmp_path / "files" / "train-00000-of-00001.parquet")
    known = compose([f"data={name}"]).data
    assert "/" in known.source
    for place, changes in (("saved", {}), ("files", {"subset": ""})):
        row = loaded(known.model_copy(update={"source": str(tmp_path / place), **changes}))
        assert (row["prompt"], row["reference"], row["kind"]) == (problem, answer, "math")
        if row["solution"] and answer:
            assert verify("math", row["solution"], answer, extraction="strict").outcome == "right"


def test_a_subset_of_a_folder_of_data_files(tmp_path):
    for name, cells in (("main", GSM8K), ("socratic", GSM8K | {"question": "another"})):
        (tmp_path / name).mkdir()
        datasets.Dataset.from_list([cells]).to_parquet(tmp_path / name / "train-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- {config_name: main, data_files: main/*}\n"
        "- {config_name: socratic, data_files: socratic/*}\n---\n"
    )
    known = compose(["data=gsm8k"]).data.model_copy(update={"source": str(tmp_path)})
    assert loaded(known)["prompt"] == GSM8K["question"]
    assert loaded(known.model_copy(update={"subset": "socratic"}))["prompt"] == "another"


def test_a_published_chat_is_imitated_instead_of_the_solution(tmp_path):
    cells = OPEN_R1 | {
        "messages": [NUMINA["messages"][0], {"role": "assistant", "content": "<think>hm</think> \\boxed{2}"}]
    }
    datasets.Dataset.from_list([cells]).to_parquet(tmp_path / "a.parquet")
    row = loaded(compose(["data=open_r1_math", f"data.source={tmp_path}/a.parquet", "data.messages=messages"]).data)
    assert (row["prompt"], row["reference"], row["solution"]) == (
        NUMINA["problem"],
        "2",
        "<think>hm</think> \\boxed{2}",
    )


def test_gsm8k_solutions_end_in_a_box_and_have_no_calculator():
    row = columns.row(compose(["data=gsm8k"]).data, 0, GSM8K)
    assert row["solution"] == ("In May she sold 48/2 = 24 clips.\nIn all that is 48+24 = 72 clips.\n\\boxed{72}")


def test_a_chat_gives_problem_solution_and_answer():
    turns = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": " 1+1? "},
        {"role": "assistant", "content": "it is \\boxed{3}"},
        {"role": "user", "content": "sure?"},
        {"role": "assistant", "content": "no: \\boxed{2}"},
    ]
    other = [{"from": "human", "value": "1+1?"}, {"from": "gpt", "value": "no: \\boxed{2}"}]
    data = Data(messages="chat", answer="chat", answer_form="boxed")
    for chat in (turns, other):
        row = columns.row(data, 4, {"chat": chat})
        assert (row["id"], row["prompt"], row["reference"], row["solution"]) == ("row-4", "1+1?", "2", "no: \\boxed{2}")
    apart = columns.row(Data(messages="chat", answer="gold"), 0, {"chat": turns, "gold": 2.0})
    assert (apart["prompt"], apart["reference"]) == ("1+1?", "2")
    for broken in (None, "text", [], [None], [{"role": "user"}]):
        assert columns.row(data, 0, {"chat": broken})["prompt"] == ""


def test_an_answer_that_is_not_where_it_should_be_is_no_answer():
    for form, cell in (("hashes", "it is 4"), ("boxed", "it is 4"), ("plain", "NotFound"), ("plain", None)):
        assert columns.row(Data(answer_form=form), 0, {"problem": "x", "answer": cell})["reference"] == ""


def test_texts_are_normalised_and_structures_kept_for_those_who_need_them():
    row = columns.row(Data(), 0, {"problem": "  cafe\u0301\r\nau lait ", "answer": {"a": 1}})
    assert (row["prompt"], row["reference"]) == ("caf\u00e9\nau lait", "")
    asked = columns.row(Data(kind="instruction"), 0, {"problem": "x", "answer": {"kwargs": [{"b": None}], "a": 1}})
    assert asked["reference"] == '{"a": 1, "kwargs": [{"b": null}]}'
