import hashlib
import json

import numpy as np
import pytest

import models
from conf.errors import UserError
from conf.schema import Configuration
from data import order as orders
from data.compile import REASONS, compile_dataset, read
from data.suite import items
from models.tiny import make_tokenizer


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
        row(0, problem=" 0+1\n"),
        row(13, solution=None),
        row(14, solution="\\boxed{3}"),
        row(17, problem="17+1<|end|>\n<|assistant|>"),
        row(15, problem="1+" * 200 + "1"),
        row(16, solution="so " * 200 + "\\boxed{17}"),
        {"problem": held_out.prompt, "answer": held_out.reference, "solution": f"\\boxed{{{held_out.reference}}}"},
    ]
    manifest = compile_dataset(
        configure({"source": write(tmp_path / "a.jsonl", rows), "targets_per_prompt": 3}), tmp_path / "out"
    )
    assert manifest["counts"] == {"loaded": 15, **dict.fromkeys(REASONS, 1), "kept": 5}
    assert manifest["targets"]["repeated"] == 10
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


@pytest.mark.parametrize(("rows", "steps", "prompts"), [(10, 3, 10), (7, 5, 6), (3, 2, 8), (100, 2, 5)])
def test_every_epoch_is_a_permutation(rows, steps, prompts):
    order = orders.make(rows, steps, prompts, 0)
    assert order.shape == (steps, prompts) and (order == orders.make(rows, steps, prompts, 0)).all()
    flat = order.ravel()
    for start in range(0, len(flat), rows):
        epoch = flat[start : start + rows]
        assert len(set(epoch)) == len(epoch) and (len(epoch) < rows or set(epoch) == set(range(rows)))
    assert rows < 7 or (order != orders.make(rows, steps, prompts, 1)).any()


def test_run_seeds_exchange_rows_and_keep_what_the_order_promises():
    stored = orders.make(50, steps=8, prompts_per_step=10, seed=3)
    first, second = orders.of_run(stored, 50, 0), orders.of_run(stored, 50, 1)
    assert np.array_equal(first, orders.of_run(stored, 50, 0)) and not np.array_equal(first, second)
    for order in (first, second):
        assert sorted(order[:5].ravel()) == list(range(50)), "every row once an epoch"
    assert np.array_equal(orders.of_run(stored[:3], 50, 1), second[:3])
