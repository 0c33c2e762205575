import importlib.util
import random
import string
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rewards import verify
from rewards.text import f1


def test_any_reference_of_a_list_may_match():
    for mode in ("exact", "normalised", "contains", "f1"):
        assert verify("text", "a red house", ["blue", "a red house"], mode=mode).outcome == "right", mode
        assert verify("text", "green", ("blue", "a red house"), mode=mode).outcome == "wrong", mode
    assert verify("text", "red", ["", "red"]).outcome == "right"
    assert verify("text", "x", ["red", "the"], mode="contains").outcome == "wrong"


@pytest.mark.parametrize("mode", ["exact", "normalised", "contains", "f1", "list", "set"])
@pytest.mark.parametrize("reference", ["", "  ", [], [""], ["", " "], ["red", 3], None, 3, True, {"red": 1}, [["red"]]])
def test_bad_references(mode, reference):
    for response in ("red", ""):
        verdict = verify("text", response, reference, mode=mode)
        assert (verdict.outcome, verdict.reason) == ("unscorable", "bad_reference")


def test_references_that_normalisation_leaves_empty():
    assert verify("text", "the", "the").outcome == "right"
    for mode in ("normalised", "contains", "f1"):
        assert verify("text", "the", ["the", "..."], mode=mode).reason == "bad_reference"


def test_f1_counts_shared_tokens_with_their_number():
    assert f1("a red red house", "the red house") == 2 * 2 / (3 + 2)
    assert f1("Red, house!", "house red") == 1
    assert f1("green", "red house") == 0
    assert f1("red", ["blue", "red house", "red"]) == 1
    assert f1("", "the") == f1("...", "a") == 1  # neither has a token
    assert f1("", "red") == f1("red", "the") == 0
    with pytest.raises(ValueError, match="at least one reference"):
        f1("red", [])


def test_leaving_one_reference_out_scores_as_a_human_was():
    assert f1("red house", ["red house", "red house"], leave_one_out=True) == 1
    assert f1("red house", ["red house"], leave_one_out=True) == 1
    assert f1("red house", ["red house", "red", "blue"], leave_one_out=True) == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_f1_is_right_from_the_threshold_on_and_always_scored():
    reference = ["a red house", "a blue house"]
    verdict = verify("text", "red house there", reference, mode="f1")
    assert (verdict.outcome, verdict.score, verdict.extracted) == ("wrong", 0.8, "red house there")
    assert verify("text", "red house there", reference, mode="f1", threshold=0.8).outcome == "right"
    assert verify("text", "red house there", reference, mode="f1", threshold=0.81).outcome == "wrong"
    left_out = verify("text", "red house", reference, mode="f1", threshold=0.7, leave_one_out=True)
    assert (left_out.outcome, left_out.score) == ("right", (0.5 + 1) / 2)
    empty = verify("text", " ", reference, mode="f1")
    assert (empty.outcome, empty.reason, empty.score) == ("wrong", "no_answer", 0)
    assert verify("text", "red", "red").score is None


LISTS = [
    "1, 2, 3",
    "1,2,3",
    "1 2 3",
    "[1, 2, 3]",
    "\\{1, 2, 3\\}",
    "(1; 2; 3).",
    "1, 2 and 3",
    "$1,\\,2,\\,3$",
    "\\text{1, 2, 3}",
]


@pytest.mark.parametrize("text", LISTS)
def test_a_list_may_be_parted_and_bracketed_in_any_usual_way(text):
    assert verify("text", text, "1, 2, 3", mode="list").outcome == "right"
    assert verify("text", text, "3, 1, 2", mode="set").outcome == "right"
    for other in ("1, 2", "3, 1, 2", "12, 3", "1, 2, 3, 3", "1, 2, 30"):
        assert verify("text", text, other, mode="list").outcome == "wrong"
    for other in ("1, 2", "12, 3", "1, 2, 3, 3", "1, 1, 2, 3"):
        assert verify("text", text, other, mode="set").outcome == "wrong"


def test_what_was_asked_for_in_a_box_counts_there_and_with_aware_anywhere_clear():
    for text in ("\\boxed{Paris}", "It is\n\\boxed{\\text{Paris}}.", "No, \\boxed{Rome}. \\boxed{ $Paris$ }"):
        for extraction in ("strict", "aware"):
            assert verify("text", text, "Paris", asked="boxed", extraction=extraction).outcome == "right", text
    for text in ("Paris", "The answer is Paris."):
        assert verify("text", text, "Paris", asked="boxed", extraction="strict").reason == "no_answer"
        assert verify("text", text, "Paris", asked="boxed", extraction="aware").outcome == "right"
    assert verify("text", "Paris\n\\boxed{Rome}", "Paris", asked="boxed").outcome == "wrong"
    with pytest.raises(ValueError, match="asked"):
        verify("text", "x", "x", asked="box")


@pytest.mark.parametrize("threshold", [0, -1, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        verify("text", "red", "red", mode="f1", threshold=threshold)


def reference_f1(gold: str, answer: str) -> float:
    """SQuAD 2.0's F1, the long way: cross out each token of the answer that the gold text still has."""
    words = []
    for text in (gold, answer):
        letters = "".join(c for c in text.lower() if c not in string.punctuation)
        words.append([word for word in letters.split() if word not in ("a", "an", "the")])
    left, shared = list(words[0]), 0
    for word in words[1]:
        if word in left:
            left.remove(word)
            shared += 1
    if not words[0] or not words[1]:
        return float(words[0] == words[1])
    if shared == 0:
        return 0.0
    precision, recall = shared / len(words[1]), shared / len(words[0])
    return 2 * precision * recall / (precision + recall)


def lm_eval_coqa(monkeypatch) -> ModuleType:
    """lm-eval's own module, with `reference_f1` where it takes SQuAD's from old releases of transformers."""
    squad = ModuleType("transformers.data.metrics.squad_metrics")
    squad.compute_f1 = reference_f1
    squad.compute_exact = lambda gold, answer: 0
    metrics = ModuleType("transformers.data.metrics")
    metrics.squad_metrics = squad
    for module in (metrics, squad):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    folder = Path(importlib.util.find_spec("lm_eval").submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("coqa_of_lm_eval", folder / "tasks" / "coqa" / "utils.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_f1_is_lm_evals_on_random_strings(monkeypatch):
    coqa = lm_eval_coqa(monkeypatch)
    rng = random.Random(0)
    pieces = ["a", "The", "an", "red", "Red.", "house", "it's", "U.S.", "!", "3,000", "été", "\u00a0", "\n", "theatre"]
    for _ in range(3000):
        golds = [" ".join(rng.choices(pieces, k=rng.randrange(5))) for _ in range(rng.randint(1, 5))]
        answer = " ".join(rng.choices(pieces, k=rng.randrange(6)))
        assert f1(answer, golds, leave_one_out=True) == pytest.approx(coqa.compute_scores(golds, answer)["f1"])
        assert f1(answer, golds) == pytest.approx(max(reference_f1(gold, answer) for gold in golds))
        assert f1(answer, golds[0]) == pytest.approx(reference_f1(golds[0], answer))
