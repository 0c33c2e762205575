import math
import random
import subprocess
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bench import agreement
from rewards import Request, verify, verify_many

ROOT = Path(__file__).parents[2]
CLASSES = defaultdict(list)
for line in agreement.CLASSES:
    CLASSES[line["class"]].append(line)


def asked(line):
    return Request("math", f"so \\boxed{{{line['answer']}}}", line["reference"])


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_answers(name):
    lines = CLASSES[name]
    verdicts = verify_many([asked(line) for line in lines], workers=2)
    found = [
        (line["reference"], line["answer"], verdict.outcome) for line, verdict in zip(lines, verdicts, strict=True)
    ]
    assert found == [(line["reference"], line["answer"], "right" if line["equal"] else "wrong") for line in lines]


def test_every_class_is_tested_both_ways():
    assert len(CLASSES) >= 12
    assert all({line["equal"] for line in lines} == {True, False} for lines in CLASSES.values())


def test_the_last_balanced_box_counts():
    assert verify("math", "\\boxed{1} then \\boxed{2}", "2").extracted == "2"
    assert verify("math", "\\boxed{\\frac{1}{2}}", "0.5").extracted == "\\frac{1}{2}"
    assert verify("math", "\\boxed{3} and \\boxed{4", "3").extracted == "3"
    assert verify("math", "\\boxed{\\boxed{5}}", "5").extracted == "5"


def test_without_a_box_is_no_answer_unless_a_stated_one_may_count():
    assert verify("math", "the answer is 42.", "42", extraction="strict").reason == "no_answer"
    for response in ("the answer is 42.", "Answer: 42", "**Final answer: 42**", "the final answer is: $42$"):
        assert verify("math", response, "42", extraction="strict", final_answer=True).outcome == "right", response
        assert verify("math", response, "42").outcome == "right", response
    assert verify("math", "Answer: 41\n\\boxed{42}", "42", final_answer=True).outcome == "right"


def test_a_response_that_is_nothing_but_an_answer():
    assert verify("math", " $\\sqrt{8}$ \n", "2\\sqrt{2}").outcome == "right"
    assert verify("math", "It is hard to say. " * 20, "2\\sqrt{2}").reason == "no_answer"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "  ",
        None,
        "\\boxed{}",
        "so \\boxed{3",
        "9" * 2000,
        "$",
        ["3"],
        True,
        math.nan,
        -math.inf,
        b"3",
        {"answer": 3},
    ],
)
def test_bad_reference(reference):
    verdict = verify("math", "\\boxed{3}", reference)
    assert (verdict.outcome, verdict.reason) == ("unscorable", "bad_reference")


def test_a_number_too_long_to_write_is_a_bad_reference():
    assert verify("math", "\\boxed{3}", 10**5000).reason == "bad_reference"


@pytest.mark.parametrize("reference", ["1/0", "\\frac{0}{0}", "x=\\frac{1}{0}"])
def test_a_reference_without_a_value_is_bad_whatever_the_answer(reference):
    assert verify("math", "\\boxed{\\sqrt{3}}", reference).reason == "bad_reference"


def test_a_reference_may_be_boxed_or_any_number():
    assert verify("math", "\\boxed{3}", "thus \\boxed{3}").outcome == "right"
    for reference in (3, 3.0, np.int64(3), np.float32(3), Fraction(6, 2)):
        assert verify("math", "\\boxed{3}", reference).outcome == "right", repr(reference)
        assert verify("math", "\\boxed{4}", reference).outcome == "wrong", repr(reference)
    assert verify("math", "\\boxed{0.0000001}", 1e-7).outcome == "right"


def test_what_cannot_be_compared_is_unscorable_not_wrong():
    verdict = verify("math", "\\boxed{x\\ne 2}", "x\\ne 3")
    assert (verdict.outcome, verdict.reason) == ("unscorable", "error")


def test_a_long_answer_is_wrong_and_cut():
    verdict = verify("math", "\\boxed{" + "9" * 5000 + "}", "3")
    assert (verdict.outcome, verdict.reason, len(verdict.extracted)) == ("wrong", "too_long", 1000)


@pytest.mark.parametrize("timeout", [0, -1, math.inf, math.nan, "5", None])
def test_impossible_time_limits_are_refused(timeout):
    with pytest.raises(ValueError, match="timeout"):
        verify("math", "\\boxed{3}", "3", timeout=timeout)


def test_numbers_are_compared_exactly():
    rng = random.Random(0)
    for _ in range(300):
        above, below = rng.randint(-(10**12), 10**12), rng.randint(1, 10**6)
        assert verify("math", f"\\boxed{{{above}}}", str(above)).outcome == "right"
        assert verify("math", f"\\boxed{{{above + 1}}}", str(above)).outcome == "wrong"
        assert verify("math", f"\\boxed{{{2 * above}/{2 * below}}}", f"{above}/{below}").outcome == "right"


def test_the_exact_path_starts_no_process_and_loads_nothing_heavy():
    script = (
        "import sys, rewards\n"
        "for answer in ('4', '3.50', '\\\\frac{7}{2}', '3 1/2', '1,000', '3.5'):\n"
        "    rewards.verify('math', f'so \\\\boxed{{{answer}}}', '3.5')\n"
        "import multiprocessing, threading\n"
        "assert not {'torch', 'sympy', 'pebble', 'math_verify', 'conf'} & set(sys.modules)\n"
        "assert not multiprocessing.active_children() and threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
