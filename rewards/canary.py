"""Known right and known wrong answers, judged before anything rests on the verifiers.

A verifier that silently calls everything wrong teaches a model nothing and ruins a month; these few answers pass
through the same processes as the real ones, and show it in a second.
"""

from collections.abc import Iterable

from rewards import Request, Verdict, verify_many

_SQUARE = "```python\nprint(int(input()) ** 2)\n```"
_NO_COMMAS = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
_TEST = {"form": "stdin", "inputs": ["3\n"], "outputs": ["9\n"]}

_HALF = {
    "task": "fraction_simplification",
    "config": {},
    "question": "Simplify 2/4.",
    "answer": "1/2",
    "metadata": {"numerator": 2, "denominator": 4, "simplified_numerator": 1, "simplified_denominator": 2},
}

# kind -> (request, outcome, reason where it matters)
BATCH: dict[str, list[tuple[Request, str]]] = {
    "math": [
        (Request("math", "so \\boxed{42}", "42"), "right"),
        (Request("math", "so \\boxed{41}", "42"), "wrong"),
        (Request("math", "\\boxed{\\frac{2\\sqrt{2}}{4}}", "\\frac{1}{\\sqrt{2}}"), "right"),
        (Request("math", "\\boxed{x^2+2x}", "(x+1)^2"), "wrong"),
        (Request("math", "no answer", "42"), "wrong"),
        (Request("math", "\\boxed{42}", ""), "unscorable"),
    ],
    "choice": [
        (Request("choice", "(B)", "B"), "right"),
        (Request("choice", "(A)", "B"), "wrong"),
        (Request("choice", "(A)", "Paris"), "unscorable"),
    ],
    "text": [
        (Request("text", "bread", "bread"), "right"),
        (Request("text", "stone", "bread"), "wrong"),
        (Request("text", "bread", ""), "unscorable"),
    ],
    "instruction": [
        (Request("instruction", "Short and plain.", _NO_COMMAS), "right"),
        (Request("instruction", "Short, and plain.", _NO_COMMAS), "wrong"),
        (Request("instruction", "Short.", {"instruction_id_list": ["no:such"], "kwargs": [{}]}), "unscorable"),
    ],
    "code": [
        (Request("code", _SQUARE, _TEST), "right"),
        (Request("code", _SQUARE.replace("2", "3"), _TEST), "wrong"),
        (Request("code", _SQUARE, {"form": "none"}), "unscorable"),
    ],
    "reasoning_gym": [
        (Request("reasoning_gym", "so \\boxed{1/2}", _HALF), "right"),
        (Request("reasoning_gym", "2/4", _HALF), "wrong"),
        (Request("reasoning_gym", "1/2", {"task": "none"}), "unscorable"),
    ],
}


def failures(kinds: Iterable[str], workers: int = 0) -> list[str]:
    """What the verifiers of `kinds` judged otherwise than is known, one sentence each; empty where all is well."""
    known = [case for kind in sorted(set(kinds)) for case in BATCH[kind]]
    verdicts = verify_many([request for request, _ in known], workers)
    return [_told(*case, verdict) for case, verdict in zip(known, verdicts, strict=True) if case[1] != verdict.outcome]


def _told(request: Request, outcome: str, verdict: Verdict) -> str:
    asked = f"{request.kind}: {request.response!r} against {request.reference!r}"
    return f"{asked} is {outcome}, but was judged {verdict.outcome} ({verdict.reason})"
