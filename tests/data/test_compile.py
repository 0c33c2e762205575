import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models
from conf.errors import UserError
from conf.schema import Configuration
from data.compile import REASONS, compile_dataset, read
from data.scorable import readable, unusable
from data.suite import items
from launch.compose import compose
from models.tiny import make_tokenizer
from rewards import Request, verify_many

ROOT = Path(__file__).parent.parent.parent
GOLDEN = {
    "rows": "6cf33ec3a13b74c07b4a69c4ae8874ae629de12d39aec1886bbd2f55baec141d",
    "prompt_ids": "c39a8ca0d94165de4aa15c94ddb0c088e6fe4149896ed323624d9b44167c720e",
    "target_ids": "17a65cd4d140fc29a61fd82d44d3d0f87766550bfb044a6ef48ca081d76f40a0",
    "order": "67b21db572c974b7c5a41da71fe1b7f8ddb52499e440b5afe59d77d6ce933f37",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def configure(base, monkeypatch):
    monkeypatch.setattr(models, "check", lambda path: None)  # these tests need no weights

    def make(data: dict | None = None, **train) -> Configuration:
        recipe = {"name": "sft", "trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"}
        return Configuration(
            experiment={},
            model={"path": str(base)},
            data={"rows": 60, **(data or {})},
            train={"steps": 4, "prompts_per_step": 24, **train},
            recipe=recipe,
            suite={"items": 20},
            hardware={},
            logger={},
        )

    return make


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def row(i, **changed):
    return {"problem": f"{i}+1", "answer": str(i + 1), "solution": f"{i}+1={i + 1} \\boxed{{{i + 1}}}", **changed}


def test_compiled_rows_are_rendered_and_right(configure, tmp_path):
    manifest = compile_dataset(configure(), tmp_path)
    rows, order, again = read(tmp_path)
    assert manifest == again
    counts = manifest["counts"]
    assert (
        counts["loaded"] == 60 == sum(counts[name] for name in REASONS) + counts["kept"]
        and counts["kept"] == len(rows) > 0
    )
    assert (order.shape, order.dtype) == ((4, 24), np.int64)
    tokenizer = make_tokenizer()
    for found in rows:
        assert found["prompt_ids"] == models.prompt_ids(tokenizer, found["prompt"])
        assert found["target_ids"] == [models.response_ids(tokenizer, text) for text in found["targets"]]
        assert found["target_ids"][0][-1] == tokenizer.eos_token_id


def test_the_rows_that_measured_results_rest_on_stay_as_they_are(configure, tmp_path):
    """Digests taken before the teacher could make mistakes: prompts, their order, and every target."""
    digests = compile_dataset(configure({"targets_per_prompt": 8, "max_completion_length": 112}), tmp_path)["digests"]
    assert digests == GOLDEN


def test_a_teachers_mistakes_stand_beside_the_targets_which_stay_right(configure, tmp_path):
    given = {"targets_per_prompt": 8, "max_completion_length": 112}
    plain = compile_dataset(configure(given), tmp_path / "plain")
    mixed = compile_dataset(configure(given | {"teacher_mistakes": 0.25}), tmp_path / "mixed")
    rows, _, _ = read(tmp_path / "mixed")
    assert read(tmp_path / "plain")[0].to_list() == rows.remove_columns(["attempts", "attempt_ids"]).to_list()
    assert {name for name in plain["digests"] if plain["digests"][name] != mixed["digests"][name]} == {"rows"}
    texts = [(row, text) for row in rows for text in row["attempts"]]
    verdicts = verify_many([Request("math", text, row["reference"]) for row, text in texts])
    wrong = sum(one.outcome == "wrong" for one in verdicts)
    assert len(texts) == 8 * len(rows) == mixed["targets"]["attempts"]
    assert 0 < wrong == mixed["targets"]["attempts_wrong"] < len(texts) / 2
    tokenizer = make_tokenizer()
    assert rows[0]["attempt_ids"] == [models.response_ids(tokenizer, text) for text in rows[0]["attempts"]]
    with pytest.raises(UserError, match=r"data\.teacher_mistakes: 0\.25 there, 0\.5 here"):
        compile_dataset(configure(given | {"teacher_mistakes": 0.5}), tmp_path / "mixed")


def test_a_teachers_response_over_the_limit_is_cut_as_a_policys_is(configure, tmp_path):
    given = {"max_completion_length": 29, "teacher_mistakes": 0.5, "targets_per_prompt": 2}
    compile_dataset(configure(given), tmp_path)
    lengths = [len(ids) for row in read(tmp_path)[0] for ids in row["attempt_ids"]]
    assert max(lengths) == 29 and min(lengths) < 29


def test_equal_inputs_give_equal_bytes(configure, tmp_path):
    digests = []
    for name in ("a", "b"):
        compile_dataset(configure(), tmp_path / name)
        digests.append(
            [
                hashlib.sha256((tmp_path / name / file).read_bytes()).hexdigest()
                for file in ("rows.parquet", "order.npy", "manifest.json")
            ]
        )
    assert digests[0] == digests[1]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["manifest.json", "order.npy", "rows.parquet"]


def test_a_second_call_writes_nothing_and_another_configuration_is_refused(configure, tmp_path):
    first = compile_dataset(configure(), tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert compile_dataset(configure(), tmp_path) == first
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=r"train\.steps: 4 there, 5 here"):
        compile_dataset(configure(steps=5), tmp_path)


def test_a_changed_source_is_noticed(configure, tmp_path):
    source = write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
    compile_dataset(configure({"source": source}), tmp_path / "out")
    write(tmp_path / "a.jsonl", [row(i) for i in range(6)])
    with pytest.raises(UserError, match=r"content of data\.source"):
        compile_dataset(configure({"source": source}), tmp_path / "out")


def test_damaged_or_unfinished_folders(configure, tmp_path):
    with pytest.raises(UserError, match="no compiled data set"):
        read(tmp_path)
    compile_dataset(configure(), tmp_path)
    whole = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        read(tmp_path)
    (tmp_path / "rows.parquet").write_bytes(whole)
    np.save(tmp_path / "order.npy", np.zeros((4, 24), np.int64))
    with pytest.raises(UserError, match="damaged"):
        read(tmp_path)
    (tmp_path / "manifest.json").unlink()  # as a crash before the end leaves it
    compile_dataset(configure(), tmp_path)
    read(tmp_path)


def test_every_reason_is_counted_once(configure, tmp_path):
    held_out = next(item for item in items(configure().suite) if item.group == "math")
    rows = [row(i) for i in range(5)]
    rows += [
        row(10, problem=" "),
        row(11, answer=None),
        row(12, answer="7" * 1500),
        row(18, problem="how much is one and one and one, asked bola?", solution="\\boxed{19}"),
        row(18, problem="how much is one and one and one, asked dari?", solution="\\boxed{19}"),
        row(0, problem=" 0+1\n"),
        row(13, solution=None),
        row(14, solution="\\boxed{3}"),
        row(17, problem="17+1<|end|>\n<|assistant|>"),
        row(15, problem="1+" * 200 + "1"),
        row(16, solution="so " * 200 + "\\boxed{17}"),
        {"problem": held_out.prompt, "answer": held_out.reference, "solution": f"\\boxed{{{held_out.reference}}}"},
    ]
    given = {"targets_per_prompt": 3, "near_duplicate_similarity": 0.4}
    manifest = compile_dataset(configure({"source": write(tmp_path / "a.jsonl", rows), **given}), tmp_path / "out")
    usable = {"kept": 6, "rows_for_policy_arms": 6, "rows_for_teacher_arms": 6}
    assert manifest["counts"] == {"loaded": 17, **dict.fromkeys(REASONS, 1), **usable}
    assert manifest["targets"]["repeated"] == 12
    assert manifest["decontamination"] == {"ngram": 13, "by_benchmark": {held_out.benchmark: 1}}
    assert all(len(found["target_ids"]) == 3 for found in read(tmp_path / "out")[0])


def test_no_solution_anywhere_leaves_targets_empty(configure, tmp_path):
    source = write(tmp_path / "a.jsonl", [{"problem": f"{i}+1", "answer": i + 1} for i in range(5)])
    manifest = compile_dataset(configure({"source": source}), tmp_path / "out")
    rows, _, _ = read(tmp_path / "out")
    assert manifest["counts"]["kept"] == 5 and not manifest["targets"]["present"]
    assert all(found["targets"] == [] and found["target_ids"] == [] for found in rows)


def test_nothing_left_is_the_users_error_with_counts(configure, tmp_path):
    source = write(tmp_path / "a.jsonl", [row(i, answer=None) for i in range(4)])
    with pytest.raises(UserError, match="without_answer 4") as caught:
        compile_dataset(configure({"source": source}), tmp_path / "out")
    assert caught.value.given and caught.value.change
    assert not (tmp_path / "out").exists()


def test_world_targets_are_as_many_as_asked(configure, tmp_path):
    compile_dataset(configure({"targets_per_prompt": 4}), tmp_path)
    rows = read(tmp_path)[0]
    assert all(len(found["targets"]) == 4 for found in rows)
    assert any(len(set(found["targets"])) > 1 for found in rows)


def test_training_and_suite_are_disjoint(configure, tmp_path):
    configuration = configure({"rows": 2000})
    compile_dataset(configuration, tmp_path)
    prompts = set(read(tmp_path)[0]["prompt"])
    for split in ("validation", "test"):
        assert not prompts & {item.prompt for item in items(configuration.suite.model_copy(update={"split": split}))}


SOLVED = [row(i) for i in range(4)]
UNSOLVED = [
    row(13, solution=None),
    row(14, solution="\\boxed{3}"),
    row(15, solution="<|end|> \\boxed{16}"),
    row(16, solution="so " * 200 + "\\boxed{17}"),
]


@pytest.mark.parametrize("pairing", ["intersection", "union"])
def test_pairing_decides_about_rows_that_only_some_arms_can_use(configure, tmp_path, pairing):
    source = write(tmp_path / "a.jsonl", SOLVED[:2] + UNSOLVED + SOLVED[2:])
    manifest = compile_dataset(configure({"source": source, "pairing": pairing}), tmp_path / "out")
    rows, order, _ = read(tmp_path / "out")
    reasons = ("without_target", "target_not_right", "special_token_in_text", "over_max_completion_length")
    assert manifest["pairing"] == pairing
    assert manifest["targets"]["rows_without"] == dict.fromkeys(reasons, 1)
    counts = manifest["counts"]
    assert counts["rows_for_teacher_arms"] == 4 == sum(bool(targets) for targets in rows["targets"])
    assert counts["rows_for_policy_arms"] == len(rows) == (8 if pairing == "union" else 4)
    assert all(counts[reason] == (pairing == "intersection") for reason in reasons)
    assert set(order.ravel()) == set(range(len(rows)))
    for found in rows:
        assert len(found["targets"]) == len(found["target_ids"]) == (found["prompt"] in ("0+1", "1+1", "2+1", "3+1"))


def test_a_source_without_any_response_is_for_policy_arms_alone(configure, tmp_path):
    source = write(tmp_path / "a.jsonl", [row(i, solution="") for i in range(5)])
    manifest = compile_dataset(configure({"source": source}), tmp_path / "out")
    counts = manifest["counts"]
    assert (counts["rows_for_policy_arms"], counts["rows_for_teacher_arms"]) == (5, 0)


def test_batches_are_cut_where_nothing_changes_because_of_it(configure, tmp_path, monkeypatch):
    """Duplicates, near duplicates and overlaps far apart are found as those in one batch are."""
    rows = [row(i % 40, problem=f"{'please ' * (i % 3)}what is {i % 40}+1, I ask you kindly?") for i in range(200)]
    given = {"source": write(tmp_path / "a.jsonl", rows), "near_duplicate_similarity": 0.4, "rows": 150}
    whole = compile_dataset(configure(given), tmp_path / "whole")
    monkeypatch.setattr("data.compile.BATCH", 7)
    parts = compile_dataset(configure(given), tmp_path / "parts")
    assert parts == whole and whole["counts"]["near_duplicate"] > 0 < whole["counts"]["duplicate"]
    assert read(tmp_path / "parts")[0].to_list() == read(tmp_path / "whole")[0].to_list()


def test_what_a_killed_run_left_is_removed(configure, tmp_path):
    (tmp_path / ".out.writing").mkdir()
    (tmp_path / ".out.writing" / "rows.parquet").write_bytes(b"half")
    compile_dataset(configure(), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.slow
def test_references_that_are_plain_are_not_asked_about_and_those_that_are_odd_are():
    plain = ["72", "-3.5", "\\frac{5}{6}", "(-\\infty, 2] \\cup [3,\\infty)", "2\\sqrt{3}+\\pi", "x^2-3x+1", "50\\%"]
    plain += ["\\begin{pmatrix} 1 \\\\ -2 \\end{pmatrix}", "\\text{Monday}", "90^\\circ", "$12$"]
    odd = [
        "\\frac{1}{0}",
        "3/0",
        "9^{9^{9}}",
        "10000!",
        "\\infty-\\infty",
        "",
        ".",
        "\\left",
        "{",
        "7" * 1500,
        "\\int_0^1 x",
        "a<b",
    ]
    assert [readable("math", text) for text in plain] == [True] * len(plain)
    assert [readable("math", text) for text in odd] == [False] * len(odd)
    assert not any(
        verdict.reason == "bad_reference" for verdict in verify_many([Request("math", "\\boxed{0}", p) for p in plain])
    )
    rows = [{"kind": "math", "reference": text} for text in [*plain, *odd]]
    found = dict(zip([*plain, *odd], unusable(rows, {}, 1), strict=True))
    assert not any(found[text] for text in plain)
    assert all(found[text] for text in ("\\frac{1}{0}", "", ".", "7" * 1500))


PROGRAM = """
import sys
from launch.compose import compose
from data.compile import compile_dataset
compile_dataset(compose(sys.argv[2:]), sys.argv[1])
"""


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(tmp_path):
    rows = [row(i, problem=f"{i % 9}+{i % 7}+{i}") for i in range(300)] + UNSOLVED
    source = write(tmp_path / "a.jsonl", rows)
    given = ["data=file", f"data.source={source}", "data.near_duplicate_similarity=0.5", "data.pairing=union"]
    compile_dataset(compose(given), tmp_path / "here")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "there"), *given]
    environment = os.environ | {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    for name in ("rows.parquet", "order.npy", "manifest.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name
