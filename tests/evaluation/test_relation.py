"""Fits and correlations against numpy and scipy, and intervals that know that points of one run belong together."""

import numpy as np
import pytest
from scipy import stats

from evaluation.relation import POINTS, RUNS, relation, within

RNG = np.random.default_rng(3)
X = RNG.uniform(0.1, 2.0, 24)
Y = 3.0 * X + 1.5 * X**2 + RNG.normal(0, 0.6, 24)
RUNS_OF = [f"run{n // 3}" for n in range(24)]


def test_fits_go_through_the_origin():
    found = relation(X, Y, RUNS_OF)
    assert found["linear_a"]["value"] == pytest.approx((X @ Y) / (X @ X))
    normal = np.linalg.solve(
        [[(X**2).sum(), (X**3).sum()], [(X**3).sum(), (X**4).sum()]], [(X * Y).sum(), (X**2 * Y).sum()]
    )
    assert [found[f"quadratic_{letter}"]["value"] for letter in "ab"] == pytest.approx(normal.tolist())
    left = Y - normal[0] * X - normal[1] * X**2
    assert found["quadratic_r2"]["value"] == pytest.approx(1 - (left**2).sum() / ((Y - Y.mean()) ** 2).sum())
    assert found["quadratic_r2"]["value"] > found["linear_r2"]["value"]
    assert found["pearson"]["value"] == pytest.approx(stats.pearsonr(X, Y).statistic)
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(X, Y).statistic)
    for cell in (cell for cell in found.values() if isinstance(cell, dict)):
        assert cell["low"] < cell["value"] < cell["high"]


def test_points_repeated_within_their_runs_tell_nothing_new():
    once = relation(X, Y, RUNS_OF)
    again = relation(np.tile(X, 4), np.tile(Y, 4), RUNS_OF * 4)
    for name in ("linear_a", "quadratic_r2", "pearson", "spearman"):
        assert [again[name][key] for key in ("value", "low", "high")] == pytest.approx(
            [once[name][key] for key in ("value", "low", "high")]
        )


def test_an_r2_below_zero_is_shown():
    assert relation([1, 1.1, 1.2, 1.3], [9, 3, 2, 1], "abcd")["linear_r2"]["value"] < 0


def test_what_is_too_little_is_said():
    assert "too few" in relation(X[: POINTS - 1], Y[: POINTS - 1], "abc")["reason"]
    assert "same place" in relation([1.0] * 5, [1, 2, 3, 4, 5], "abcde")["reason"]
    few = relation(X[: 3 * (RUNS - 1)], Y[: 3 * (RUNS - 1)], RUNS_OF[: 3 * (RUNS - 1)])
    assert few["pearson"]["low"] is None and few["pearson"]["value"] > 0


def test_within_arms_a_difference_between_arms_is_no_relation():
    x, y = [1.0, 1.2, 1.4, 5.0, 5.2, 5.4], [3.0, 2.0, 1.0, 9.0, 8.0, 7.0]
    assert relation(x, y, "abcdef")["pearson"]["value"] > 0.9
    assert within(x, y, ["one"] * 3 + ["other"] * 3, "abcdef")["pearson"]["value"] == pytest.approx(-1)
    assert "two arms" in within(x, y, ["one"] * 6, "abcdef")["reason"]
    assert "differ" in within([1, 1, 2, 2], [1, 1, 2, 2], ["a", "a", "b", "b"], "abcd")["reason"]
