"""Every response has its grade in each mode, beside what the row says of its item and its tokens."""

import hashlib
import json

import pytest

from data.items import Item
from evaluation.grade import grade, judged
from rewards import verify

END = 1
MATH = Item("m", "some", "math", "math", "What is 2+3?", "5", labels={"skill": "sums"}, twin="n")
LETTER = Item("c", "some", "other_reasoning", "choice", "A or B?", "B")
WORD = Item("t", "some", "non_reasoning", "text", "Who?", "Ada", options={"mode": "exact"})

# item, response, strict, aware
CASES = [
    (MATH, "\\boxed{5}", "right", "right"),
    (MATH, "The answer is 5.", "wrong", "right"),
    (MATH, "The answer is 6.", "wrong", "wrong"),
    (MATH, "<think>\\boxed{5}", "wrong", "wrong"),  # the thought was cut off
    (MATH, "<think>\\boxed{6}</think>The answer is 5.", "wrong", "right"),
    (MATH, "", "wrong", "wrong"),
    (LETTER, "B", "right", "right"),
    (LETTER, "(B) it is, for B comes after A", "wrong", "right"),
    (LETTER, "(A)", "wrong", "wrong"),
    (WORD, "Ada", "right", "right"),
    (WORD, "Let me see.\nAda", "wrong", "right"),
    (WORD, "Let me see.\nBob", "wrong", "wrong"),
]


@pytest.mark.parametrize(("item", "response", "strict", "aware"), CASES)
def test_each_mode_has_its_grade(item, response, strict, aware):
    found = judged([item], [response])[0]
    assert (found["strict"], found["aware"], found["paper"]) == (strict, aware, None)
    assert found["outcome"] == strict


def test_grades_are_those_of_one_verdict_a_mode_and_response():
    items, texts = [item for item, *_ in CASES], [text for _, text, *_ in CASES]
    for item, text, found in zip(items, texts, judged(items, texts), strict=True):
        for mode in ("strict", "aware"):
            slow = verify(item.kind, text, item.reference, **item.options, extraction=mode)
            assert found[mode] == slow.outcome


def test_the_grade_that_counts_is_that_of_the_extraction_an_item_asks_for():
    free = Item("t", "some", "non_reasoning", "text", "Who?", "Ada", options={"mode": "exact", "extraction": "aware"})
    found = judged([free], ["Let me see.\nAda"])[0]
    assert (found["outcome"], found["strict"], found["aware"]) == ("right", "wrong", "right")


def test_a_row_tells_its_item_and_its_tokens():
    cut, whole = grade([(MATH, 0), (MATH, 1)], ["5", "5"], [[7, 8], [7, END]], END, logps=[[-1.0, -2.0], [-1.0, 0.0]])
    assert cut["prompt_digest"] == hashlib.sha256(MATH.prompt.encode()).hexdigest()
    assert cut["twin"] == "n" and json.loads(cut["labels"]) == {"skill": "sums"}
    assert (cut["finish_reason"], cut["truncated"], cut["mean_logp"]) == ("length", True, -1.5)
    assert (whole["finish_reason"], whole["truncated"], whole["mean_logp"]) == ("stop", False, -0.5)
    assert grade([(MATH, 0)], ["5"], [[7, END]], END)[0]["mean_logp"] is None
