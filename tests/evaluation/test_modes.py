"""Scores by mode: what is known and not said in form, what an extractor misses, and what cannot be scored, apart."""

import numpy as np
import pytest

from evaluation.modes import MODES
from evaluation.summing import all_scores, unscored

R, W, U = "right", "wrong", "unscorable"


def columns(cells, group="math"):
    """From {benchmark: [one item's samples: [(strict, aware, paper), ...], ...]}; sample 0 is greedy."""
    rows = [
        {"benchmark": name, "group": group, "item": f"{name}-{i}", "sample": n, "outcome": grades[0]}
        | dict(zip(MODES, grades, strict=True))
        | {"strategy": "", "truncated": False}
        for name, items in cells.items()
        for i, samples in enumerate(items)
        for n, grades in enumerate(samples)
    ]
    return {key: [row[key] for row in rows] for key in rows[0]}


def test_modes_and_their_differences_in_points():
    known = [[(W, R, W)], [(R, R, W)], [(W, W, W)], [(W, R, R)]]
    own = all_scores(columns({"a": known}))["benchmarks"]["a"]
    assert {mode: own["modes"][mode]["greedy"]["score"] for mode in MODES} == {"strict": 25, "aware": 75, "paper": 25}
    assert own["greedy"] == own["modes"]["strict"]["greedy"]
    assert own["format_loss"]["greedy"]["difference"] == 50 and own["extractor_artefact"]["greedy"]["difference"] == 50
    assert own["format_loss"]["greedy"]["low"] <= 50 <= own["format_loss"]["greedy"]["high"]
    assert own["format_loss"]["sampled"]["difference"] is None


def test_differences_pair_items_and_leave_out_what_one_mode_could_not_score():
    rng = np.random.default_rng(0)
    items = [[tuple(rng.choice([R, W, U], 3)) for _ in range(4)] for _ in range(40)]
    found = all_scores(columns({"a": items}))["benchmarks"]["a"]["extractor_artefact"]["sampled"]["difference"]
    gaps = []
    for samples in items:
        aware, paper = ([g[m] == R for g in samples[1:] if g[m] != U] for m in (1, 2))
        if aware and paper:
            gaps.append(np.mean(aware) - np.mean(paper))
    assert found == pytest.approx(100 * np.mean(gaps))


def test_a_benchmark_without_a_published_extractor_has_none_and_the_group_says_over_what_it_is():
    cells = {"with": [[(W, R, R)]], "without": [[(W, R, None)]]}
    found = all_scores(columns(cells))
    own, group = found["benchmarks"]["without"], found["groups"]["math"]
    assert own["modes"]["paper"] is None and own["extractor_artefact"] is None
    assert group["modes"]["paper"] == {"greedy": 100, "sampled": None, "over": ["with"]}
    assert group["modes"]["aware"]["greedy"] == 100 and "over" not in group["modes"]["aware"]
    assert group["extractor_artefact"]["over"] == ["with"] and group["format_loss"]["greedy"] == 100


def test_files_without_modes_are_scored_as_they_were():
    old = {key: value for key, value in columns({"a": [[(R, R, R)]]}).items() if key not in MODES}
    found = all_scores(old)
    assert "modes" not in found["benchmarks"]["a"] and found["groups"]["math"]["greedy"]["score"] == 100


def test_what_has_no_score_is_named_with_its_reason():
    missing = {"gone": {"group": "math", "reason": "no folder"}}
    found = all_scores(columns({"a": [[(U, U, U)]], "b": [[(W, W, W)]]}), missing)
    assert found["missing"] == missing and found["groups"]["math"]["missing"] == ["gone"]
    assert found["groups"]["math"]["benchmarks"] == ["a", "b"]
    assert unscored(found) == {"gone": "no folder", "a": "none of its 1 items could be judged"}


@pytest.mark.parametrize("samples", [256, 1024])
def test_pass_at_k_reaches_as_far_as_there_are_samples(samples):
    right = [samples // 2, 1, 0]
    items = [[(W, W, None), *[(R, R, None)] * c, *[(W, W, None)] * (samples - c)] for c in right]
    curve = all_scores(columns({"a": items}))["benchmarks"]["a"]["pass_at_k"]
    powers = [2**p for p in range(11) if 2**p <= samples]
    assert [int(k) for k in curve if int(k) > 16] == [k for k in powers if k > 16] and int(
        max(curve, key=int)
    ) == samples
    for k in powers:
        slow = [1 - np.prod([(samples - c - i) / (samples - i) for i in range(k)], dtype=np.float64) for c in right]
        assert curve[str(k)] == pytest.approx(100 * np.mean(slow), abs=1e-9)
