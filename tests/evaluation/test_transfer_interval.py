"""Intervals of an index: against the t interval, against simulated truth, and where there is no number."""

import numpy as np
import pytest

from evaluation.inference import difference
from evaluation.transfer import transfer_index
from evaluation.transfer_interval import drawn, intervals

GROUPS = ("math", "other_reasoning", "non_reasoning")


def answers(rng, seeds, items, cells, of_seed=0.0):
    """One benchmark a cell (chance of the base, of a gain where it is wrong, of a loss where it is right) of a group;
    an item gains or loses by its own chance, and a seed shifts all of them alike."""
    luck = rng.normal(0, of_seed, (seeds, 1))
    base, tuned = {}, {}
    for group, own in cells.items():
        base[group], tuned[group] = {}, {}
        for number, (chance, gain, loss) in enumerate(own):
            left = (rng.random(items) < chance).astype(float)
            up, down = (rng.beta(5 * p, 5 * (1 - p), items) for p in (gain, loss))
            draw = rng.random((seeds, items))
            right = np.where(left > 0, draw >= np.clip(down - luck, 0, 1), draw < np.clip(up + luck, 0, 1))
            base[group][str(number)], tuned[group][str(number)] = left, right.astype(float)
    return base, tuned


def truth(cells, formula, scale):
    base = {g: {str(n): 100 * p for n, (p, _, _) in enumerate(own)} for g, own in cells.items()}
    tuned = {
        g: {str(n): 100 * (p + (1 - p) * up - p * down) for n, (p, up, down) in enumerate(own)}
        for g, own in cells.items()
    }
    return transfer_index(base, tuned, formula, scale)


CLEAR = {
    "math": [(0.3, 0.5, 0.05), (0.3, 0.5, 0.05), (0.5, 0.4, 0.05), (0.1, 0.3, 0.02)],
    "other_reasoning": [(0.4, 0.3, 0.1), (0.5, 0.25, 0.05), (0.3, 0.3, 0.1), (0.6, 0.3, 0.1)],
    "non_reasoning": [(0.7, 0.1, 0.3), (0.6, 0.1, 0.25), (0.8, 0.1, 0.35), (0.5, 0.1, 0.4)],
}
NOTHING_ELSE = CLEAR | {"other_reasoning": [(0.5, 0.05, 0.05)] * 4, "non_reasoning": [(0.95, 0.19, 0.01)] * 4}


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_linear_index_has_the_interval_of_the_mean_difference(seeds):
    """With every base score at one half, `relative` is twice the mean gain: its interval is `difference`'s."""
    rng = np.random.default_rng(1)
    half = np.tile([0.0, 1.0], 200)
    gaps = [0.3 * rng.random(400) + rng.normal(0, 0.05, (seeds, 1)) + rng.normal(0, 0.4, (seeds, 400)) for _ in "ab"]
    base = {"math": {name: half for name in "ab"}}
    found = drawn(base, {"math": {n: half + gap for n, gap in zip("ab", gaps, strict=True)}}, draws=20_000)["math"]
    expected = difference(gaps)
    low, high = np.percentile(found.gain.mean(axis=0) / 100, [2.5, 97.5])
    width = expected.high - expected.low
    if seeds == 1:
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.06 * width)
    else:  # what is put together of seeds and items differs a little
        assert (high - low) / width == pytest.approx(1, abs=0.12)
        assert (low + high) / 2 == pytest.approx(expected.difference, abs=0.05 * width)


def test_below_three_seeds_the_draws_are_of_these_checkpoints():
    rng = np.random.default_rng(2)
    base, tuned = answers(rng, 2, 60, CLEAR, of_seed=0.2)
    both, items = drawn(base, tuned, draws=200), drawn(base, tuned, over_seeds=False, draws=200)
    assert all(np.array_equal(both[group].gain, items[group].gain) for group in both)
    base, tuned = answers(rng, 3, 60, CLEAR, of_seed=0.2)
    wide, narrow = (intervals(drawn(base, tuned, over)).index["math"] for over in (True, False))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_no_number_where_math_may_not_have_moved():
    rng = np.random.default_rng(3)
    still = CLEAR | {"math": [(0.5, 0.02, 0.02)] * 2}
    found = intervals(drawn(*answers(rng, 3, 60, still)), scale="none")
    assert found.index["math"].low <= 0 <= found.index["math"].high
    assert found.ti["non_reasoning"].low is None and "may be zero" in found.ti["non_reasoning"].reason
    clear = intervals(drawn(*answers(rng, 3, 60, CLEAR)), scale="none").ti
    assert clear["non_reasoning"].low < clear["non_reasoning"].high < 0 < clear["other_reasoning"].low


def test_a_benchmark_without_a_changed_item_is_not_certain_to_stand_still():
    same = {"math": {"a": np.ones(100)}, "other_reasoning": {"b": np.zeros(100)}}
    found = intervals(drawn(same, same), scale="none").index["other_reasoning"]
    assert found.low < 0 < found.high
    assert found.high < np.sqrt(3.8)  # 0 changed of 100: fewer than 3.8 in 100 do, by the two-sided exact bound


def test_items_must_be_the_same():
    with pytest.raises(ValueError, match="a: 3 items of the base against 4"):
        drawn({"math": {"a": np.ones(3)}}, {"math": {"a": np.ones(4)}})


def covered(cells, seeds, of_seed, trials, formula="signed_root", scale="none", items=80):
    """Share of simulated experiments whose intervals hold the truth: (kind, group) -> share."""
    rng, expected = np.random.default_rng(7), truth(cells, formula, scale)
    held: dict[tuple[str, str], list[bool]] = {}
    for trial in range(trials):
        found = intervals(drawn(*answers(rng, seeds, items, cells, of_seed), seed=trial, draws=500), formula, scale)
        for kind, bounds, right in (("index", found.index, expected.index), ("ti", found.ti, expected.ti)):
            for group, own in bounds.items():
                if own.low is not None:
                    held.setdefault((kind, group), []).append(own.low <= right[group] <= own.high)
    return {key: float(np.mean(values)) for key, values in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "of_seed"), [(1, 0.0), (3, 0.03), (5, 0.03)])
@pytest.mark.parametrize("cells", [CLEAR, NOTHING_ELSE], ids=["clear", "nothing_else"])
def test_simulated_truth_lies_within_about_as_often_as_said(cells, seeds, of_seed):
    """Without sigma. 300 experiments: three Monte-Carlo errors are 3.8 points."""
    held = covered(cells, seeds, of_seed, 300)
    assert all(share >= 0.95 - 0.038 for (kind, _), share in held.items() if kind == "ti"), held
    assert min(held.values()) >= 0.87, held


@pytest.mark.slow
def test_the_relative_form_is_covered_as_said():
    assert min(covered(CLEAR, 3, 0.03, 300, "relative").values()) >= 0.95 - 0.038


@pytest.mark.slow
def test_what_does_not_hold_is_known():
    """Sigma of the model's own gains takes noise for spread: its indices are too small where gains hardly differ."""
    alike = CLEAR | {"non_reasoning": [(0.7, 0.05, loss) for loss in (0.1, 0.11, 0.12, 0.13)]}
    held = covered(alike, 1, 0.0, 100, scale="per_model")
    assert held["index", "non_reasoning"] < 0.85
