"""The published pair as a configuration, and hardware=any: what is composed without a network and without a GPU."""

import pytest

from conf import freeze
from launch import machine
from launch.compose import compose

PAIR = "experiment=qwen3_14b_math"


@pytest.fixture
def two_h100s(monkeypatch):
    monkeypatch.setattr(machine, "devices", lambda: ["NVIDIA H100 80GB HBM3"] * 2)
    monkeypatch.setattr(machine, "device_memory_gib", lambda: 79.65)


def test_the_published_settings():
    """Huan et al. 2025, section A.3.1."""
    sft, grpo = compose([PAIR, "recipe=sft"]), compose([PAIR, "recipe=grpo"])
    assert sft.model.path == grpo.model.path == "Qwen/Qwen3-14B-Base"
    assert (sft.recipe.learning_rate, grpo.recipe.learning_rate) == (5e-5, 1e-6)
    assert sft.train.steps * sft.train.prompts_per_step == 71_680
    assert (sft.responses_per_prompt, grpo.responses_per_prompt) == (1, 16)
    assert (sft.updates_per_step, grpo.updates_per_step) == (1, 4)
    assert (grpo.recipe.epsilon, grpo.recipe.epsilon_high, grpo.recipe.beta) == (0.22, 0.28, 0)
    assert grpo.data.max_prompt_length + grpo.data.max_completion_length == 16384


def test_the_published_pair_is_controlled():
    assert freeze.confounds(compose([PAIR, "recipe=sft"]), compose([PAIR, "recipe=grpo"])) == []


def test_what_an_experiment_sets_of_one_recipe_no_other_has():
    assert compose([PAIR, "recipe=gspo"]).recipe.epsilon == compose(["recipe=gspo"]).recipe.epsilon
    assert compose([PAIR, "recipe=grpo", "recipe.epsilon=0.1"]).recipe.epsilon == 0.1
    assert compose([PAIR, "recipe=grpo", "recipe.learning_rate=3e-6"]).recipe.learning_rate == 3e-6


def test_any_becomes_what_is_there(monkeypatch, two_h100s):
    found = compose(["hardware=any", "hardware.threads=3"]).hardware
    assert (found.name, found.processes, found.device_memory_gib, found.threads) == ("gpu8", 2, 79.7, 3)
    assert found.peak_tflops == 989 and found.price_per_device_hour == 0
    assert compose([PAIR, "hardware=any", "hardware.processes=1"]).hardware.processes == 1
    monkeypatch.setattr(machine, "devices", lambda: ["Some GPU"])
    found = compose(["hardware=any"]).hardware
    assert (found.name, found.processes, found.peak_tflops) == ("gpu1", 1, 0)
    monkeypatch.setattr(machine, "devices", lambda: [])
    assert compose(["hardware=any"]).hardware == compose([]).hardware
