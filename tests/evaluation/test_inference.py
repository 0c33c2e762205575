"""Intervals against simulated truth, tests against scipy and brute force, words that say what was found."""

from itertools import permutations
from math import comb

import numpy as np
import pytest

from evaluation.inference import Estimate, difference, holm, mcnemar, words

TRIALS = 1000


def simulated(rng, seeds, sizes, truth=0.0, of_seed=0.03, of_item=0.3, noise=0.3):
    """Paired differences with a seed's own effect (shared by benchmarks), an item's, and what is left."""
    own = rng.normal(0, of_seed, seeds)[:, None]
    return [truth + own + rng.normal(0, of_item, items) + rng.normal(0, noise, (seeds, items)) for items in sizes]


@pytest.mark.parametrize(
    ("seeds", "sizes", "of_seed"),
    [(3, [100], 0.03), (3, [60, 100, 40], 0.05), (5, [100, 100], 0.02), (3, [30], 0.0)],
)
def test_intervals_over_seeds_and_items_hold_the_truth_as_often_as_they_say(seeds, sizes, of_seed):
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(TRIALS):
        found = difference(simulated(rng, seeds, sizes, 0.1, of_seed))
        held += found.low <= 0.1 <= found.high
    assert 0.935 <= held / TRIALS <= 0.985


def test_a_percentile_bootstrap_of_three_seeds_holds_it_far_less_often():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(TRIALS):
        means = rng.normal(0.1, 0.05, 3)
        draws = rng.choice(means, (1000, 3)).mean(axis=1)
        low, high = np.percentile(draws, [2.5, 97.5])
        held += low <= 0.1 <= high
    assert held / TRIALS < 0.8


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_pair_without_difference_is_seldom_called_different(seeds):
    """Two arms drawn from one law: right or wrong by the item's own difficulty and the seed's luck."""
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(TRIALS):
        hard = rng.beta(1, 1, 120)
        luck = rng.normal(0, 0.04 if seeds > 1 else 0.0, (2, seeds, 1))
        answers = rng.random((2, seeds, 120)) < np.clip(hard + luck, 0, 1)
        found = difference([answers[0].astype(float) - answers[1]])
        called += not found.low <= 0 <= found.high
    assert called / TRIALS <= 0.065


def test_below_three_seeds_the_claim_is_over_items_alone():
    rng = np.random.default_rng(2)
    gaps = simulated(rng, 2, [50], of_seed=0.5)[0]
    two, one = difference([gaps]), difference([gaps.mean(axis=0, keepdims=True)])
    assert not two.over_seeds and (two.low, two.high) == pytest.approx((one.low, one.high))
    assert difference([np.vstack([gaps, gaps[:1]])]).over_seeds


def test_one_benchmark_and_one_seed_is_the_paired_t_test():
    from scipy.stats import ttest_1samp

    gaps = np.random.default_rng(8).normal(0.1, 1, (1, 40))
    theirs = ttest_1samp(gaps[0], 0)
    found = difference([gaps])
    assert found.p == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()))


def test_what_never_varies_has_no_width():
    assert difference([np.zeros((3, 5))]) == Estimate(0, 0, 0, 1.0, 3, True)
    assert difference([np.ones((3, 5))]).p == 0


@pytest.mark.parametrize("items", [20, 100, 1000])
def test_answers_that_all_stood_still_may_yet_move(items):
    """Nothing changed of n: the exact 95% bound of what changes one way is 1 - 0.025^(1/n)."""
    found = difference([np.zeros((3, items))], graded=True)
    assert found.p == 1 and found.low == -found.high and found.difference == 0
    assert 0.4 * (1 - 0.025 ** (1 / items)) < found.high < 1 - 0.025 ** (1 / items)
    assert difference([np.ones((1, items))], graded=True).high == 1.0
    varied = [np.random.default_rng(4).integers(-1, 2, (3, items)).astype(float)]
    assert difference(varied, graded=True) == difference(varied)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_suite_of_two_equal_arms_is_seldom_said_to_differ(seeds):
    """The whole way of a sentence: groups of benchmarks of very different difficulty, Holm over them, words."""
    rng, said = np.random.default_rng(12), 0
    for _ in range(TRIALS):
        luck = rng.normal(0, 0.03 if seeds > 1 else 0.0, (2, seeds, 1))
        groups = {}
        for group, levels in {"math": (0.3, 0.6), "other": (0.5, 0.9), "non": (0.97, 0.7)}.items():
            own = []
            for level in levels:
                hard = rng.beta(4 * level, 4 * (1 - level), 60)
                answers = rng.random((2, seeds, 60)) < np.clip(hard + luck, 0, 1)
                own.append(answers[0].astype(float) - answers[1])
            groups[group] = difference(own, graded=True)
        adjusted = holm({name: one.p for name, one in groups.items()})
        said += any("not shown" not in words("a", "b", name, one, adjusted[name]) for name, one in groups.items())
    assert said / TRIALS <= 0.065


@pytest.mark.slow
def test_the_paired_bootstrap_over_items_holds_the_truth_as_often_as_it_says():
    from evaluation.statistics import difference_interval

    rng, held = np.random.default_rng(21), 0
    for trial in range(TRIALS):
        base = [(rng.random(80) < chance).astype(float) for chance in (0.3, 0.6, 0.8)]
        tuned = [np.where(rng.random(80) < 0.2, 1.0, one) for one in base]
        low, high = difference_interval(base, tuned, seed=trial % 8)
        held += low <= 0.2 * (0.7 + 0.4 + 0.2) / 3 <= high
    assert 0.93 <= held / TRIALS <= 0.97


def test_wilson_holds_the_share_about_as_often_as_it_says():
    from scipy.stats import binom

    from evaluation.statistics import wilson

    for n, share in ((30, 0.1), (100, 0.5), (100, 0.97), (500, 0.3)):
        bounds = [wilson(right, n) for right in range(n + 1)]
        held = sum(binom.pmf(k, n, share) for k, (low, high) in enumerate(bounds) if low <= share <= high)
        assert 0.92 <= held <= 0.985


def test_unequal_seeds_are_refused():
    with pytest.raises(ValueError, match="same seeds"):
        difference([np.zeros((3, 5)), np.zeros((2, 5))])


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 0), (3, 9), (20, 20), (1, 0)])
def test_mcnemar_is_the_sum_of_outcomes_no_likelier(gained, lost):
    n = gained + lost
    chances = [comb(n, k) / 2**n for k in range(n + 1)]
    assert mcnemar(gained, lost) == pytest.approx(sum(c for c in chances if c <= chances[gained] * (1 + 1e-9)))


def test_holm_is_the_step_down_rule():
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(p) == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    for order in permutations(p):
        assert holm({name: p[name] for name in order}) == pytest.approx(holm(p))
    assert holm({}) == {}


def test_words_say_direction_size_interval_and_seeds():
    lost = Estimate(-0.12, -0.17, -0.07, 0.001, 3, True)
    assert words("sft", "base", "coqa", lost, 0.01) == (
        "sft lost 12.0 points on coqa (95% interval 7.0 to 17.0, 3 seeds)."
    )
    assert "of these checkpoints only" in words("sft", "grpo", "coqa", lost._replace(seeds=1, over_seeds=False), 0.01)
    assert "grpo stands 12.0 points above sft on x" in words(
        "grpo", "sft", "x", Estimate(0.12, 0.07, 0.17, 0.001, 3, True), 0.01
    )
    assert "not shown to differ" in words("sft", "base", "coqa", lost, 0.2)
