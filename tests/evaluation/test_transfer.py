"""The printed formula by hand and on published scores, its undefined cells, and who carries a gain."""

import math

import pytest

from evaluation.published import tables
from evaluation.transfer import PUBLISHED_SIGMA, carried, transfer_index


def scores(row):
    return tables()["scores"].scores(row)


def test_printed_formula_per_model():
    """The UniReason RL row gives 71.0 / 84.1 with the paper's own sigma."""
    ti = transfer_index(scores("Qwen3-14B-Base"), scores("UniReason RL")).ti
    assert (ti["other_reasoning"], ti["non_reasoning"]) == pytest.approx((71.0, 84.1), abs=0.05)


def test_version_one_on_the_version_two_tables():
    ti = transfer_index(scores("Qwen3-14B-Base"), scores("UniReason RL"), formula="relative").ti
    assert (ti["other_reasoning"], ti["non_reasoning"]) == pytest.approx((83.9, 29.3), abs=0.05)


BASE = {"math": {"a": 50.0, "b": 0.0}, "non_reasoning": {"c": 20.0, "d": 60.0}}
TUNED = {"math": {"a": 54.0, "b": 16.0}, "non_reasoning": {"c": 4.0, "d": 64.0}}


def test_by_hand():
    found = transfer_index(BASE, TUNED, scale="none")
    assert found.gain == {"math": {"a": 4.0, "b": 16.0}, "non_reasoning": {"c": -16.0, "d": 4.0}}
    assert found.index["math"] == pytest.approx(50 / 150 * 2 + 100 / 150 * 4)  # 10/3
    assert found.index["non_reasoning"] == pytest.approx(80 / 120 * -4 + 40 / 120 * 2)  # -2
    assert found.ti == {"non_reasoning": pytest.approx(-60.0)}
    printed = transfer_index(BASE, TUNED)  # population std: math 6, non 10
    assert printed.sigma == pytest.approx({"math": 6.0, "non_reasoning": 10.0})
    assert printed.ti["non_reasoning"] == pytest.approx(-60.0 * math.sqrt(6 / 10))


def test_undefined_cells_carry_a_reason():
    loss = transfer_index(BASE, BASE | {"math": {"a": 40.0, "b": 0.0}}, scale="none")
    assert loss.ti["non_reasoning"] is None and "not above zero" in loss.reason["non_reasoning"]
    equal = transfer_index(BASE, BASE | {"math": {"a": 60.0, "b": 10.0}})
    assert (
        equal.ti["non_reasoning"] is None
        and "sigma 0" in equal.reason["math"]
        and "sigma 0" in equal.reason["non_reasoning"]
    )
    relative = transfer_index(BASE, TUNED, formula="relative")
    assert relative.index["math"] is None and "scores 0 on b" in relative.reason["non_reasoning"]
    assert relative.index["non_reasoning"] == pytest.approx((-16 / 20 + 4 / 60) / 2)
    full = {"math": {"a": 100.0}, "non_reasoning": {"c": 10.0}}
    assert "100 on every" in transfer_index(full, full, scale="none").reason["math"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"formula": "other"}, "signed_root"),
        ({"scale": "other"}, "per_model"),
        ({"scale": {"math": 1.0}}, "non_reasoning"),
        ({"scale": {"math": 1.0, "non_reasoning": 0.0}}, "non_reasoning"),
        ({"tuned": {"math": TUNED["math"]}}, "same groups"),
        ({"tuned": TUNED | {"math": {"a": 1.0}}}, "must be the same"),
    ],
)
def test_refusals_name_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        transfer_index(**({"base": BASE, "tuned": TUNED} | change))


def test_the_fitted_scale_is_a_mapping_by_name():
    sides = scores("Qwen3-14B-Base"), scores("UniReason RL")
    named, mapped = (transfer_index(*sides, scale=scale) for scale in ("published", PUBLISHED_SIGMA))
    assert named == mapped and named.ti == pytest.approx({"other_reasoning": 82.3, "non_reasoning": 52.3}, abs=0.1)
    with pytest.raises(ValueError, match="no positive sigma for tools"):
        transfer_index(BASE | {"tools": {"e": 1.0}}, TUNED | {"tools": {"e": 2.0}}, scale="published")


def test_a_benchmark_that_carries_most_of_a_gain_is_named():
    gain = transfer_index(scores("Qwen3-14B-Base"), scores("UniReason think SFT")).gain["other_reasoning"]
    name, share = carried(gain)  # 13.3, -7.8, 57.9, -2.8: of what rose
    assert name == "acpbench" and share == pytest.approx(57.9 / (57.9 + 13.3))
    assert carried({"a": 3.0, "b": 3.0, "c": 3.0}) is None
    assert carried({"a": -9.0, "b": -1.0, "c": 2.0}) == ("a", 0.9)
    assert carried({"a": 9.0, "b": 1.0}) is None and carried({"a": 0.0, "b": 0.0, "c": 0.0}) is None
