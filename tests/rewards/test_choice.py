import pytest

from rewards import verify

RIGHT = [
    "\\boxed{B}",
    "\\boxed{\\text{(B)}}",
    "(B)",
    "b",
    "B.",
    "answer: b",
    "The answer is **(B)**.",
    "I think (B) is right",
    "B) Paris",
    "So it must be B",
    "$B$",
]


@pytest.mark.parametrize("response", RIGHT)
def test_right(response):
    assert verify("choice", response, "B").outcome == "right"
    assert verify("choice", response, "(b)").outcome == "right"
    assert verify("choice", response, "c").outcome == "wrong"


def test_ambiguous_missing_and_bad():
    assert verify("choice", "(A) or (B)", "B").reason == "ambiguous"
    assert verify("choice", "either \\boxed{A or B}", "B").outcome == "wrong"
    assert verify("choice", "So it must be A", "A").outcome == "right"
    assert verify("choice", "A cat, so I say D", "D").outcome == "right"
    assert verify("choice", "no idea at all", "B").reason == "no_answer"
    assert verify("choice", "B", "Paris").reason == "bad_reference"
