"""Estimators against brute force and against scipy."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from evaluation.statistics import (
    difference_interval,
    group_draws,
    interval,
    mean_interval,
    pass_at_k,
    resampled_means,
    wilson,
)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n):
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = [any(member < c for member in chosen) for chosen in combinations(range(n), k)]
            assert pass_at_k(n, c, k) == pytest.approx(np.mean(subsets, dtype=np.float64), abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 2, 5), (4, 5, 2), (4, -1, 2), (4, 2, 0), (-1, 0, 1), (0, 0, 1)])
def test_pass_at_k_refuses_what_has_no_unbiased_estimate(n, c, k):
    with pytest.raises(ValueError, match="pass_at_k"):
        pass_at_k(n, c, k)


def test_pass_at_k_is_stable_for_large_n():
    assert pass_at_k(100_000, 1, 1) == pytest.approx(1e-5, rel=1e-9)
    assert 0 <= pass_at_k(100_000, 50_000, 1_000) <= 1


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (3, 10), (57, 100), (1, 1), (0, 1), (999, 1000)])
def test_wilson_is_scipys(right, n):
    theirs = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_refuses_no_items():
    with pytest.raises(ValueError, match="n >= 1"):
        wilson(0, 0)


def test_bootstrap_is_seeded_and_paired():
    values = np.random.default_rng(1).random((2, 50))
    assert np.array_equal(resampled_means(values, seed=3), resampled_means(values, seed=3))
    assert np.allclose(resampled_means(values)[1] - resampled_means(values)[0], resampled_means(values[1] - values[0]))
    assert difference_interval([values[0]], [values[0] + 0.25]) == pytest.approx((0.25, 0.25))


def test_bootstrap_interval_holds_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(300):
        low, high = mean_interval((rng.random(80) < 0.4).astype(float), seed=trial)
        held += low <= 0.4 <= high
    assert 0.90 <= held / 300 <= 0.985


def test_group_interval_weighs_benchmarks_equally():
    rng = np.random.default_rng(0)
    small, large = np.ones(10), (rng.random(1000) < 0.5).astype(float)
    draws = group_draws([small, large])
    assert draws.mean() == pytest.approx((1 + large.mean()) / 2, abs=0.01)
    low, high = interval(draws)
    assert low < draws.mean() < high


def test_pairs_must_match():
    with pytest.raises(ValueError, match="pair the items"):
        difference_interval([np.ones(3)], [np.ones(4)])
