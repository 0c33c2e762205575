"""Arithmetic for small language models: answers by a second method, disjoint splits, shots in every prompt."""

import math
import re

import numpy as np
import pytest

import models
from conf.errors import UserError
from conf.schema import Configuration, Data
from data import arithmetic, sources
from data.compile import compile_dataset, read
from models.tiny import make_tokenizer
from rewards import verify

NAMES = list(arithmetic.BENCHMARKS)
ASKED = {  # question -> answer, by other means than the generators'
    r"(\d+) \+ (\d+)": lambda a, b: a + b,
    r"(\d+) - (\d+)": lambda a, b: a - b,
    r"(\d+) \* (\d+)": lambda a, b: sum(a for _ in range(b)),
    r"(\d+) \+ (\d+) \+ (\d+)": lambda a, b, c: a + b + c,
    r"(\d+) \* (\d+) \+ (\d+)": lambda a, b, c: sum([a] * b, c),
    r"gcd\((\d+), (\d+)\)": lambda a, b: max(d for d in range(1, 51) if a % d == b % d == 0),
    r"lcm\((\d+), (\d+)\)": lambda a, b: next(m for m in range(1, 401) if m % a == m % b == 0),
    r"How many ones are in (\d+)\?": lambda digits: sum(int(digit) for digit in str(digits)),
}


def answer(question: str) -> int:
    found = [(how, asked) for form, how in ASKED.items() if (asked := re.fullmatch(form, question))]
    assert len(found) == 1, question
    return found[0][0](*map(int, found[0][1].groups()))


@pytest.mark.parametrize("name", NAMES)
def test_answers_shots_and_the_teachers_steps_are_right(name):
    for item in arithmetic.items(name, "test", 60):
        assert int(item.reference) == answer(item.prompt)
    for question, form in arithmetic.shots_of(name):
        assert verify("math", form, str(answer(question)), extraction="aware").outcome == "right"
    if arithmetic.BENCHMARKS[name].trained:
        for row in arithmetic.rows({name: 1}, 60, seed=3):
            assert verify("math", row["solution"], str(answer(row["prompt"])), extraction="aware").outcome == "right"


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint_and_no_shot_is_scored(name):
    found = {split: {item.prompt for item in arithmetic.items(name, split, 200)} for split in arithmetic.SPLITS}
    assert all(len(prompts) >= 20 for prompts in found.values())
    assert not found["train"] & found["test"] and not found["validation"] & (found["train"] | found["test"])
    assert not {question for question, _ in arithmetic.shots_of(name)} & (found["test"] | found["validation"])
    assert [item.id for item in arithmetic.items(name, "test", 9)] == [
        item.id for item in arithmetic.items(name, "test", 9)
    ]


def test_what_is_only_scored_is_not_trained_on():
    with pytest.raises(UserError, match="never trained on"):
        list(sources.load(Data(source="arithmetic", tasks={"sum_3_3": 1}), 10, 0))
    with pytest.raises(UserError, match="nearest is gcd_50"):
        list(sources.load(Data(source="arithmetic", tasks={"gcd": 1}), 10, 0))
    rows = list(sources.load(Data(source="arithmetic"), 700, 1))
    kinds = {row["id"].rpartition("-")[0] for row in rows}
    assert kinds == {name for name in NAMES if arithmetic.BENCHMARKS[name].trained}
    assert all(arithmetic.split_of(row["prompt"]) == "train" for row in rows)


@pytest.mark.parametrize("shown", [0, 2])
def test_every_compiled_prompt_has_its_shots_before_it(tmp_path, monkeypatch, shown):
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path / "base")
    monkeypatch.setattr(models, "check", lambda path: None)  # needs no weights
    configuration = Configuration(
        experiment={},
        model={"path": str(tmp_path / "base")},
        data={
            "source": "arithmetic",
            "extraction": "aware",
            "tasks": {"gcd_50": 1, "sum_2_2": 1},
            "rows": 24,
            "num_fewshot": shown,
        }
        | {"max_prompt_length": 512, "max_completion_length": 256},
        train={"steps": 2, "prompts_per_step": 8},
        recipe={"name": "sft", "trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"},
        suite={"items": 4},
        hardware={},
        logger={},
    )
    compile_dataset(configuration, tmp_path / "data")
    rows, order, manifest = read(tmp_path / "data")
    assert len(rows) == 24 and ("data.num_fewshot" in manifest["inputs"]) == bool(shown)
    for row in rows:
        shots = arithmetic.shots_of(row["id"].rpartition("-")[0])[:shown]
        assert list(row["prompt_ids"]) == models.prompt_ids(tokenizer, row["prompt"], shots)
        assert math.isclose(answer(row["prompt"]), int(row["reference"]))
    assert np.asarray(order).shape == (2, 8)
