import json
import random

import pytest

from rewards import sandbox, workers
from rewards.code import extract, judge, same_text, same_value
from rewards.programs import stated
from rewards.sandbox.inside import plain
from rewards.verdict import Task, Verdict

ADD = {"form": "stdin", "inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
PAIR = {"form": "call", "entry_point": "pair", "inputs": [[1, 2], [[3], "x"]], "outputs": [[1, 2], [[3], "x"]]}
# two problems of HumanEval's shape: the second one's test uses a helper that the prompt defines
DOUBLE = {
    "form": "check",
    "entry_point": "double",
    "prompt": 'from typing import List\n\n\ndef double(xs: List[int]) -> List[int]:\n    """Twice each."""\n',
    "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate([1, 2]) == [2, 4] and double([]) == []\n",
}
ROOT = {
    "form": "check",
    "entry_point": "root",
    "prompt": "import math\ndef line(c, x):\n    return c[0] + c[1] * x\n\ndef root(c):\n    '''A zero of line.'''\n",
    "test": "def check(candidate):\n  for a in 0, 7:\n    assert math.fabs(line([a, 2], candidate([a, 2]))) < 1e-4\n",
}


def verdict(code, reference, fenced=True, **options):
    """(outcome, reason) of a program."""
    found = judge(f"Here:\n```python\n{code}\n```\nDone." if fenced else code, reference, **options)
    if isinstance(found, Verdict):
        return found.outcome, found.reason
    return found.function(*found.arguments)


RIGHT = ("right", "match")


@pytest.mark.parametrize(
    "program",
    [
        "a, b = map(int, input().split())\nprint(a + b)",
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
        "print(sum(int(x) for x in open(0).read().split()), end='')",
        "def main(): print(sum(map(int, stdin.readline().split())))\nif __name__ == '__main__':\n    main(); exit(1)",
        "import threading\nthreading.Thread(target=lambda: print(sum(map(int, input().split())))).start()",
        "x = Counter(map(int, input().split()))\nprint(f'{float(x.total() and sum(x.elements())):.3f}')",
        "import atexit\natexit.register(print, sum(map(int, input().split())))",
    ],
)
def test_stdin_right(program):
    assert verdict(program, ADD) == RIGHT


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print(3)", "mismatch"),
        ("", "no_answer"),
        ("pass", "mismatch"),
        ("a, b = map(int, input().split())\nprint(a + b, 0)", "mismatch"),
        ("a, b = map(int, input().split())\nprint(a + b)\nraise ValueError", "exception"),
        ("a, b = map(int, input().split())\nprint(a + b)\ninput()", "exception"),
        ("print(7 if 3 in globals().setdefault('seen', [3]) else 3)", "mismatch"),
        ("def (", "syntax"),
        ("print('\x00')", "syntax"),
        ("x = '\ud800'", "syntax"),
        ("(" * 100000, "syntax"),
        ("x" * 300000, "too_long"),
    ],
)
def test_stdin_wrong(program, reason):
    assert verdict(program, ADD) == ("wrong", reason)


def test_every_input_meets_a_new_program():
    program = "try: print(known)\nexcept NameError: known = 1; open('known', 'w').close(); print(input())"
    assert verdict(program, {"form": "stdin", "inputs": ["a", "b", "c"], "outputs": ["a", "b", "c"]}) == RIGHT


def test_unicode_large_and_empty_texts():
    texts = ["é\u2028中\n", "x" * 3_000_000, "", "a\x00b\r\n"]
    copy = "import sys; sys.stdout.write(sys.stdin.read())"
    assert verdict(copy, {"form": "stdin", "inputs": texts, "outputs": texts}) == RIGHT


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        ("3\n", "3", True),
        ("  3  \n\n", "3\n", True),
        ("1 2\n 3 \n", "1 2\n3", True),
        ("0.50 1e2", "0.5 100", True),
        ("50000000000000001", "50000000000000000", False),
        ("0.3333", "0.33333", False),
        ("1 2", "1  2", True),
        ("a b", "a  b", False),
        ("1\n2", "1 2", False),
        ("1\n\n2", "1\n2", False),
        ("Yes", "YES", False),
        ("", "", True),
        ("", "0", False),
        ("nan", "nan", True),
        ("sNaN 1", "1 1", False),
        ("Infinity", "inf", True),
        ("1e999999999", "1e-999999999", False),
    ],
)
def test_text_is_compared_as_livecodebench_does(found, expected, equal):
    assert same_text(found, expected) is equal


@pytest.mark.parametrize(
    "program",
    [
        "def pair(a, b): return a, b",
        "def pair(a, b):\n    print('noise')\n    return [a, b]",
        "class Solution:\n    def pair(self, a: int, b: List) -> Tuple:\n        return list((a, b))",
        "import collections\nP = collections.namedtuple('P', 'a b')\ndef pair(*x): return P(*x)",
        "import dataclasses as d\n@d.dataclass\nclass P:\n    a: int; b: int\ndef pair(*x): return d.astuple(P(*x))",
    ],
)
def test_call_right(program):
    assert verdict(program, PAIR) == RIGHT


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def pair(a, b): return b, a", "mismatch"),
        ("def pair(a, b): return (x for x in (a, b))", "not_plain"),
        ("def pair(a, b):\n    x = []\n    x.append(x)\n    return x", "not_plain"),
        ("def pair(a, b):\n    x = []\n    for _ in range(5000): x = [x]\n    return x", "crash"),
        ("def pair(a, b): return {(): [], frozenset(): 1}", "mismatch"),
        ("def pair(a, b): return 1 / 0", "exception"),
        ("def pair(a): return a", "exception"),
        ("1 / 0", "exception"),
        ("def other(a, b): return a, b", "no_entry_point"),
        ("class Solution:\n    def other(self, a, b): return a, b", "no_entry_point"),
        ("pair = 3", "exception"),
        ("def pair(a, b) return a", "syntax"),
    ],
)
def test_call_wrong(program, reason):
    assert verdict(program, PAIR) == ("wrong", reason)


def test_the_function_is_loaded_once_and_called_in_order():
    reference = {"form": "call", "entry_point": "f", "inputs": [[], []], "outputs": [1, 2]}
    assert verdict("n = 0\ndef f():\n    global n; n += 1; return n", reference) == RIGHT


def test_values_are_compared_as_python_does_but_tuples_are_lists():
    assert same_value([(1, [2]), {"a": (1,)}], [[1, [2]], {"a": [1]}])
    assert same_value(1.0, 1) and same_value(True, 1) and same_value({1, 2}, {2, 1})
    assert not same_value([1], {1}) and not same_value("1", 1) and not same_value({1: 2}, {"1": 2})
    assert not same_value([1, 2], [1]) and not same_value(0.1 + 0.2, 0.3) and not same_value(None, 0)


def test_plain_data_survives_and_nothing_else_is_read():
    rng = random.Random(0)
    leaves = [
        None,
        True,
        0,
        -1,
        2**70,
        -(10**5000),
        1.5,
        float("inf"),
        "",
        "\ud800\n",
        b"\xff",
        1 - 2j,
        (),
        frozenset({1}),
    ]

    def value(depth):
        if depth == 0:
            return rng.choice(leaves)
        parts = [value(depth - 1) for _ in range(rng.randrange(4))]
        keys = [rng.choice(leaves) for _ in parts]
        return rng.choice([parts, tuple(parts), dict(zip(keys, parts, strict=True)), set(keys)])

    for _ in range(300):
        given = value(3)
        found = plain.decode(json.loads(json.dumps(plain.encode(given))))
        assert found == given and type(found) is type(given)
    for data in (
        {},
        {"a": 1},
        {"int": "x"},
        {"int": 3},
        {"set": [[]]},
        {"dict": [1]},
        {"tuple": 1, "set": 1},
        {"complex": "1"},
        {"complex": []},
        {"bytes": 3},
    ):
        with pytest.raises(plain.MALFORMED):
            plain.decode(data)
    with pytest.raises(TypeError):
        plain.encode([object()])


def test_check_takes_a_body_or_a_whole_function():
    body = "    return [2 * x for x in xs]\n"
    assert verdict(body, DOUBLE) == RIGHT
    assert verdict(body, DOUBLE, fenced=False, bare=True) == RIGHT
    assert verdict("def double(xs: List[int]):\n" + body, DOUBLE) == RIGHT
    assert verdict("import itertools\ndouble = lambda xs: [x + x for x in xs]", DOUBLE) == RIGHT
    assert verdict("def double(xs):\n" + body, DOUBLE | {"prompt": ""}) == RIGHT
    assert verdict(body, DOUBLE | {"prompt": "def double(xs):\n"}) == RIGHT
    assert verdict("def double(xs):\n" + body, DOUBLE | {"prompt": "def double(xs):\n"}) == RIGHT
    assert verdict("    return xs", DOUBLE) == ("wrong", "mismatch")
    assert verdict("    return None + 1", DOUBLE) == ("wrong", "exception")
    assert verdict("    return undefined", DOUBLE) == ("wrong", "exception")
    assert verdict("return xs", DOUBLE) == ("wrong", "syntax")


def test_check_may_use_the_prompts_helpers_and_they_are_its_own():
    assert verdict("    return -c[0] / c[1]", ROOT) == RIGHT
    assert verdict("def line(c, x): return 0\ndef root(c): return 0", ROOT) == ("wrong", "mismatch")
    assert verdict("    return None", ROOT) == ("wrong", "exception")


def test_check_sees_exceptions_and_keywords():
    test = """
def check(candidate):
    assert candidate(a=1, b=(2,)) == (1, (2,))
    try: candidate(b=None)
    except ValueError: return
    assert False
"""
    reference = {"form": "check", "entry_point": "f", "test": test}
    assert verdict("def f(a=0, b=None):\n    if not b: raise ValueError\n    return a, b", reference) == RIGHT
    assert verdict("def f(a=0, b=None):\n    if not b: raise KeyError\n    return a, b", reference) == (
        "wrong",
        "exception",
    )
    assert verdict("def f(a=0, b=None): return [a, b]", reference) == ("wrong", "mismatch")


@pytest.mark.parametrize(
    "test",
    [
        "def check(candidate) assert",
        "def other(candidate): 'check'",
        "import no_such_module\ndef check(candidate): pass",
        "def check(candidate): assert candidate(helper(1))",
        "def check(candidate): assert candidate(lambda: 1)",
        "import os\ndef check(candidate): os._exit(0)",
    ],
)
def test_a_test_that_cannot_judge_is_a_bad_reference(test):
    reference = {"form": "check", "entry_point": "f", "test": test}
    assert verdict("def f(x): return x", reference) == ("unscorable", "bad_reference")


@pytest.mark.parametrize(
    "reference",
    [
        None,
        "",
        "[1]",
        "{",
        "[" * 100000,
        {},
        {"form": "poem"},
        {"form": []},
        ADD | {"inputs": []},
        ADD | {"inputs": ["1"]},
        ADD | {"inputs": [1, 2]},
        ADD | {"outputs": None},
        {"form": "stdin", "inputs": [], "outputs": []},
        PAIR | {"entry_point": "not a name"},
        PAIR | {"entry_point": None},
        PAIR | {"inputs": [1, 2]},
        PAIR | {"outputs": [object(), 1]},
        DOUBLE | {"test": None},
        DOUBLE | {"test": "pass"},
        DOUBLE | {"prompt": 3},
    ],
)
def test_bad_references(reference):
    assert verdict("print(1)", reference) == ("unscorable", "bad_reference")
    assert verdict("no code", reference, fenced=False) == ("unscorable", "bad_reference")


def test_a_reference_may_be_json_text():
    assert verdict("def pair(a, b): return a, b", json.dumps(PAIR)) == RIGHT


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("```python\na\n```", "a\n"),
        ("```python\na\n```\n```python\nb\n```", "b\n"),
        ("```python\na\n```\nIt prints:\n```\n3\n```", "a\n"),
        ("```Python title=x\na\n```\n```text\n3\n```", "a\n"),
        ("```\na\n```\n```\nb\n```", "b\n"),
        ("~~~py\na\n~~~", "a\n"),
        ("````python\n```\na\n````", "```\na\n"),
        ("1. So:\n   ```python\n   if a:\n       b\n   ```", "if a:\n    b\n"),
        ("```python\r\na\r\n```\r\n", "a\r\n"),
        ("```python\n    return 1\n```", "    return 1\n"),
        ("```python\na\n```\nand then\n```python\nb", "a\n"),
        ("```python\nb", None),
        ("use ```a``` there", None),
        ("a", None),
        ("", None),
    ],
)
def test_extract(response, code):
    assert extract(response) == code


def test_bare_takes_what_stands_without_a_fence():
    assert extract("    return 1\n", bare=True) == "    return 1\n"
    assert extract("text\n```python\na\n```", bare=True) == "a\n"
    assert extract("```python\na\n", bare=True) == "a\n"
    assert verdict("print(sum(map(int, input().split())))", ADD, fenced=False) == ("wrong", "no_answer")
    assert verdict("print(sum(map(int, input().split())))", ADD, fenced=False, bare=True) == RIGHT


ONE = "def f(x):\n    return x + 1\n"
CLASS = "class Solution:\n    def f(self, x):\n        return x\n"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (f"```python\n{ONE}```", ONE),
        (f"```python\n{ONE}```\nUse it:\n```python\nprint(f(3))\n```", ONE),
        (f"```\n{ONE}```\nIt gives\n```text\n3\n```", ONE),
        (f"```python\n{ONE}", ONE),  # the last fence is not closed
        (f"```python\n{ONE}```\nBetter:\n```python\ndef f(x):\n    y = (x", ONE),  # the better one was cut off
        (f"Sure, here it is.\n{ONE}That adds one.", ONE),
        (f"Sure.\n{ONE}x = f(1) gives 2", ONE),
        (f"import math\n\n{ONE}\nf = cached(f)\n", f"import math\n\n{ONE}\nf = cached(f)\n"),
        (f"{ONE}\nBetter, I think:\n\n{ONE.replace('1', '2')}", ONE.replace("1", "2")),
        (CLASS, CLASS),
        ("def f(x):\n    y = x\n    return (y", None),
        ("We add one to x, for example f(1) is 2.", None),
        ("```python\nprint(3)\n```", "print(3)\n"),  # nothing complete: what the strict grade finds
        ("", None),
    ],
)
def test_the_last_complete_program_is_found_wherever_it_stands(response, code):
    assert stated(response, "f") == code


def test_a_program_without_a_name_has_to_call_something():
    bare = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
    assert stated(f"So:\n{bare}\nIt adds them.\n\n3\n7\n") == bare + "\n"
    assert verdict(f"So:\n{bare}\nThat is all.", ADD, fenced=False, extraction="aware") == RIGHT
    assert verdict(f"So:\n{bare}", ADD, fenced=False) == ("wrong", "no_answer")


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": float("nan")}, {"timeout": "9"}, {"timeout": True}, {"memory": 1}]
)
def test_impossible_numbers_raise(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        judge("", ADD, **options)


def test_impossible_words_raise():
    with pytest.raises(ValueError, match="limits"):
        judge("", ADD, mechanism="prayer")
    with pytest.raises(ValueError, match="bare"):
        judge("", ADD, bare=1)
    with pytest.raises(TypeError):
        judge("", ADD, tempo=1)


PIECES = [
    "```",
    "```python",
    "~~~",
    "\n",
    "\n\n",
    " ",
    "`" * 9,
    "print(1)",
    "def f(:",
    "\x00",
    "\ud800",
    "\u2028",
    "{",
    "\t",
    "'",
]


def test_no_response_raises_and_extraction_is_linear():
    rng = random.Random(0)
    for _ in range(1000):
        response = "".join(rng.choice(PIECES) for _ in range(rng.randrange(30)))
        for bare in (False, True):
            assert isinstance(judge(response, ADD, bare=bare), Verdict | Task)
            stated(response, rng.choice(["", "f"]), bare)
    for piece in [*PIECES, "```a", "```\n", "```\n`", "``` `", "a`"]:
        judge(piece * (10**5 // len(piece)) + "`", ADD)
    for piece in [
        "(",
        "-",
        "lambda:",
        "f(\n",
        "if x:\n",
        "a=",
        '""',
        "x = 1\ny y\n",
        "a[",
        "def f(x): pass\n\nwords\n",
    ]:
        stated(piece * (10**4 // len(piece)), "f")


def test_workers_run_programs_beside_endless_ones():
    programs = [("print(sum(map(int, input().split())))", 10), ("while True: pass", 0.5), ("print(0)", 10)] * 2
    tasks = [judge(f"```python\n{program}\n```", ADD, timeout=timeout) for program, timeout in programs]
    assert workers.run(tasks, 2) == [RIGHT, ("wrong", "timeout"), ("wrong", "mismatch")] * 2
    assert {task.arguments[-1] for task in tasks} == {sandbox.mechanism()}
