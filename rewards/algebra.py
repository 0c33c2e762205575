"""Comparison by math-verify. Only workers and their fork server import this: it takes seconds, and changes the parser.

math-verify 0.9.0 is used as it is, but for two things in its LaTeX parser (latex2sympy2_extended 1.11.0):
its grammar for ANTLR 4.9.3, the one that lives beside Hydra, lacks a method, so that no percentage can be read; and
ANTLR's fast prediction is tried first, which halves the time.
"""

import logging
from functools import lru_cache
from typing import Any

from antlr4.atn.PredictionMode import PredictionMode
from latex2sympy2_extended.antlr_parser import PSParser
from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
from math_verify import parse, verify
from sympy import Basic, nan, zoo

from rewards.verdict import Outcome

_WARM = [
    ("\\frac{1}{2}x", "\\frac{x}{2}"),
    ("2\\sqrt{3}", "\\sqrt{12}"),
    ("(x+1)(x-2)", "x^2-x-2"),
    ("(1,\\frac{\\pi}{2},3)", "(1,\\pi/2,-3)"),
    ("x=\\pm 5", "\\{-5,5\\}"),
    ("[1,\\infty)", "x\\ge 1"),
    ("50\\%", "0.5"),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&5\\end{pmatrix}"),
    ("\\text{Monday}", "Monday"),
    ("3-2i", "\\frac{1}{\\sqrt[3]{7}}+\\sin 30^\\circ"),
]


def compare(gold: str, answer: str) -> tuple[Outcome, str]:
    """(outcome, reason) by math-verify, without its signals: call it only where the caller can be killed."""
    golds = _parse(gold)
    if not golds or any(_undefined(value) for value in golds):
        return "unscorable", "bad_reference"
    answers = _parse(answer)
    if not answers:
        return "wrong", "unparsable"
    return _judge(golds, answers)


@lru_cache(maxsize=256)  # the answers of one group are compared with one reference
def _parse(answer: str) -> list[Any]:
    try:
        return parse(f"\\boxed{{{answer}}}", parsing_timeout=None, raise_on_error=True)
    except MemoryError:
        raise
    except Exception:  # the verifier's boundary: what its parser cannot read is not an answer
        return []


def _undefined(value: Any) -> bool:
    """Whether this is what sympy makes of 1/0 and 0/0: nothing can be compared with it."""
    return isinstance(value, Basic) and bool(value.has(nan, zoo))


def _judge(golds: list[Any], answers: list[Any]) -> tuple[Outcome, str]:
    try:
        equal = verify(golds, answers, timeout_seconds=None, raise_on_error=True)
    except MemoryError:
        raise
    except Exception:  # the verifier's boundary: one reading failed, another may still agree; if none does, say so
        if not verify(golds, answers, timeout_seconds=None):
            return "unscorable", "error"
        equal = True
    return ("right", "match") if equal else ("wrong", "mismatch")


_parse_fully = _Latex2Sympy.parse


def _parse_quickly(self: Any, latex: str) -> Any:
    """ANTLR's two stages: SLL prediction gives the tree of LL prediction or an error (ANTLR 4, PredictionMode.SLL)."""
    create = self.create_parser

    def created(text: str) -> Any:
        parser = create(text)
        parser._interp.predictionMode = PredictionMode.SLL
        return parser

    self.create_parser = created
    try:
        return _parse_fully(self, latex)
    except Exception:  # whatever it was, the second stage has the last word
        self.create_parser = create
        return _parse_fully(self, latex)


def _percentages(atoms: Any) -> None:
    """Give the grammar's atoms the method that the converter asks before it comes to percentages."""
    if not hasattr(atoms, "FUNC_GAMMA"):
        atoms.FUNC_GAMMA = lambda self: None


_Latex2Sympy.parse = _parse_quickly
_percentages(PSParser.AtomContext)
logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no time limit of its own
for _gold, _answer in _WARM:  # fills ANTLR's tables and sympy's caches once, for all workers of a fork server
    compare(_gold, _answer)
