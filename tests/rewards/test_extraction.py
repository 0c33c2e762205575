"""Where an answer is looked for: three named ways, and thoughts that never ended."""

import pytest

from rewards import Verdict, verify

THOUGHT = "<think>it could be \\boxed{41}, or not</think>"


@pytest.mark.parametrize("kind", ["math", "choice", "text"])
@pytest.mark.parametrize("extraction", ["strict", "aware"])
def test_an_unended_thought_is_no_answer(kind: str, extraction: str) -> None:
    reference = {"math": "4", "choice": "B", "text": "bread"}[kind]
    answer = {"math": "\\boxed{4}", "choice": "B", "text": "bread"}[kind]
    cut_off = f"<think>well, {answer}"
    expected = Verdict("wrong", "truncated_thought")
    assert verify(kind, cut_off, reference, extraction=extraction) == expected
    assert verify(kind, answer, reference, extraction=extraction, thinking=True) == expected
    for ended in (f"<think>hm</think>{answer}", f"hm</think>\n{answer}", f"<think></think>\n\n{answer}\n"):
        assert verify(kind, ended, reference, extraction=extraction).outcome == "right", ended


def test_an_unusable_reference_is_that_whatever_the_thought() -> None:
    assert verify("math", "<think>hm", "").outcome == "unscorable"
    assert verify("math", "3", "<think>").reason == "bad_reference"


def test_only_paper_reads_the_thought() -> None:
    response = THOUGHT + "I give up"
    assert verify("math", response, "41", extraction="paper").outcome == "right"
    assert verify("math", response, "41", extraction="paper", strip_thought=True).outcome == "wrong"
    assert verify("math", response, "41", extraction="strict").reason == "no_answer"
    assert verify("math", response, "41", extraction="aware").outcome == "wrong"


def test_paper_reads_the_first_line_where_the_paper_did() -> None:
    """HaluEval and CoQA: a model that opens with prose fails, though it answers well."""
    halueval = {"mode": "one_of", "among": ["Yes", "No"]}
    prose = "Okay, let me look at it.\nYes"
    assert verify("text", prose, "Yes", extraction="paper", first_line=True, **halueval).reason == "no_answer"
    assert verify("text", prose, "Yes", extraction="strict", **halueval).outcome == "right"
    assert verify("text", "Yes or No", "Yes", **halueval).reason == "ambiguous"
    coqa = {"mode": "f1", "first_line": True, "strip_thought": True}
    assert (
        verify("text", "<think>a\nb</think>\nthe red barn\nQ: more", "red barn", extraction="paper", **coqa).score == 1
    )
    assert verify("text", f"{prose}\nred barn", "red barn", extraction="paper", **coqa).score == 0
    assert verify("text", f"{prose}\nred barn", "red barn", mode="f1").score == 1


@pytest.mark.parametrize(
    ("kind", "response", "reference", "right_in"),
    [
        ("math", "\\boxed{4}", "4", {"paper", "strict", "aware"}),
        ("math", "The answer is 4.", "4", {"aware"}),
        ("math", "4", "4", {"aware"}),
        ("choice", "B", "B", {"paper", "strict", "aware"}),
        ("choice", "Answer: (b)", "B", {"strict", "aware"}),
        ("choice", "It must be (B)", "B", {"paper", "aware"}),
        ("choice", "A is wrong, so B", "B", {"paper"}),
        ("text", "bread", "bread", {"paper", "strict", "aware"}),
        ("text", "So the answer is bread", "bread", {"aware"}),
        ("text", "\\boxed{bread}", "bread", {"aware"}),
        ("text", "We bake it.\nbread", "bread", {"aware"}),
    ],
)
def test_forms(kind: str, response: str, reference: str, right_in: set[str]) -> None:
    modes = ("paper", "strict", "aware")
    assert {mode for mode in modes if verify(kind, response, reference, extraction=mode).outcome == "right"} == right_in


def test_unknown_extraction_is_refused() -> None:
    with pytest.raises(ValueError, match="paper, strict, aware"):
        verify("math", "4", "4", extraction="lenient")
