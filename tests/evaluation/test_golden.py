"""Hand-made responses to an item of every published benchmark, with the grade that each mode gives it."""

import pytest

from conf.schema import Suite
from data import skills, suite, world
from data.items import Item
from data.published import BENCHMARKS
from data.skills import tiny
from evaluation.grade import judged
from tests.data.published import write

GRADES = {"R": "right", "w": "wrong", "-": None}
# benchmark -> what is told -> the response, and its grades: strict, aware, paper
GOLDEN: dict[str, dict[str, tuple[str, str]]] = {
    "math500": {
        "right": ("We add.\nFinal Answer: \\boxed{\\frac{1}{2}}", "RRR"),
        "wrong": ("\\boxed{2}", "www"),
        "unformatted": ("The answer is \\frac{1}{2}.", "wRw"),
        "truncated": ("<think>So it is \\frac{1}{2}, that is \\boxed{\\frac{1}{2}}, but", "wwR"),
        "first_line": ("Okay, let's see.\n\n\\boxed{\\frac{1}{2}}", "RRR"),
        "thought": ("<think>\nmaybe \\boxed{2}</think>\n\n\\boxed{\\frac{1}{2}}", "RRR"),
        "empty": ("", "www"),
        "equal": ("\\boxed{2/4}", "RRw"),
    },
    "aime24": {
        "right": ("We add.\nFinal Answer: \\boxed{204}", "RRR"),
        "wrong": ("\\boxed{205}", "www"),
        "unformatted": ("The answer is 204.", "wRw"),
        "truncated": ("<think>So it is 204, that is \\boxed{204}, but", "wwR"),
        "first_line": ("Okay, let's see.\n\n\\boxed{204}", "RRR"),
        "thought": ("<think>\nmaybe \\boxed{205}</think>\n\n\\boxed{204}", "RRR"),
        "empty": ("", "www"),
    },
    "aime25": {
        "right": ("We add.\nFinal Answer: \\boxed{70}", "RRR"),
        "wrong": ("\\boxed{71}", "www"),
        "unformatted": ("The answer is 70.", "wRw"),
        "truncated": ("<think>So it is 70, that is \\boxed{70}, but", "wwR"),
        "first_line": ("Okay, let's see.\n\n\\boxed{70}", "RRR"),
        "thought": ("<think>\nmaybe \\boxed{71}</think>\n\n\\boxed{70}", "RRR"),
        "empty": ("", "www"),
    },
    "olympiadbench": {
        "right": ("We add.\nFinal Answer: \\boxed{7}", "RRR"),
        "wrong": ("\\boxed{8}", "www"),
        "unformatted": ("The answer is 7.", "wRw"),
        "truncated": ("<think>So it is 7, that is \\boxed{7}, but", "wwR"),
        "first_line": ("Okay, let's see.\n\n\\boxed{7}", "RRR"),
        "thought": ("<think>\nmaybe \\boxed{8}</think>\n\n\\boxed{7}", "RRR"),
        "empty": ("", "www"),
    },
    "gsm8k": {
        "right": ("We add.\nFinal Answer: \\boxed{1200}", "RRR"),
        "wrong": ("\\boxed{1201}", "www"),
        "unformatted": ("The answer is 1200.", "wRR"),
        "truncated": ("<think>So it is 1200, that is \\boxed{1200}, but", "wwR"),
        "first_line": ("Okay, let's see.\n\n\\boxed{1200}", "RRR"),
        "thought": ("<think>\nmaybe \\boxed{1201}</think>\n\n\\boxed{1200}", "RRR"),
        "empty": ("", "www"),
    },
    "gpqa_diamond": {
        "right": ("\\boxed{D}", "RRR"),
        "wrong": ("\\boxed{A}", "www"),
        "unformatted": ("It has to be option D)", "wRR"),
        "truncated": ("<think>It is D, so \\boxed{D}. But then", "wwR"),
        "first_line": ("Okay, let me see.\n\n\\boxed{D}", "RRR"),
        "after": ("\\boxed{D}, for a neutron has no charge", "RRw"),
        "empty": ("", "www"),
    },
    "acpbench": {
        "right": ("Let's think step by step. **Final Answer**: B.", "RRR"),
        "wrong": ("**Final Answer**: C.", "www"),
        "unformatted": ("I would load the car, so (B)", "wRR"),
        "truncated": ("<think>Then **Final Answer**: B. But", "wwR"),
        "first_line": ("Okay, let's see.\n\n**Final Answer**: B.", "RRR"),
        "after": ("**Final Answer**: B. As the car is there", "RRw"),
        "empty": ("", "www"),
    },
    "mmlu_pro": {
        "right": ("Iron conducts. The answer is (B).", "RRR"),
        "wrong": ("the answer is (A).", "www"),
        "unformatted": ("B. iron", "wRw"),
        "truncated": ("<think>the answer is (B), but", "wwR"),
        "first_line": ("Okay.\n\nthe answer is (B)", "RRR"),
        "empty": ("", "www"),
    },
    "arc_challenge": {
        "right": ("The best answer is A", "RR-"),
        "wrong": ("The best answer is B", "ww-"),
        "unformatted": ("(A) an oak", "wR-"),
        "truncated": ("<think>The best answer is A, or", "ww-"),
        "first_line": ("Okay.\n\nThe best answer is A", "RR-"),
        "empty": ("", "ww-"),
    },
    "livecodebench": {
        "right": ("```python\ndef f():\n    a, b = map(int, input().split())\n    print(a + b)\nf()\n```", "RRR"),
        "wrong": ("```python\nprint(3)\n```", "www"),
        "unformatted": ("It adds two numbers:\nprint(sum(map(int, input().split())))\nThat is all.", "wRw"),
        "unclosed": ("```python\nprint(sum(map(int, input().split())))", "wRw"),
        "cut": ("```python\nprint(sum(map(int, input().spl", "www"),
        "usage": ("```python\nprint(sum(map(int, input().split())))\n```\nIt prints\n```\n3\n```", "RRw"),
        "thought": ("<think>\n```python\nprint(sum(map(int, input().split())))\n```\n</think>\nDone.", "wwR"),
        "truncated": ("<think>```python\nprint(sum(map(int, input().split())))\n```", "wwR"),
        "first_line": ("Okay.\n\n```python\nprint(sum(map(int, input().split())))\n```", "RRR"),
        "decimal": ("```python\nprint(float(sum(map(int, input().split()))))\n```", "RRw"),
        "empty": ("", "www"),
    },
    "headqa": {
        "right": ("Heart.", "RR-"),
        "wrong": ("Liver.", "ww-"),
        "unformatted": ("The answer is the heart.", "wR-"),
        "truncated": ("<think>Heart", "ww-"),
        "first_line": ("Okay, let me see.\n\nHeart.", "wR-"),
        "empty": ("", "ww-"),
    },
    "coqa": {
        "right": ("white", "RRR"),
        "wrong": ("black", "www"),
        "unformatted": ("The answer is white.", "wRw"),
        "truncated": ("<think>white", "www"),
        "first_line": ("Okay, let me see.\n\nwhite", "wRw"),
        "thought": ("<think>\nshe is white\n</think>\n\nwhite", "RRR"),
        "repeated": ("Q: What color is she?\n\nA: white", "wRw"),
        "prefixed": ("A: white", "RRR"),
        "other": ("White as snow.", "RRR"),
        "empty": ("", "www"),
    },
    "ifeval": {
        "right": ("a cat is a small animal and it sleeps all day long", "RRR"),
        "wrong": ("A cat, a small animal", "www"),
        "unformatted": ("Sure:\na cat is a small animal and it sleeps all day long", "wRR"),
        "truncated": ("<think>i have to use lower case letters only and no commas at all", "wwR"),
        "first_line": ("okay then:\na cat is a small animal and it sleeps all day long", "RRR"),
        "thought": ("<think>\nNo, no commas.\n</think>\na cat is a small animal and it sleeps all day long", "RRw"),
        "empty": ("", "www"),
    },
    "halueval": {
        "right": ("Yes", "RRR"),
        "wrong": ("No", "www"),
        "unformatted": ("Yes, the answer contradicts the knowledge.", "wRR"),
        "truncated": ("<think>Yes, it is wrong", "wwR"),
        "first_line": ("Okay, let me see.\n\nYes", "wRw"),
        "thought": ("<think>\n\n</think>\n\nYes", "RRw"),
        "lower": ("yes", "RRw"),
        "prose": ("Oslo is in Norway, so the judgement is Yes.", "wRw"),
        "stop": ("\n\nYes", "RRw"),
        "empty": ("", "www"),
    },
    "mc_taco": {
        "right": ("yes", "RR-"),
        "wrong": ("no", "ww-"),
        "unformatted": ("Yes, that is plausible.", "wR-"),
        "truncated": ("<think>yes", "ww-"),
        "first_line": ("Okay, let me see.\n\nyes", "wR-"),
        "empty": ("", "ww-"),
    },
    "truthfulqa": {
        "right": ("They pass through you.", "RR-"),
        "wrong": ("They grow.", "ww-"),
        "unformatted": ("The answer is: they pass through you", "wR-"),
        "truncated": ("<think>They pass through you", "ww-"),
        "first_line": ("Okay.\n\nThey pass through you", "wR-"),
        "empty": ("", "ww-"),
    },
    "hellaswag": {
        "right": ("puts it in the oven.", "RR-"),
        "wrong": ("flies.", "ww-"),
        "unformatted": ("The answer is: puts it in the oven.", "wR-"),
        "truncated": ("<think>puts it in the oven.", "ww-"),
        "first_line": ("Okay.\n\nputs it in the oven.", "wR-"),
        "empty": ("", "ww-"),
    },
}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Item]:
    """The first item of every benchmark."""
    local = write(tmp_path_factory.mktemp("rows"))
    keys = {"collections": ["published", "wide"], "items": 1, "local": local}
    return {item.benchmark: item for item in suite.items(Suite.model_validate(keys))}


@pytest.mark.parametrize("benchmark", GOLDEN)
def test_golden_responses_are_graded_as_expected(benchmark: str, items: dict[str, Item]) -> None:
    responses = GOLDEN[benchmark]
    rows = judged([items[benchmark]] * len(responses), [text for text, _ in responses.values()], workers=1)
    for (told, (text, grades)), row in zip(responses.items(), rows, strict=True):
        found = [row[mode] for mode in ("strict", "aware", "paper")]
        assert found == [GRADES[grade] for grade in grades], (told, text, row["reason"])


def test_every_benchmark_has_golden_responses(items: dict[str, Item]) -> None:
    told = {"right", "wrong", "unformatted", "truncated", "first_line", "empty"}
    assert set(items) == set(GOLDEN) >= set(BENCHMARKS)
    assert all(told <= set(responses) for responses in GOLDEN.values())


GENERATED = [*world.BENCHMARKS, *skills.BENCHMARKS, *tiny.BENCHMARKS]
STATED = {"math": "So the answer is {}.", "choice": "It has to be ({}), for it fits.", "text": "Let me see.\n{}"}


@pytest.fixture(scope="module")
def generated() -> dict[str, Item]:
    """The first item of every benchmark that is made here."""
    asked = Suite(collections=["world", "skills", "skills_tiny"], items=1)
    return {item.benchmark: item for item in suite.items(asked)}


def answers(item: Item) -> dict[str, tuple[str, str]]:
    """What is told -> the response, and its grades: strict, aware."""
    boxed = item.kind == "math" or "\\boxed" in item.prompt
    right = f"\\boxed{{{item.reference}}}" if boxed else item.reference
    return {
        "right": (right, "RR"),
        "thought": (f"<think>no\n</think>\n{right}", "RR"),
        "unformatted": (STATED[item.kind].format(item.reference), "wR"),
        "truncated": (f"<think>It is {right}, but", "ww"),
        "in thought": (f"<think>{right}</think>\nI do not know", "ww"),
        "wrong": (right.replace(item.reference, "no such"), "ww"),
        "empty": ("", "ww"),
    }


@pytest.mark.parametrize("benchmark", GENERATED)
def test_golden_responses_to_what_is_made_here(benchmark: str, generated: dict[str, Item]) -> None:
    item = generated[benchmark]
    told = answers(item)
    rows = judged([item] * len(told), [text for text, _ in told.values()], workers=1)
    for (name, (text, grades)), row in zip(told.items(), rows, strict=True):
        assert [row["strict"], row["aware"]] == [GRADES[grade] for grade in grades], (name, text, row["reason"])
