"""Overrides, groups, chosen rates and multirun."""

import pytest

from conf.errors import UserError
from launch.compose import compose, expand
from launch.pair import _plural, pairs


def test_chosen_rate_yields_to_the_command_line() -> None:
    chosen = compose(["recipe=grpo"])
    assert chosen.recipe.learning_rate == chosen.experiment.learning_rates["grpo"]
    assert compose(["recipe=grpo", "recipe.learning_rate=7e-6"]).recipe.learning_rate == 7e-6
    assert compose(["recipe=sft", "experiment.learning_rates.sft=3e-6"]).recipe.learning_rate == 3e-6


def test_keys_that_no_file_states_can_be_set() -> None:
    assert compose(["train.adam_beta2=0.95"]).train.adam_beta2 == 0.95


@pytest.mark.parametrize("argument", ["recipe", "=3", "train.steps=[1", "recipe=", "seed=${nothing}"])
def test_malformed_arguments(argument: str) -> None:
    with pytest.raises(UserError):
        compose([argument])


def test_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UserError, match="write recipe=grpo"):
        compose(["recipe=grop"])


def test_multirun_is_every_combination() -> None:
    jobs = expand(["experiment=embedded", "recipe=sft,grpo", "seed=0,1", "experiment.arms=[sft,grpo]"])
    assert [job[1:3] for job in jobs] == [
        ["recipe=sft", "seed=0"],
        ["recipe=sft", "seed=1"],
        ["recipe=grpo", "seed=0"],
        ["recipe=grpo", "seed=1"],
    ]
    assert jobs[0][3] == "experiment.arms=[sft,grpo]"


def test_pair_is_every_arm_with_every_seed() -> None:
    made = pairs([_plural("seeds=0,1"), "train.steps=3"])
    assert [(each.seed, each.recipe.name, each.train.steps) for each in made] == [
        (0, "sft", 3),
        (0, "grpo", 3),
        (1, "sft", 3),
        (1, "grpo", 3),
    ]
