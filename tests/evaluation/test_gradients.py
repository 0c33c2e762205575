"""The indicators of gradient norms on curves whose values are known by hand."""

import pytest

from evaluation.gradients import NAMES, indicators, published


def test_a_falling_line():
    found = indicators([100.0 - step for step in range(100)] + [1e9] * 5)  # beyond 100 steps nothing counts
    assert found["early_slope"] == pytest.approx(-1) and found["oscillation"] == pytest.approx(1)
    assert found["half_time"] == 51 and found["total"] == 5050
    assert found["late_mean"] == 10.5 and found["late_variance"] == pytest.approx(35)
    assert found["decay"] == pytest.approx(10.5 / 90.5 - 1)


def test_a_norm_that_never_halves_has_no_half_time():
    found = indicators([2.0, 1.5] * 10)
    assert found["half_time"] is None and found["oscillation"] == 0.5 and found["decay"] == pytest.approx(0)
    assert set(found) == set(NAMES)


def test_a_short_run_has_none():
    with pytest.raises(ValueError, match="10 at least"):
        indicators([1.0] * 9)


def test_published_rows_agree_with_the_reading_of_their_names():
    for row in published().values():  # a total over 100 steps lies between the early and the late mean
        assert row["late_mean"] < row["total"] / 100 < row["late_mean"] / (1 + row["decay"])
