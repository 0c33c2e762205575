"""The experiment on a real language model, and its form for two cores."""

from pathlib import Path

import pytest

import conf
from conf.files import read_json
from conf.schema import Configuration
from conf.sweeps import departures
from launch import look, machine
from launch.compose import compose
from launch.pair import pairs
from launch.sweep import _configuration

WITH, WITHOUT = "flags\t\t: fpu avx512_bf16 sse4_2\n", "flags\t\t: fpu avx512f sse4_2\n"


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(look.machine, "devices", list[str])
    monkeypatch.setattr(machine, "PROCESSOR", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


def test_all_arms_and_seeds_share_data_suites_and_budget() -> None:
    made = pairs(["experiment=smollm2"])
    assert [one.recipe.name for one in made] == 3 * ["sft", "rft", "grpo", "ppo"] and {one.seed for one in made} == {
        *range(3)
    }
    for one in made:
        assert one.data.source == "arithmetic" and one.data.num_fewshot == one.suite.num_fewshot == 3
        assert one.suite.collections == ["arithmetic", "procedural"]
        assert set(one.suites) == {"smollm2_reach", "offline", "skills"}
        assert one.suites["smollm2_reach"].samples == 64 and one.suites["smollm2_reach"].items <= 100
        assert one.budget.match == "prompts" and one.train == made[0].train
        assert len(one.drift.measures) == 5 and one.drift.reach_suite in one.suites


def test_the_pair_is_the_experiment_but_for_its_size() -> None:
    whole, pair = pairs(["experiment=smollm2"]), pairs(["experiment=smollm2_pair"])
    assert [(one.recipe.name, one.seed) for one in pair] == [("sft", 0), ("grpo", 0)]
    for one in pair:
        other = next(big for big in whole if big.recipe.name == one.recipe.name)
        assert one.model == other.model and one.data == other.data and set(one.suites) == set(other.suites)
        assert one.suite.items < other.suite.items and one.train.steps < other.train.steps
        assert one.suite.samples and one.hardware.device == "cpu"


def test_a_sweep_scores_as_many_items_as_it_is_told_to() -> None:
    run = _configuration(["experiment=smollm2_pair"], "grpo", 1e-5, 100)
    assert run.suite.items == run.experiment.sweep_items < compose(["experiment=smollm2_pair"]).suite.items
    plain = _configuration(["experiment=embedded"], "grpo", 1e-5, 100)
    assert plain.suite.items == compose(["experiment=embedded"]).suite.items


def test_the_stored_sweep_differs_from_the_pair_in_its_steps_alone(processor: Path) -> None:
    processor.write_text(WITH)
    found = read_json(Path(conf.__file__).parent / "experiment/smollm2_pair.sweep.json")
    for one in pairs(["experiment=smollm2_pair"]):
        departed = departures(found["settings"], one.recipe.name, one, {})
        assert [words.partition(" ")[0] for words in departed] == ["train.steps"]
        assert one.recipe.learning_rate == found["chosen"][one.recipe.name]


@pytest.mark.parametrize(
    ("text", "more", "became"),
    [
        (WITH, [], "bf16"),
        ("processor: 0\nFeatures\t: fp asimd bf16 i8mm\n", [], "bf16"),
        (WITHOUT, [], "no"),
        (WITH, ["hardware.zero_stage=2"], "no"),
        (WITH, ["model.dtype=bfloat16", "model.allow_pure_bfloat16=true"], "no"),
        (WITHOUT, ["hardware=gpu1", "hardware.mixed_precision=auto"], "bf16"),
        (WITHOUT, ["hardware.mixed_precision=bf16"], "bf16"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(text: str, more: list[str], became: str, processor: Path) -> None:
    processor.write_text(text)
    assert compose(["experiment=smollm2_pair", *more]).hardware.mixed_precision == became


def test_a_processor_that_does_not_tell_has_none(processor: Path) -> None:
    assert _precision(["experiment=smollm2_pair"]) == "no"


def _precision(given: list[str]) -> str:
    found: Configuration = compose(given)
    return found.hardware.mixed_precision
