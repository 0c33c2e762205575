"""Whatever a model writes: `verify` answers, and answers the same again."""

import json
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewards import KINDS, Request, verify, verify_many
from rewards.mathematics import MAX_LENGTH

LIMIT = 2.0  # seconds
OUTCOMES = {"right", "wrong", "unscorable"}
PIECES = [
    *(
        "\\boxed{",
        "\\frac",
        "\\sqrt",
        "\\text{",
        "\\left(",
        "\\begin{pmatrix}",
        "\\\\",
        "\\pm",
        "\\%",
        "\\infty",
        "\\cup",
    ),
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "^",
        "_",
        "$",
        "%",
        "|",
        ",",
        ";",
        "=",
        "<",
        "!",
        "\\",
        "&",
        "\n",
        " ",
        "\x00",
        "\ud800",
    ),
    *(
        "answer: ",
        "the answer is ",
        "**",
        "```",
        "```python\n",
        "</think>",
        "(A)",
        "B.",
        "x",
        "y",
        "e",
        "i",
        "0",
        "7",
        "12",
    ),
]
soup = st.lists(st.sampled_from(PIECES), max_size=15).map("".join)
words = st.text(max_size=40)
responses = st.one_of(soup, soup.map("so \\boxed{{{}}}".format), words, words.map("answer: {}".format))
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, soup, st.binary(max_size=5))
references = st.one_of(
    values,
    st.lists(values, max_size=3),
    st.dictionaries(
        st.sampled_from(["instruction_id_list", "kwargs", "form", "inputs", "outputs"]), values, max_size=3
    ),
)
KNOWN = {
    "math": ["3", "\\frac{1}{2}", "x^2+1", "(1,2)"],
    "choice": ["B", "(a)"],
    "text": ["abc", "the cat"],
    "instruction": [json.dumps({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})],
}
OPTIONS = {"math": {"timeout": LIMIT}}
fuzz = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def judged(requests):
    """The verdicts, each one of those there are."""
    verdicts = verify_many(requests, 2)
    assert {verdict.outcome for verdict in verdicts} <= OUTCOMES
    assert all(verdict.reason.isidentifier() for verdict in verdicts)
    return verdicts


@settings(fuzz, max_examples=20)
@given(st.lists(responses, min_size=1, max_size=4), st.sampled_from(["strict", "aware", "paper"]))
def test_any_response_to_a_good_reference_is_judged_and_the_same_again(texts, extraction):
    requests = [
        Request(kind, text, reference, {"extraction": extraction, **OPTIONS.get(kind, {})})
        for kind in KNOWN.keys() & set(KINDS)
        for reference in KNOWN[kind]
        for text in texts
    ]
    verdicts = judged(requests)
    assert "bad_reference" not in {verdict.reason for verdict in verdicts}
    again = judged(requests)
    assert [b for a, b in zip(verdicts, again, strict=True) if a != b and "timeout" not in (a.reason, b.reason)] == []


@settings(fuzz, max_examples=80)
@given(responses, st.lists(references, min_size=1, max_size=4))
def test_any_reference_is_judged(text, some):
    judged([Request(kind, text, reference, OPTIONS.get(kind, {})) for kind in KINDS for reference in some])


@settings(fuzz, max_examples=60)
@given(st.one_of(values, st.lists(values, max_size=2)))
def test_what_is_no_text_is_no_answer(response):
    requests = [Request(kind, response, KNOWN[kind][0], OPTIONS.get(kind, {})) for kind in KNOWN.keys() & set(KINDS)]
    judged(requests)


@settings(fuzz, max_examples=300)
@given(
    st.one_of(soup, words).filter(lambda text: len(text) < MAX_LENGTH), st.sampled_from(["strict", "aware", "paper"])
)
def test_a_reference_answers_itself_in_math(text, extraction):
    boxed = f"\\boxed{{{text}}}"
    assert verify("math", boxed, boxed, extraction=extraction).outcome != "wrong"


@settings(fuzz, max_examples=200)
@given(
    st.sampled_from(
        ["{}", "({})", "{}.", "**{}**", "${}$", "\\boxed{{{}}}", "\\text{{({})}}", "\\boxed{{\\textbf{{({})}}}}"]
    ),
    st.sampled_from(string.ascii_letters),
)
def test_a_reference_answers_itself_in_choice(form, letter):
    text = form.format(letter)
    for extraction in ("strict", "aware"):
        assert verify("choice", text, text, extraction=extraction).outcome != "wrong"


@settings(fuzz, max_examples=300)
@given(st.one_of(soup, words), st.sampled_from(["exact", "normalised", "contains", "f1"]))
def test_a_reference_answers_itself_in_text(text, mode):
    assert verify("text", text, text, mode=mode, extraction="paper").outcome != "wrong"
    assert verify("text", text, text, mode=mode).outcome != "wrong"
