"""What training adds to right and wrong: form, length, and a look at the verifiers themselves."""

from importlib.util import find_spec

import pytest

from rewards import KINDS, Verdict, canary, shaping
from rewards.watch import LEAST, WINDOW, Watch


@pytest.mark.parametrize(
    ("response", "value"),
    [
        ("so \\boxed{3}", 1.0),
        ("<think>a</think>\\boxed{3}", 1.0),
        ("<think>\\boxed{2}</think>\\boxed{3}", 1.0),
        ("3", 0.0),
        ("\\boxed{3} \\boxed{4}", 0.0),
        ("\\boxed{3", 0.0),
        ("<think>\\boxed{3}", 0.0),
        ("<think>a</think><think>b</think>\\boxed{3}", 0.0),
    ],
)
def test_well_formed(response: str, value: float) -> None:
    assert shaping.well_formed(response) == value


def test_a_thought_that_the_prompt_opened_must_be_closed() -> None:
    assert shaping.well_formed("\\boxed{3}", thinking=True) == 0
    assert shaping.well_formed("hm</think>\\boxed{3}", thinking=True) == 1


def test_soft_overlong_is_trls() -> None:
    from trl.rewards import get_soft_overlong_punishment

    theirs = get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=20)
    lengths = [0, 1, 79, 80, 81, 90, 99, 100, 101, 500]
    assert [shaping.soft_overlong(length, 100, 20) for length in lengths] == pytest.approx(
        theirs([[0] * length for length in lengths])
    )
    for cache in (0, -1, 101):
        with pytest.raises(ValueError, match="cache"):
            shaping.soft_overlong(5, 100, cache)


def test_the_canary_sings_for_every_kind() -> None:
    here = [kind for kind in KINDS if kind != "reasoning_gym" or find_spec(kind)]
    assert canary.failures(here) == []


def test_a_verifier_that_calls_everything_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "verify_many", lambda requests, workers: [Verdict("wrong", "error")] * len(requests))
    told = canary.failures(["math"])
    assert len(told) == 3 and "is right, but was judged wrong" in told[0]


def test_watch_passes_its_limit_and_names_the_reasons() -> None:
    watch = Watch(limit=0.1)
    watch.see([Verdict("unscorable", "timeout")] * (LEAST - 1))
    assert watch.passed() is None, "too few to tell"
    watch.see([Verdict("unscorable", "crash")])
    assert watch.passed() == f"100% of the last {LEAST} answers could not be judged (timeout {LEAST - 1}, crash 1)"
    watch.see([Verdict("right", "match")] * WINDOW)
    assert watch.passed() is None and watch.share == 0
