"""The printed formula by hand, its undefined cells, and the rows it has to reproduce (papers.md 1.1 and 1.4)."""

import math

import numpy as np
import pytest

from evaluation.transfer import transfer_index, transfer_interval

GROUPS = ("math", "other_reasoning", "non_reasoning")
# Tables 9-11 of arXiv 2507.00432v2:
# AIME24 AIME25 MATH500 Olympiad | GPQA LCB2 ACPBench HeadQA | CoQA MC-TACO IFEval HaluEval
ROWS = {
    "Qwen2.5-1.5B-Base": "0.0 0.0 27.4 6.6 2.5 0.4 8.2 28.2 0.3 38.8 30.7 1.1",
    "Qwen2.5-1.5B-SimpleRL": "0.3 0.0 60.1 11.9 4.5 0.6 28.2 28.3 1.3 38.3 28.9 2.1",
    "Qwen2.5-7B-Base": "3.3 1.6 59.1 11.6 37.5 7.8 26.8 38.4 0.9 61.7 47.4 17.2",
    "SimpleRL-7B": "15.7 7.6 69.8 24.1 29.3 14.7 35.4 34.1 1.2 59.7 48.4 28.9",
    "Qwen2.5-7B-Instruct": "12.0 9.7 72.8 29.6 23.4 32.9 57.5 33.7 8.1 74.6 80.0 64.6",
    "s1.1-7B": "23.3 13.3 75.8 28.7 41.4 10.7 36.7 31.4 1.1 70.0 40.2 14.3",
    "Qwen2.5-32B-Instruct": "16.7 16.7 80.0 30.1 40.4 49.0 72.1 38.6 9.4 75.3 79.1 77.5",
    "OpenThinker2-32B": "76.3 57.7 94.2 43.0 63.5 71.6 83.2 33.8 4.2 43.8 45.5 59.6",
    "Qwen3-14B-Base": "13.0 9.3 60.4 27.9 42.6 29.7 10.7 37.6 10.0 67.7 69.2 35.7",
    "UniReason think SFT": "52.0 37.0 85.0 25.0 55.9 21.9 68.6 34.8 1.7 38.2 42.3 2.3",
    "UniReason no-think SFT": "16.0 13.0 77.2 22.7 48.7 23.5 69.3 35.0 5.3 66.1 41.4 3.3",
    "UniReason RL": "55.7 38.0 87.8 33.8 57.7 40.6 65.4 40.2 28.2 74.0 70.0 40.7",
}
PUBLISHED = [  # model, base, TI_other, TI_non; None where no form tried reproduces the row
    ("s1.1-7B", "Qwen2.5-7B-Instruct", -65.5, -213.3),
    ("OpenThinker2-32B", "Qwen2.5-32B-Instruct", 39.1, -53.5),
    ("Qwen2.5-1.5B-SimpleRL", "Qwen2.5-1.5B-Base", 85.6, None),
    ("SimpleRL-7B", "Qwen2.5-7B-Base", 15.4, 34.4),
    ("UniReason think SFT", "Qwen3-14B-Base", 52.2, -104.1),
    ("UniReason no-think SFT", "Qwen3-14B-Base", 165.4, -278.9),
    ("UniReason RL", "Qwen3-14B-Base", 82.3, 52.2),
]


def scores(name):
    numbers = [float(number) for number in ROWS[name].split()]
    return {group: {f"{group}-{i}": numbers[4 * g + i] for i in range(4)} for g, group in enumerate(GROUPS)}


def calibrated():
    """One sigma a group, from the UniReason RL row alone: sqrt(sigma_math / sigma_g) = published TI / raw TI."""
    raw = transfer_index(scores("Qwen3-14B-Base"), scores("UniReason RL"), scale="none").ti
    return {
        "math": 1.0,
        "other_reasoning": (raw["other_reasoning"] / 82.3) ** 2,
        "non_reasoning": (raw["non_reasoning"] / 52.2) ** 2,
    }


@pytest.mark.parametrize(("model", "base", "other", "non"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_published_rows_with_one_sigma_a_group(model, base, other, non):
    ti = transfer_index(scores(base), scores(model), scale=calibrated()).ti
    assert ti["other_reasoning"] == pytest.approx(other, abs=0.35)
    if non is not None:
        assert ti["non_reasoning"] == pytest.approx(non, abs=0.35)


def test_calibrated_sigmas_are_the_ones_on_file():
    assert calibrated() == pytest.approx({"math": 1.0, "other_reasoning": 1.134, "non_reasoning": 1.274}, abs=0.003)


def test_printed_formula_per_model():
    """papers.md 1.1: the UniReason RL row gives 71.0 / 84.1 with the paper's own sigma."""
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


def test_interval_over_items_holds_the_point_and_says_when_it_cannot():
    rng = np.random.default_rng(0)
    base = {g: {b: (rng.random(200) < 0.4).astype(float) for b in "xy"} for g in ("math", "other_reasoning")}
    better = {g: {b: np.maximum(base[g][b], rng.random(200) < 0.5) for b in "xy"} for g in base}
    percent = [{g: {b: 100 * v.mean() for b, v in own.items()} for g, own in side.items()} for side in (base, better)]
    point = transfer_index(*percent, scale="none").ti["other_reasoning"]
    found = transfer_interval(base, better, scale="none", draws=300)["other_reasoning"]
    assert found.low < point < found.high and found.undefined == 0
    same = transfer_interval(base, base, scale="none", draws=50)["other_reasoning"]
    assert same.low is None and same.undefined == 1
