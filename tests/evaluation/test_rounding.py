"""One rounding for sentence, table and figure: half to even of the decimal number, whatever the sums' last bits."""

import math

import pytest

from evaluation.inference import Estimate, words
from evaluation.report.page import points, signed
from evaluation.rounding import fixed


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(50.75, 1, "50.8"), (50.65, 1, "50.6"), (0.5, 0, "0"), (1.5, 0, "2"), (-0.04, 1, "0.0"), (12, 2, "12.00")],
)
def test_halves_go_to_the_even_digit_and_nothing_is_minus_zero(value, digits, text):
    for nearby in (value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf)):
        assert fixed(nearby, digits) == text


def test_a_sentence_and_the_table_round_alike():
    """A sentence has the mean of the gaps, a table the difference of two means: the same but for the last bits."""
    for gap in (-0.5075, math.nextafter(-0.5075, 0), math.nextafter(-0.5075, -1)):
        told = words("sft", "base", "math", Estimate(gap, gap - 0.05, gap + 0.05, 0.001, 3, True), 0.001)
        assert "lost 50.8 points" in told and signed(100 * gap) == "−50.8" and points(100 * -gap) == "50.8"
    assert signed(-0.04) == "+0.0" and fixed(math.nan) == "nan" and points(None) == "–"
