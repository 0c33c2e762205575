"""Every key is known, every refusal names what to write, and a frozen configuration reads back equal."""

from pathlib import Path

import pytest

from conf import control, freeze
from conf.errors import UserError
from conf.validate import known_keys, nearest, validate
from launch.compose import compose, options


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("train.stepz", "train.steps"),
        ("learning_rate", "recipe.learning_rate"),
        ("train.learning_rate", "recipe.learning_rate"),
        ("recipe.num_generation", "recipe.num_generations"),
        ("sede", "seed"),
    ],
)
def test_nearest_key(wrong: str, right: str) -> None:
    assert nearest(wrong) == right


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"train\.stepz=3: no such key") as caught:
        compose(["train.stepz=3"])
    assert caught.value.change == "write train.steps"


def test_impossible_values() -> None:
    with pytest.raises(UserError, match=r"train\.steps=0"):
        compose(["train.steps=0"])
    with pytest.raises(UserError, match="seeds"):
        compose(["experiment.seeds=[100]"])
    with pytest.raises(UserError, match="recipe.trainer=policy"):
        compose(["recipe=sft", "recipe.beta=0.1"])


def test_every_option_of_every_group_is_valid() -> None:
    for group in ("model", "data", "recipe", "suite", "hardware", "logger", "experiment"):
        for option in options(group):
            compose([f"{group}={option}"])


def test_freeze_reads_back_equal(tmp_path: Path) -> None:
    configuration = compose(["recipe=grpo", "recipe.learning_rate=1e-5", "runs=elsewhere"])
    freeze.write(configuration, tmp_path / "config.yaml")
    assert freeze.read(tmp_path / "config.yaml") == configuration
    assert freeze.differences(configuration, freeze.read(tmp_path / "config.yaml")) == {}


def test_frozen_file_states_every_key(tmp_path: Path) -> None:
    filled = [
        "+data.tasks={a: 1}",
        "experiment.recipes.sft.beta=0",
        "suite.local={coqa: coqa.jsonl}",
        "suites=[embedded]",
    ]
    flat = freeze.flatten(compose(filled).model_dump(mode="json"))
    assert all(any(freeze.matches(stated, (key,)) for stated in flat) for key in known_keys())


def test_differences_are_dotted() -> None:
    changed = freeze.differences(
        compose(["seed=0", "train.steps=5"]), compose(["seed=1", "train.steps=7", "experiment.learning_rates.dpo=1"])
    )
    assert changed == {"seed": (0, 1), "train.steps": (5, 7), "experiment.learning_rates.dpo": (None, 1.0)}


def test_keys_of_the_table_exist() -> None:
    keys, patterns = known_keys(), [pattern for entry in control.CONFIGURATION for pattern in entry.keys]
    assert all(any(freeze.matches(key, (pattern,)) for key in keys) for pattern in patterns)


def test_mark_speaks_of_the_present_config(tmp_path: Path) -> None:
    assert not freeze.marked(tmp_path, "done.json")
    freeze.write(compose([]), tmp_path / "config.yaml")
    freeze.mark(tmp_path, "done.json")
    assert freeze.marked(tmp_path, "done.json")
    freeze.write(compose(["seed=1"]), tmp_path / "config.yaml")
    assert not freeze.marked(tmp_path, "done.json")


def test_missing_key() -> None:
    tree = compose([]).model_dump()
    del tree["recipe"]["q"]
    with pytest.raises(UserError, match="recipe.q is missing"):
        validate(tree)


def test_mistakes_of_a_teacher_that_is_not_the_worlds_are_refused() -> None:
    compose(["data.teacher_mistakes=0.25"])
    for other in ("data.targets=runs/x/targets/y", "data.source=train.jsonl"):
        with pytest.raises(UserError, match="scripted teacher"):
            compose(["data.teacher_mistakes=0.25", other])
    changed = freeze.confounds(compose([]), compose(["recipe=grpo", "data.teacher_mistakes=0.25"]))
    assert "data.teacher_mistakes" in [one.key for one in changed]


def test_rewards_need_a_weight_each() -> None:
    with pytest.raises(UserError, match="needs its weight"):
        compose(["recipe=grpo", "recipe.reward_weights=[1,2]"])
    with pytest.raises(UserError, match="soft_overlong_cache"):
        compose(["recipe=grpo", "recipe.soft_overlong_cache=100000"])
