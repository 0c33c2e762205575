"""What `verify` promises whatever the kind."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from rewards import KINDS, verify

ROOT = Path(__file__).parents[2]
RIVER = {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["river"]}]}
ECHO = {"form": "stdin", "inputs": ["1\n"], "outputs": ["1\n"]}
HALF = {"task": "fraction_simplification", "config": {}, "question": "2/4", "answer": "1/2"}
HALF["metadata"] = {"numerator": 2, "denominator": 4, "simplified_numerator": 1, "simplified_denominator": 2}
REFERENCES = {"math": "3", "choice": "B", "text": "3", "instruction": RIVER, "code": ECHO, "reasoning_gym": HALF}
HOSTILE = [
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
    "answer is " * 20000,
    "\\boxed{" + "9" * 100000 + "}",
    "(" * 100000,
    "a" * 1000000,
    "\\boxed{\u0663}",
    None,
    7,
    b"\\boxed{3}",
]


NO_GYM = pytest.mark.skipif(not find_spec("reasoning_gym"), reason="pip install -e '.[reasoning]'")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=NO_GYM if kind == "reasoning_gym" else ()) for kind in KINDS]
)
@pytest.mark.parametrize("response", HOSTILE)
def test_hostile_responses_are_wrong(kind, response):
    assert verify(kind, response, REFERENCES[kind]).outcome == "wrong"


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


def test_importing_is_light():
    script = "import sys, rewards; assert not {'torch', 'sympy', 'pebble', 'conf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
