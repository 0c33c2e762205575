import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rewards import KINDS, Request, verify, verify_many
from rewards.mathematics import compare, prepare
from rewards.verdict import Task

ROOT = Path(__file__).parents[2]

MATH_RIGHT = [
    ("42", "42"),
    ("042", "42"),
    ("+42", "42"),
    ("1,234,567", "1234567"),
    ("0.50", "1/2"),
    ("\\frac12", "0.5"),
    ("\\dfrac{2}{4}", "\\frac{1}{2}"),
    ("-\\frac{1}{2}", "-0.5"),
    ("$7$", "7"),
    ("7.", "7"),
    (" \u22123 ", "-3"),
    ("2\\sqrt{2}", "\\sqrt{8}"),
    ("x=5", "5"),
    ("(x+1)^2", "x^2+2x+1"),
    ("\\{2,1\\}", "\\{1,2\\}"),
    ("\\left(1,2\\right)", "(1, 2)"),
    ("0.333333", "\\frac{1}{3}"),
]
MATH_WRONG = [
    ("41", "42"),
    ("-42", "42"),
    ("0.51", "1/2"),
    ("1/3", "0.5"),
    ("(2,1)", "(1,2)"),
    ("x+1", "x+2"),
    ("\\sqrt{7}", "\\sqrt{8}"),
    ("\\frac{1}{0}", "3"),
]


@pytest.mark.parametrize(("answer", "reference"), MATH_RIGHT)
def test_math_right(answer, reference):
    assert verify("math", f"so \\boxed{{{answer}}}", reference).outcome == "right"


@pytest.mark.parametrize(("answer", "reference"), MATH_WRONG)
def test_math_wrong(answer, reference):
    assert verify("math", f"so \\boxed{{{answer}}}", reference).outcome == "wrong"


def test_math_takes_the_last_balanced_box():
    assert verify("math", "\\boxed{1} then \\boxed{2}", "2").extracted == "2"
    assert verify("math", "\\boxed{\\frac{1}{2}}", "0.5").extracted == "\\frac{1}{2}"
    assert verify("math", "\\boxed{3} and \\boxed{4", "3").extracted == "3"
    assert verify("math", "\\boxed{\\boxed{5}}", "5").extracted == "5"


def test_math_without_a_box_is_no_answer_unless_a_stated_one_may_count():
    assert verify("math", "the answer is 42.", "42", extraction="strict").reason == "no_answer"
    for response in ("the answer is 42.", "Answer: 42", "**Final answer: 42**", "the final answer is: $42$"):
        assert verify("math", response, "42", extraction="strict", final_answer=True).outcome == "right", response
        assert verify("math", response, "42").outcome == "right", response
    assert verify("math", "Answer: 41\n\\boxed{42}", "42", final_answer=True).outcome == "right"


@pytest.mark.parametrize("reference", ["", "  ", None, "\\boxed{}", "9" * 2000, ["3"], True])
def test_math_bad_reference(reference):
    verdict = verify("math", "\\boxed{3}", reference)
    assert (verdict.outcome, verdict.reason) == ("unscorable", "bad_reference")


def test_math_reference_may_be_a_number_or_boxed():
    assert verify("math", "\\boxed{3}", 3).outcome == "right"
    assert verify("math", "\\boxed{3}", "thus \\boxed{3}").outcome == "right"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "response",
    [
        "",
        "\x00",
        "\\boxed{\x00}",
        "\\boxed{",
        "\\boxed{" * 20000,
        "{" * 100000,
        "\\boxed{" + "{" * 50000 + "}" * 50000 + "}",
        "\ud800",
        "\\",
        "answer:" + "\n" * 100000,
    ]
    + [
        "answer is " * 20000,
        "\\boxed{" + "9" * 100000 + "}",
        "(" * 100000,
        "a" * 1000000,
        "\\boxed{\u0663}",
        None,
        7,
        b"\\boxed{3}",
    ],
)
def test_hostile_responses_are_wrong(kind, response):
    river = {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["river"]}]}
    reference = {"math": "3", "choice": "B", "text": "3", "instruction": river, "code": {"form": "stdin"}}[kind]
    assert verify(kind, response, reference).outcome == "wrong"


@pytest.mark.parametrize("answer", ["10^{10^{10}}", "9^{9^{9^{9}}}", "10^{10^{10}}!", "{" * 400 + "}" * 400])
def test_time_limit_kills_off_the_main_thread(answer):
    verify("math", "\\boxed{x}", "y")  # the worker is warm
    found = []
    start = time.monotonic()
    thread = threading.Thread(target=lambda: found.append(verify("math", f"\\boxed{{{answer}}}", "5", timeout=1)))
    thread.start()
    thread.join(10)
    assert time.monotonic() - start < 4
    assert (found[0].outcome, found[0].reason) == ("unscorable", "timeout")
    assert verify("math", "\\boxed{\\sqrt{8}}", "2\\sqrt{2}").outcome == "right"


def test_many_keeps_order_beside_endless_ones():
    answers = [("\\sqrt{8}", "right"), ("\\sqrt{7}", "wrong"), ("9^{9^{9^{9}}}", "unscorable"), ("x", "wrong")] * 3
    requests = [Request("math", f"\\boxed{{{answer}}}", "2\\sqrt{2}", {"timeout": 1}) for answer, _ in answers]
    assert [verdict.outcome for verdict in verify_many(requests, workers=2)] == [outcome for _, outcome in answers]


def comparison(gold, answer):
    return Task(compare, (gold, answer), 5.0, answer, prepare)


def test_a_dead_worker_is_replaced():
    from rewards import workers

    workers.run([comparison("x", "y")])
    pids = [worker.pid for worker in workers._pools[1, prepare]._pool_manager.worker_manager.workers.values()]
    for pid in pids:
        os.kill(pid, 9)
    assert workers.run([comparison("2\\sqrt{2}", "\\sqrt{8}")] * 3) == [("right", "match")] * 3


def test_a_task_that_crashes_its_worker_is_unscorable():
    from rewards import workers

    assert workers.run([Task(os._exit, (3,), 5.0, None)]) == [("unscorable", "crash")]
    assert workers.run([comparison("x", "x")]) == [("right", "match")]


CHOICE_RIGHT = [
    "\\boxed{B}",
    "\\boxed{\\text{(B)}}",
    "(B)",
    "b",
    "B.",
    "answer: b",
    "The answer is **(B)**.",
    "I think (B) is right",
    "B) Paris",
    "So it must be B",
    "$B$",
]


@pytest.mark.parametrize("response", CHOICE_RIGHT)
def test_choice_right(response):
    assert verify("choice", response, "B").outcome == "right"
    assert verify("choice", response, "(b)").outcome == "right"
    assert verify("choice", response, "c").outcome == "wrong"


def test_choice_ambiguous_missing_and_bad():
    assert verify("choice", "(A) or (B)", "B").reason == "ambiguous"
    assert verify("choice", "either \\boxed{A or B}", "B").outcome == "wrong"
    assert verify("choice", "So it must be A", "A").outcome == "right"
    assert verify("choice", "A cat, so I say D", "D").outcome == "right"
    assert verify("choice", "no idea at all", "B").reason == "no_answer"
    assert verify("choice", "B", "Paris").reason == "bad_reference"


def test_text_modes():
    assert verify("text", " hello rila \n", "hello rila").outcome == "right"
    assert verify("text", "Hello rila", "hello rila").outcome == "wrong"
    assert verify("text", "The  Cat, sat!", "a cat sat", mode="normalised").outcome == "right"
    assert verify("text", "it is the Cat.", "cat", mode="contains").outcome == "right"
    assert verify("text", "concatenate", "cat", mode="contains").outcome == "wrong"
    assert verify("text", "x", "").reason == "bad_reference"
    assert verify("text", "x", "the", mode="normalised").reason == "bad_reference"


def test_programmers_mistakes_raise():
    with pytest.raises(ValueError, match="unknown kind"):
        verify("poetry", "x", "y")
    with pytest.raises(ValueError, match="unknown mode"):
        verify("text", "x", "y", mode="loose")
    with pytest.raises(TypeError):
        verify("math", "x", "y", final=True)


_PIECES = [
    "\\boxed{",
    "\\frac",
    "\\text{",
    "\\sqrt",
    "{",
    "}",
    "(",
    ")",
    "answer: ",
    "$",
    "^",
    "_",
    "\\",
    "\n",
    "\x00",
    "\ud800",
    "%",
    "|",
    ",",
    "[",
]


def _noise(rng: random.Random) -> str:
    return "".join(
        rng.choice([rng.choice(_PIECES), str(rng.randint(0, 99)), chr(rng.randrange(0x3000))])
        for _ in range(rng.randint(0, 25))
    )


def test_verify_never_raises_and_answers_the_same_twice():
    rng = random.Random(0)
    responses = [rng.choice(["{}", "\\boxed{{{}}}", "answer: {}", "({})"]).format(_noise(rng)) for _ in range(150)]
    cases = [("math", "3", {"timeout": 2}), ("choice", "B", {}), ("text", "abc", {})]
    requests = [Request(kind, text, reference, options) for text in responses for kind, reference, options in cases]
    verdicts = verify_many(requests)
    assert {verdict.outcome for verdict in verdicts} <= {"right", "wrong", "unscorable"}
    assert "bad_reference" not in {verdict.reason for verdict in verdicts}
    assert [v for v in verify_many(requests) if v.reason != "timeout"] == [v for v in verdicts if v.reason != "timeout"]


def test_exact_path_on_numbers():
    rng = random.Random(0)
    for _ in range(300):
        above, below = rng.randint(-(10**12), 10**12), rng.randint(1, 10**6)
        assert verify("math", f"\\boxed{{{above}}}", str(above)).outcome == "right"
        assert verify("math", f"\\boxed{{{above + 1}}}", str(above)).outcome == "wrong"
        assert verify("math", f"\\boxed{{{2 * above}/{2 * below}}}", f"{above}/{below}").outcome == "right"


def test_an_unguarded_script_may_verify_and_imports_stay_light(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; import rewards\n"
        "assert not {'torch', 'sympy', 'pebble', 'conf'} & set(sys.modules)\n"
        "print('ran')\n"
        "rewards.verify('math', '\\\\boxed{3}', '4'); assert 'pebble' not in sys.modules\n"
        "print(rewards.verify('math', r'\\boxed{\\sqrt{8}}', r'2\\sqrt{2}').outcome)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.returncode) == (["ran", "right"], 0), done.stderr
