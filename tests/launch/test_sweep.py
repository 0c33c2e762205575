"""The rule that chooses learning rates, with a trainer that is a formula."""

import math
from pathlib import Path

import pytest

from conf.files import read_json
from conf.sweeps import departures
from launch.compose import compose
from launch.sweep import Point, _configuration, _longest_first, _yaml_float, best, beyond, main, markdown, search

ROOT = Path(__file__).parent.parent.parent

GRID = [1e-5, 2e-5, 4e-5, 8e-5]


def trainer(peaks: dict[str, float], calls: list[list[Point]]):
    """Scores that are highest at the rate `peaks[arm]`."""

    def train(points: list[Point]) -> dict[Point, dict[str, float]]:
        calls.append(points)
        return {
            (arm, rate): {"math": 90 - 10 * abs(math.log2(rate / peaks[arm])), "non_reasoning": 50.0}
            for arm, rate in points
        }

    return train


def test_best_inside_the_grid_needs_no_more() -> None:
    calls: list[list[Point]] = []
    assert best(search({"a": GRID}, trainer({"a": 4e-5}, calls))["a"]) == 4e-5
    assert len(calls) == 1


def test_edge_extends_until_the_best_is_inside() -> None:
    calls: list[list[Point]] = []
    scores = search({"a": GRID}, trainer({"a": 1.6e-4}, calls))["a"]
    assert best(scores) == 1.6e-4 and calls[1:] == [[("a", 1.6e-4)], [("a", 3.2e-4)]]


@pytest.mark.parametrize(("peak", "last"), [(1.0, 3.2e-4), (1e-9, 2.5e-6)])
def test_two_extensions_a_side_at_most(peak: float, last: float) -> None:
    calls: list[list[Point]] = []
    scores = search({"a": GRID}, trainer({"a": peak}, calls))["a"]
    assert len(calls) == 3 and best(scores) == last


def test_all_arms_are_asked_for_at_once_and_only_those_at_an_edge_again() -> None:
    calls: list[list[Point]] = []
    search({"a": GRID, "b": [1e-4, 2e-4], "c": GRID}, trainer({"a": 2e-5, "b": 4e-4, "c": 5e-6}, calls))
    assert calls[0] == [("a", r) for r in GRID] + [("b", 1e-4), ("b", 2e-4)] + [("c", r) for r in GRID]
    assert calls[1:] == [[("b", 4e-4), ("c", 5e-6)], [("b", 8e-4), ("c", 2.5e-6)]]


def test_one_rate_alone_is_taken() -> None:
    assert beyond([1e-5], {1e-5: {"math": 3.0}}) == []


def test_the_longest_runs_start_first_so_that_the_pool_ends_together() -> None:
    given = [_configuration([], arm, 1e-4, 100) for arm in ("sft", "grpo", "ppo")]
    assert [one.recipe.name for one in _longest_first(given)] == ["ppo-lr0.0001", "grpo-lr0.0001", "sft-lr0.0001"]


def test_of_equals_the_lower_rate() -> None:
    assert best({2e-5: {"math": 70.0}, 1e-5: {"math": 70.0}, 4e-5: {"math": 60.0}}) == 1e-5


def test_sweep_runs_on_validation_in_its_own_folder() -> None:
    made = _configuration(["train.steps=6"], "grpo", 2e-4, 100)
    assert (made.suite.split, made.experiment.name, made.recipe.name) == (
        "validation",
        "embedded-sweep",
        "grpo-lr0.0002",
    )
    assert made.recipe.learning_rate == 2e-4 and made.train.save_steps == 6 and made.seed == 100


def test_table_shows_every_rate_and_what_it_costs() -> None:
    text = markdown({"sft": {1e-5: {"math": 60.0, "rest": 40.0}}}, {"math": 50.0, "rest": 45.0}, {"sft": 1e-5})
    assert "| sft | 1e-05 | 60.0 (+10.0) | 40.0 (-5.0) | yes |" in text


def test_printed_rate_reads_back_as_a_float() -> None:
    import yaml

    assert all(yaml.safe_load(_yaml_float(rate)) == rate for rate in (5e-5, 1.25e-5, 0.0004))


@pytest.mark.parametrize("name", ["embedded", "grid"])
def test_experiment_states_a_grid_for_every_arm(name: str) -> None:
    experiment = compose([f"experiment={name}"]).experiment
    assert set(experiment.sweep_rates) == set(experiment.arms)
    for arm in experiment.arms:
        rates = experiment.sweep_rates[arm]
        steps = [round(b / a, 3) for a, b in zip(rates, rates[1:], strict=False)]
        assert len(rates) == 4 and len(set(steps)) == 1


@pytest.mark.slow
def test_a_sweep_for_real_is_found_done_again_and_states_its_settings(tmp_path: Path) -> None:
    small = ["train.steps=2", "train.prompts_per_step=2", "recipe.num_generations=2", "data.targets_per_prompt=2"]
    small += ["data.rows=64", "suite.benchmarks=[arithmetic_3]", "suite.items=4", f"runs={tmp_path}"]
    given = [*small, "experiment.arms=[sft,offpolicy_rl]", "data.teacher_mistakes=0.5", "experiment.name=small"]
    given += ["experiment.sweep_rates={sft:[1e-4],offpolicy_rl:[1e-4]}"]
    main(given)
    file = tmp_path / "small-sweep/sweep.json"
    before, runs = file.read_bytes(), {path: path.stat().st_mtime_ns for path in tmp_path.rglob("scores.json")}
    main(given)
    assert file.read_bytes() == before and len(runs) == 6  # base and two arms, each on validation and test
    assert all(path.stat().st_mtime_ns == time for path, time in runs.items())
    found = read_json(file)
    lock = read_json(tmp_path / "small-sweep/lock.json")
    one = compose([*given, "recipe=offpolicy_rl", "seed=0"])
    assert found["chosen"] == {"sft": 1e-4, "offpolicy_rl": 1e-4}
    assert departures(found["settings"], "offpolicy_rl", one, lock) == []
    other = compose([*given, "recipe=offpolicy_rl", "seed=0", "train.prompts_per_step=4"])
    assert departures(found["settings"], "offpolicy_rl", other, lock) == ["train.prompts_per_step (2 there, 4 here)"]


@pytest.mark.parametrize("name", ["embedded", "grid"])
def test_rates_that_came_with_the_repository_were_chosen_under_its_settings(name: str) -> None:
    found = read_json(ROOT / f"conf/experiment/{name}.sweep.json")
    for arm, rate in found["chosen"].items():
        one = compose([f"experiment={name}", f"recipe={arm}", "drift.measures=[tokens]", "hooks.functions=[a.b]"])
        assert departures(found["settings"], arm, one, {}) == [] and one.recipe.learning_rate == rate
