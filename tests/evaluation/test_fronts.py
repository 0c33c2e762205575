"""Fronts against brute force, retention by hand, and intervals against a known truth."""

import numpy as np
import pytest

from evaluation import fronts
from evaluation.fronts import Coordinates
from evaluation.inference import difference
from evaluation.report import fronts as told
from evaluation.statistics import DRAWS


def plain(points: list[tuple[float, float]]) -> Coordinates:
    """Without resamples, one measure kept."""
    table = np.array(points, float)
    return Coordinates(table[:, :1], table[None, :, 1:])


def at(points: list[tuple[float, float]], gains: list[float], read=None) -> list[float]:
    return fronts.along(plain(points), plain(read or points), gains)[0, :, 0].tolist()


def test_the_front_is_what_no_other_point_beats() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = rng.integers(0, 6, (rng.integers(1, 12), 2)).astype(float)
        slow = [
            not any((q >= p).all() and (q > p).any() for q in points)  # as much of both, and more of one
            for p in points
        ]
        assert fronts.pareto(points[:, 0], points[:, 1]).tolist() == slow
        below = [max(q[1] for q in points if q[0] >= p[0]) - p[1] for p in points]
        assert fronts.near(points[:, 0], points[:, 1], 2.0).tolist() == [gap <= 2 for gap in below]


def test_retention_is_linear_between_neighbours_and_never_extrapolated() -> None:
    points = [(0, 0), (10, -2), (5, -9), (20, -10)]  # the third is beaten by the second
    assert at(points, [0, 5, 10, 15, 20]) == [0, -1, -2, -6, -10]
    assert np.isnan(at(points, [20.1])).all()
    lifted = [(0, 0), (10, 1), (20, -1)]  # the base itself is beaten: at any gain up to 10 as much as at 10 is kept
    assert at(lifted, [-3, 0, 4, 10, 15]) == [1, 1, 1, 1, 0]
    assert at([(0, 0)], [0, 1])[0] == 0 and np.isnan(at([(0, 0)], [0, 1])[1])


def test_points_are_chosen_on_one_split_and_read_on_the_other() -> None:
    chosen = [(0, 0), (10, -2), (9, -3), (20, -10)]
    read = [(0, 0), (8, -4), (12, 5), (18, -12)]  # the third looks good here, and was not chosen
    assert at(chosen, [4, 8, 13], read) == [-2, -4, -8]
    found = fronts.reach(plain(chosen), plain(read))
    assert found == 18


def test_each_resample_is_its_own_front() -> None:
    """Against a loop over the draws that interpolates with numpy."""
    rng = np.random.default_rng(1)
    gain, kept, gains = rng.normal(10, 6, (7, 40)), rng.normal(-5, 4, (2, 7, 40)), [2.0, 8.0, 14.0]
    fast = fronts.along(Coordinates(gain, kept), Coordinates(gain, kept), gains)
    for d in range(40):
        own = [
            p for p in range(7) if not any(gain[q, d] > gain[p, d] and kept[0, q, d] > kept[0, p, d] for q in range(7))
        ]
        own.sort(key=lambda p: gain[p, d])
        for k in range(2):
            slow = np.interp(gains, gain[own, d], kept[k, own, d], right=np.nan)
            np.testing.assert_allclose(fast[k, :, d], slow)


def outcomes(rng, chances: np.ndarray, items: int) -> np.ndarray:
    """Right or wrong, [P, items]; items differ in difficulty, the same for every point."""
    hard = rng.normal(0, 0.12, items)
    return (rng.random((len(chances), items)) < np.clip(chances[:, None] + hard, 0, 1)).astype(float)


def test_an_estimate_of_a_plain_difference_is_the_one_of_the_other_tables() -> None:
    """Where a statistic is a mean over items its interval is that of `inference.difference`, but for the resampling."""
    rng = np.random.default_rng(2)
    for seeds in (1, 4):
        gaps = rng.normal(0.1, 0.4, (seeds, 300)) + rng.normal(0, 0.3, 300) + rng.normal(0, 0.05, (seeds, 1))
        values = np.concatenate([gaps.mean(1)[:, None], fronts.group_draws([gaps])], axis=1)
        own, other = fronts.estimate(values), difference([gaps])
        assert own is not None and own.over_seeds == other.over_seeds == (seeds == 4)
        assert own.difference == pytest.approx(other.difference)
        assert own.high - own.low == pytest.approx(other.high - other.low, rel=0.06)


def test_a_gain_that_some_resamples_do_not_reach_has_no_estimate() -> None:
    values = np.zeros((1, 1 + DRAWS))
    values[0, 1 : 1 + DRAWS // 25] = np.nan  # 4%
    assert fronts.estimate(values) is not None
    values[0, 1 : 1 + DRAWS // 15] = np.nan
    assert fronts.estimate(values) is None
    values[0] = 0.0
    values[0, 0] = np.nan
    assert fronts.estimate(values) is None


def test_the_area_is_summed_where_both_reach() -> None:
    one, other = np.zeros((1, 3, 1)), np.array([[[1.0], [3.0], [np.nan]]])
    assert fronts.mean_between(one, other).tolist() == [[2.0]]


def sweep(points: dict[str, list[tuple[float, float]]], items: int, rng, splits=("validation", "test")) -> dict:
    """A sweep.json whose models have these true gains and changes, in shares; base 0.4 and 0.8."""
    rows, bases = [], {}
    for split in splits:
        chances = [(0.4, 0.8), *((0.4 + g, 0.8 + k) for own in points.values() for g, k in own)]
        tables = [outcomes(rng, np.array([c[i] for c in chances]), items) for i in (0, 1)]
        letters = [["".join("01"[int(v)] for v in row) for row in table] for table in tables]
        rows.append([{"items": {"m": m, "o": o}, "groups": {}} for m, o in zip(*letters, strict=True)])
        bases[split] = rows[-1].pop(0)
    names = [(arm, n) for arm, own in points.items() for n in range(len(own))]
    listed = [
        {
            "arm": arm,
            "learning_rate": 1e-5 * (n + 1),
            "seed": 0,
            "step": 1,
            "spent": {},
            "splits": dict(zip(splits, own, strict=True)),
        }
        for (arm, n), own in zip(names, zip(*rows, strict=True), strict=True)
    ]
    return {"benchmarks": {"m": "math", "o": "other"}, "bases": bases, "points": listed}


TRUE = {
    "a": [(0.05, -0.04), (0.15, -0.10), (0.25, -0.20), (0.20, -0.30)],
    "b": [(0.10, -0.01), (0.20, -0.02), (0.30, -0.06), (0.15, -0.15)],
}


def test_a_unscorable_item_leaves_every_point() -> None:
    made = sweep(TRUE, 50, np.random.default_rng(0))
    letters = made["points"][3]["splits"]["test"]["items"]
    letters["m"] = "-" + letters["m"][1:]
    found = told.read(made)
    row = made["points"][0]["splits"]["test"]["items"]["m"][1:].count("1")
    base = made["bases"]["test"]["items"]["m"][1:].count("1")
    assert found.read_on["a", 0].gain_PD[1, 0] == pytest.approx(100 * (row - base) / 49)


def test_arms_without_a_common_gain_are_not_compared() -> None:
    made = sweep({"a": [(-0.3, -0.1)], "b": [(0.3, 0.0)]}, 100, np.random.default_rng(0))
    found = told.read(made)
    rows = told._between(found, "a", "b", [5, 10])
    said = told._verdicts(found, [("a", "b")], rows)[0]["sentence"]
    assert "No stated math gain" in said and not [row for row in rows if row["gain"] is not None]


@pytest.mark.slow
@pytest.mark.parametrize("splits", [("validation", "test")])
def test_intervals_at_matched_gain_cover_the_truth(splits) -> None:
    """The difference of two fronts at a gain of 12 points: at least 95% of 150 intervals, within 3 standard errors.

    They cover about 98% here: a resample chooses its front anew among points that have moved twice.

    A sweep whose fronts do not reach that far says nothing of it, and is not counted.
    """
    truth = at([(0, 0), *((100 * g, 100 * k) for g, k in TRUE["b"])], [12])[0]
    truth -= at([(0, 0), *((100 * g, 100 * k) for g, k in TRUE["a"])], [12])[0]
    covered, errors = [], []
    for number in range(150):
        found = told.read(sweep(TRUE, 400, np.random.default_rng(number), splits))
        rows = [one for one in told._between(found, "a", "b", [12]) if one["of"] == told.REST and one["gain"] == 12]
        covered += [row["low"] <= truth <= row["high"] for row in rows]
        errors += [row["difference"] - truth for row in rows]
    assert len(covered) > 140
    assert np.mean(covered) >= 0.95 - 3 * (0.95 * 0.05 / len(covered)) ** 0.5
    assert abs(np.mean(errors)) < 1.5  # points
