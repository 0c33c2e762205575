"""A gate fails where an interval says so, and where nothing was measured; what is no condition is refused by name."""

import pytest

from conf.errors import UserError
from evaluation.report.gate import Condition, judge, names_of, parse

NAMES = ["math", "non_reasoning", "coqa"]


def results(low, high, model="sft"):
    difference = None if low is None else (low + high) / 2
    row = {"model": model, "against": "base", "name": "non_reasoning", "difference": difference, "low": low}
    other = {**row, "against": "grpo", "low": -50.0, "high": -40.0}
    return {
        "arms": {model: {}},
        "gains": {model: {"groups": {"math": {"greedy": {"difference": 5.0}}}, "benchmarks": {}}},
        "verdicts": [other, {**row, "high": high, "seeds": 1, "over_seeds": False}],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("non_reasoning < -3", [("non_reasoning", "<", -3.0)]),
        (
            "non_reasoning<-3;math < 0.5 , coqa > 1e1;",
            [("non_reasoning", "<", -3), ("math", "<", 0.5), ("coqa", ">", 10)],
        ),
    ],
)
def test_conditions_are_read_as_they_are_written(text, expected):
    assert [tuple(one) for one in parse(text, NAMES)] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("non_resoning < -3", "write non_reasoning"),
        ("zzz < 1", "choose among math, non_reasoning, coqa"),
        ("math", "NAME < POINTS"),
        ("math < ", "NAME < POINTS"),
        ("math << 3", "NAME < POINTS"),
        ("math < nan", "NAME < POINTS"),
        ("math < -inf", "NAME < POINTS"),
        ("math <= 3", "NAME < POINTS"),
        ("< 3", "NAME < POINTS"),
        ("math < __import__('os')", "NAME < POINTS"),
        (" ; ,", "no condition"),
    ],
)
def test_what_is_no_condition_is_a_users_error(text, said):
    with pytest.raises(UserError, match=r"gate\.fail_if") as refused:
        parse(text, NAMES)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("sign", "low", "high", "verdict"),
    [
        ("<", -9.0, -3.1, "fails"),
        ("<", -9.0, -3.0, "unsure"),  # the interval reaches the bound
        ("<", -3.0, 1.0, "passes"),
        ("<", -3.1, 5.0, "unsure"),
        (">", -2.9, 5.0, "fails"),
        (">", -9.0, -3.0, "passes"),
        (">", -9.0, 0.0, "unsure"),
        ("<", None, None, "not measured"),
    ],
)
def test_only_a_whole_interval_beyond_the_bound_fails_unless_the_unsure_do(sign, low, high, verdict):
    condition = [Condition("non_reasoning", sign, -3.0)]
    found, strict = (judge(results(low, high), condition, unsure) for unsure in (False, True))
    assert [row["verdict"] for row in found["rows"]] == [verdict] == [row["verdict"] for row in strict["rows"]]
    assert found["failed"] == (verdict in ("fails", "not measured"))
    assert strict["failed"] == (verdict != "passes")


def test_a_model_without_the_benchmark_fails_with_the_reason_and_others_are_judged():
    found = judge(results(1.0, 2.0), parse("math < -5; non_reasoning < 0", NAMES))
    assert [row["verdict"] for row in found["rows"]] == ["not measured", "passes"] and found["failed"]
    assert found["rows"][0]["difference"] == 5.0 and "so it fails" in found["rows"][0]["sentence"]
    assert found["fail_if"] == "math < -5; non_reasoning < 0"


def test_missing_benchmarks_and_their_groups_have_names():
    missing = [{"group": "math", "benchmark": "aime24"}, {"group": None, "benchmark": "odd"}]
    assert names_of({"groups": ["other"], "benchmarks": {"gpqa": "other"}, "missing": missing}) == [
        *("other", "gpqa", "math", "aime24", "odd")
    ]
