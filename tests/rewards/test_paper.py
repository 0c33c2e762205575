"""The published graders, beside the code that they restate where it is installed."""

import importlib.util
import json
import random
import re
import string
from pathlib import Path
from types import ModuleType

import pytest

from rewards.paper import GRADERS, boxed, grade, grade_many, programs

PIECES = [
    *(
        "\\frac",
        "\\dfrac",
        "\\sqrt",
        "\\left(",
        "\\right)",
        "\\boxed{",
        "\\boxed ",
        "\\boxed",
        "\\fbox{",
        "{",
        "}",
        "/",
        "0.5",
    ),
    *(
        "=",
        "x",
        " ",
        ".",
        "0",
        "12",
        "\\text{ cm}",
        "\\text{ ",
        "\\$",
        "$",
        "\\%",
        "^\\circ",
        "^{\\circ}",
        "\\!",
        "\n",
        "\\\\",
    ),
    *(",", "-", "3", "1/2", "x/y", "k = ", "\\pi", "+"),
]


def lm_eval(task: str) -> ModuleType:
    """The file of an lm-eval task, without its package."""
    found = importlib.util.find_spec("lm_eval")
    assert found and found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / "tasks" / task / "utils.py"
    spec = importlib.util.spec_from_file_location(f"_reference_{task}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(rng: random.Random, longest: int = 7) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, longest)))


def outcome(name: str, response: str, reference: object, **options: object) -> tuple[str, str]:
    verdict = grade(name, response, reference, options)
    return verdict.outcome, verdict.reason


def test_boxes_and_equality_are_lm_evals_on_random_strings() -> None:
    reference = lm_eval("hendrycks_math")
    rng = random.Random(0)
    for _ in range(20_000):
        response, other = made(rng, 12), made(rng)
        try:
            expected = reference.remove_boxed(reference.last_boxed_only_string(response))
        except (AssertionError, TypeError):
            expected = ""  # what Evalchemy makes of a failure
        assert boxed.content(response) == expected, response
        answer = made(rng)
        assert boxed.equal(other, answer) == reference.is_equiv(other, answer), (other, answer)
        changed = answer.replace(" ", "").replace("dfrac", "frac")
        assert boxed.equal(answer, changed) == reference.is_equiv(answer, changed), (answer, changed)


@pytest.mark.parametrize("name", ["math500", "aime24", "aime25"])
def test_math_is_a_string_in_the_last_box(name: str) -> None:
    assert outcome(name, "so \\boxed{\\dfrac12}", "\\frac{1}{2}") == ("right", "match")
    assert outcome(name, "\\boxed{1} no, \\boxed{2}", "2") == ("right", "match")
    assert outcome(name, "<think>\\boxed{2}</think> hm", "2") == ("right", "match")  # the thought is read, too
    assert outcome(name, "\\boxed{0.25}", "\\frac{1}{4}") == ("wrong", "mismatch")  # equal, but not as strings
    assert outcome(name, "The answer is 2.", "2") == ("wrong", "no_answer")
    assert outcome(name, "so \\boxed{2", "2") == ("wrong", "no_answer")
    assert outcome(name, "", "2") == ("wrong", "no_answer")
    assert outcome(name, "\\boxed{2}", "") == ("unscorable", "bad_reference")


def test_olympiadbench_stops_at_the_next_problem() -> None:
    name = "olympiadbench"
    assert outcome(name, "Final Answer: \\boxed{07.0}", "7") == ("right", "match")
    assert outcome(name, "Final Answer: \\fbox{7}", "7") == ("right", "match")
    assert outcome(name, "Final Answer: \\boxed{8}\nProblem: 3+4? \\boxed{7}", "7") == ("wrong", "mismatch")
    assert outcome(name, "Final Answer: \\boxed{7}\nProblem: 4+4? \\boxed{8}", "7") == ("right", "match")
    assert outcome(name, "Final Answer: \\boxed{2}", "$2$") == ("wrong", "mismatch")  # dollars stay
    assert outcome(name, "7", "7") == ("wrong", "no_answer")


def test_gpqa_takes_the_last_letter_whatever_its_case() -> None:
    name = "gpqa_diamond"
    assert outcome(name, "\\boxed{D}", "D") == ("right", "match")
    assert outcome(name, "D, I am sure. It is a proton", "D") == ("wrong", "mismatch")  # "a" is read as A
    assert outcome(name, "D, I am sure. It is a proton", "A") == ("right", "match")
    assert outcome(name, "the fourth", "D") == ("wrong", "no_answer")


def test_acpbench_takes_the_last_capital_from_a_to_d() -> None:
    name = "acpbench"
    assert outcome(name, "Step 1: ... **Final Answer**: D.", "D") == ("right", "match")
    assert outcome(name, "**Final Answer**: d.", "D") == ("right", "match")
    assert outcome(name, "**Final Answer**: D. Because it is so", "D") == ("wrong", "mismatch")  # the B of Because
    assert outcome(name, "**Final Answer**: D.\n**Question**: A B C", "D") == ("right", "match")
    assert outcome(name, "it is the fourth", "D") == ("wrong", "no_answer")


def acp_by_lm_eval(response: str) -> str:
    """The letter by the filter and the metric of lm-eval's acp_mcq_cot_2shot, written out."""
    pattern = (
        r"(((?<=[answer is ])[A-D])|([A-D]\n)|([A-D]\.)|( [A-D] )|(^[A-D]$)|(\[[A-D]\])|([A-D])"
        r"|(?<=..Final Answer..: )(.*)(?=.)|(?<=..answer..: )(.*)(?=.)|(?<=..Answer..: )(.*)(?=.))"
    )
    found = re.findall(pattern, response)
    match = next((group for group in found[-1] if group), "").strip() if found else ""
    return match.lower().translate(str.maketrans("", "", string.punctuation))


def test_acpbench_reads_what_lm_evals_filter_reads() -> None:
    rng = random.Random(1)
    pieces = [
        "A",
        "B",
        "d",
        "E",
        ".",
        " ",
        "\n",
        "[",
        "]",
        "**Final Answer**: ",
        "**answer**: ",
        "answer is ",
        "x",
        ": ",
    ]
    for _ in range(5000):
        response = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 9)))
        for letter in "ABCD":
            right = acp_by_lm_eval(response) == letter.lower()
            assert (outcome("acpbench", response, letter)[0] == "right") == right, response


def test_mmlu_pro_takes_the_first_stated_letter() -> None:
    assert outcome("mmlu_pro", "so the answer is (J). Or the answer is B", "J") == ("right", "match")
    assert outcome("mmlu_pro", "Answer: J", "J") == ("wrong", "no_answer")


def test_coqa_reads_the_first_line_and_leaves_one_reference_out() -> None:
    assert outcome("coqa", "A white one.", "white one") == ("right", "match")
    assert outcome("coqa", "<think>hm\n\nso</think>\n\nwhite\nas said", "white") == ("right", "match")
    assert outcome("coqa", "Okay, let me see.\nwhite", "white") == ("wrong", "mismatch")
    assert outcome("coqa", "Q: What color?\nA: white", "white") == ("wrong", "mismatch")
    assert outcome("coqa", "white\nQ: And then?\nA: black", "white") == ("right", "match")
    assert outcome("coqa", "<think>white", "white") == ("wrong", "mismatch")
    assert grade("coqa", "white", "white", {"also": ["snow", "bright"]}).score == pytest.approx(2 / 3)
    assert grade("coqa", "blue", "white", {"also": ["snow"]}).score == 0


def squad_exact(one: str, other: str) -> bool:
    """SQuAD's comparison (arXiv:1606.05250), step by step."""
    found = []
    for text in (one, other):
        bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
        found.append(" ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split()))
    return found[0] == found[1]


def test_coqa_leaves_each_reference_out_in_turn() -> None:
    rng = random.Random(2)
    for _ in range(500):
        golds = [rng.choice(["white", "a white cat", "no", "yes", "Yes!", "the cat"]) for _ in range(rng.randint(1, 4))]
        line = rng.choice(["white", "White cat.", "no", "yes", "cat"])
        rounds = [golds[:i] + golds[i + 1 :] for i in range(len(golds))] if len(golds) > 1 else [golds]
        expected = sum(max(squad_exact(gold, line) for gold in others) for others in rounds) / len(rounds)
        assert grade("coqa", line, golds[0], {"also": golds[1:]}).score == pytest.approx(expected), (golds, line)


def test_halueval_wants_one_of_two_words_before_an_empty_line() -> None:
    assert outcome("halueval", "Yes", "Yes") == ("right", "match")
    assert outcome("halueval", "No, it does not.\nYes", "No") == ("right", "match")
    assert outcome("halueval", "\n\nYes", "Yes") == ("wrong", "no_answer")  # the stop string comes first
    assert outcome("halueval", "<think>\n\n</think>\n\nYes", "Yes") == ("wrong", "no_answer")
    assert outcome("halueval", "yes", "Yes") == ("wrong", "no_answer")
    assert outcome("halueval", "Nothing is wrong", "No") == ("right", "match")  # as written: the No of Nothing
    assert outcome("halueval", "Yes or No?", "Yes") == ("wrong", "ambiguous")


def test_gsm8k_takes_the_last_number() -> None:
    assert outcome("gsm8k", "so $1,234.", "1234") == ("right", "match")
    assert outcome("gsm8k", "12, or 13", "12") == ("wrong", "mismatch")
    assert outcome("gsm8k", "none", "12") == ("wrong", "no_answer")


def test_ifeval_is_loose_and_keeps_the_thought() -> None:
    row = json.dumps(
        {"instruction_id_list": ["punctuation:no_comma", "change_case:english_lowercase"], "kwargs": [{}, {}]}
    )
    loose = "Sure, here it is:\nall is well here and it is late"
    assert grade("ifeval", loose, row, {}).score == 1
    assert grade("ifeval", "all is well, here and it is late", row, {}).score == 0.5
    assert grade("ifeval", "all is well here\n<think>a, b</think>\nit is late", row, {}).score == 0.5


STDIN = json.dumps({"form": "stdin", "inputs": ["3\n"], "outputs": ["6\n"]})
CALL = json.dumps({"form": "call", "entry_point": "double", "inputs": [[3]], "outputs": [6]})


def test_livecodebench_runs_the_last_fence() -> None:
    doubled = "```python\nprint(2 * int(input()))\n```"
    method = "```python\nclass Solution:\n    def double(self, x):\n        return 2 * x\n```"
    asked = [
        (f"First:\n```\nprint(1)\n```\nThen:\n{doubled}", STDIN, "right"),
        (doubled.replace("2 *", "2.0 *"), STDIN, "wrong"),  # 6.0 is another text
        ("```python\nprint(6)", STDIN, "wrong"),  # cut off
        ("print(6)", STDIN, "wrong"),
        ("```python\ndef twice(x):\n    return 2 * x\n```", CALL, "right"),  # by the name that it has
        (method, CALL, "wrong"),  # Evalchemy looks for `double` in the module
        ("", CALL, "wrong"),
    ]
    found = grade_many([("livecodebench", response, reference, {}) for response, reference, _ in asked])
    assert [verdict.outcome for verdict in found] == [expected for _, _, expected in asked]


def test_fences_are_evalchemys() -> None:
    rng = random.Random(3)
    for _ in range(5000):
        text = "".join(rng.choice(["```", "`", "python", "\n", "x", " ", "py3"]) for _ in range(rng.randint(0, 14)))
        blocks = re.findall(r"```(?:[a-zA-Z]*)\n(.*?)```", text, re.DOTALL)
        assert programs.last_fence(text) == (blocks[-1] if blocks else None), text


@pytest.mark.parametrize("name", GRADERS)
def test_no_response_is_too_much(name: str) -> None:
    long = [
        "\\boxed{" * 40_000,
        "{}" * 100_000,
        "a " * 100_000,
        "```\n" * 50_000,
        "</think>\n\n" * 20_000,
        "A. " * 60_000,
    ]
    references = {"ifeval": '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}', "livecodebench": STDIN}
    for response in [*long, "\x00", "\ud800", "½", "\\boxed{" + "9" * 5000 + "/3}"]:
        assert grade(name, response, references.get(name, "A"), {}).outcome in ("right", "wrong", "unscorable")


def test_an_unknown_grader_is_refused() -> None:
    with pytest.raises(ValueError, match="no published grader is called 'bbh'"):
        grade("bbh", "x", "x", {})
