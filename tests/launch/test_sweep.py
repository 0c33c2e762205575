"""The rule that chooses learning rates, with a trainer that is a formula."""

import math

import pytest

from launch.compose import compose
from launch.sweep import Scores, _configuration, _yaml_float, best, markdown, search


def trainer(peak: float, calls: list[list[float]]):
    """Scores that are highest at the rate `peak`."""

    def train(rates: list[float]) -> Scores:
        calls.append(rates)
        return {rate: {"math": 90 - 10 * abs(math.log2(rate / peak)), "non_reasoning": 50.0} for rate in rates}

    return train


def test_best_inside_the_grid_needs_no_more() -> None:
    calls: list[list[float]] = []
    assert best(search([1e-5, 2e-5, 4e-5, 8e-5], trainer(4e-5, calls))) == 4e-5
    assert len(calls) == 1


def test_edge_extends_until_the_best_is_inside() -> None:
    calls: list[list[float]] = []
    scores = search([1e-5, 2e-5, 4e-5, 8e-5], trainer(1.6e-4, calls))
    assert best(scores) == 1.6e-4 and calls[1:] == [[1.6e-4], [3.2e-4]]


@pytest.mark.parametrize(("peak", "last"), [(1.0, 3.2e-4), (1e-9, 2.5e-6)])
def test_two_extensions_a_side_at_most(peak: float, last: float) -> None:
    calls: list[list[float]] = []
    scores = search([1e-5, 2e-5, 4e-5, 8e-5], trainer(peak, calls))
    assert len(calls) == 3 and best(scores) == last


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


def test_experiment_states_a_grid_for_every_arm() -> None:
    experiment = compose(["experiment=embedded"]).experiment
    for arm in experiment.arms:
        rates = experiment.sweep_rates[arm]
        steps = [round(b / a, 3) for a, b in zip(rates, rates[1:], strict=False)]
        assert len(rates) == 4 and len(set(steps)) == 1
