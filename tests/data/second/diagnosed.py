"""Diagnostics by a second method: every step is worked out again from the prompt's text."""

import ast
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction

from tests.data.second.reading import count_atoms, evaluate, measure, numbers, total, value

Found = tuple[int, str]  # which step is wrong, from 0, and what belongs there
ASKS = r"\. (?:wrong step\?|right result\?|which step is wrong\?|what is right there\?)$"


def steps(prompt: str) -> list[str]:
    if "\n" in prompt:
        return re.findall(r"^\d\. (.*)$", prompt, re.MULTILINE)
    found = re.search(rf"(?:^| )1: (.*?){ASKS}", prompt)[1]
    return re.split(r"\. \d: ", found)


def single(right: list[tuple[str, str]]) -> Found:
    """The one step whose claim is not what it should be: (claimed, should be)."""
    wrong = [place for place, (claimed, true) in enumerate(right) if claimed != true]
    assert len(wrong) == 1, right
    return wrong[0], right[wrong[0]][1]


def sums(prompt: str, _: str) -> Found:
    found = []
    for step in steps(prompt):
        *_head, left, right = step.split("=")
        found.append((re.search(r"-?\d+", right).group(), str(evaluate(left.rpartition(":")[2]))))
    return single(found)


def carried_chain(prompt: str, difficulty: str) -> Found:
    """Sums of which each begins with the result before."""
    all_numbers = [re.findall(r"-?\d+", step.replace("- ", "-").replace("+", " ")) for step in steps(prompt)]
    assert all(a[-1] == b[0] for a, b in zip(all_numbers, all_numbers[1:], strict=False))
    return sums(prompt, difficulty)


def terms(prompt: str, difficulty: str) -> Found:
    """The one place at which a polynomial of degree 1 (hard: 2) through all others does not run through the term."""
    listed, degree = [int(one) for one in steps(prompt)], 1 + (difficulty == "hard")
    found = []
    for place in range(len(listed)):
        others = [(x, y) for x, y in enumerate(listed) if x != place]
        if all(through(others[: degree + 1], x) == y for x, y in others):
            found.append((place, str(through(others[: degree + 1], place))))
    assert len(found) == 1
    return found[0]


def through(points: list[tuple[int, int]], x: int) -> Fraction:
    """Lagrange's polynomial."""
    result = Fraction(0)
    for i, (a, y) in enumerate(points):
        term = Fraction(y)
        for j, (b, _) in enumerate(points):
            if i != j:
                term *= Fraction(x - b, a - b)
        result += term
    return result


def conversions(prompt: str, _: str) -> Found:
    found = []
    for step in steps(prompt):
        left, right = step.split("=")
        n, unit = right.split()
        found.append((n, measure(left, unit)))
    return single(found)


def counted_atoms(prompt: str, _: str) -> Found:
    claims = [re.match(r"(\S+) has (\d+)", step).groups() for step in steps(prompt)]
    return single([(n, str(count_atoms(formula))) for formula, n in claims])


def trace(prompt: str, _: str) -> Found:
    x, found = int(re.search(r"x ?= ?(\d+)", prompt)[1]), []
    for step in steps(prompt):
        expression, claimed = re.match(r"x ?= ?(.*?)(?:  # x is |, )(-?\d+)$", step).groups()
        found.append((claimed, str(value(ast.parse(expression, mode="eval").body, {"x": x}))))
        x = int(claimed)
    return single(found)


def claims(prompt: str, _: str) -> Found:
    pairs = [re.match(r"(.*?)(?: is |=)(\S+)$", step).groups() for step in steps(prompt)]
    return single([(claimed, str(evaluate(expression))) for expression, claimed in pairs])


def spec(prompt: str, difficulty: str) -> Found:
    """Which line does not say what the description says, number by number."""
    lines = [numbers(re.sub(r"\+ 1\)|i % ", "", line)) for line in steps(prompt)]
    if "\n" not in prompt:
        start, first, last = numbers(prompt.split(": 1:")[0])
        wanted = [[start], [first, last], []]
    else:
        text = prompt.split("\n\n")[0]
        start = int(re.search(r"x (?:=|is) (\d+)", text)[1])
        first, last = map(int, re.search(r"from (\d+) (?:up )?to (\d+)", text).groups())
        left = re.search(r"remainder (\d+) when divided by (\d+)", text)
        times = re.search(r"(\d+) times", text)
        wanted = [[start], [first, last], *([[int(left[2]), int(left[1])]] if left else [])]
        wanted.append([int(times[1])] if times else [])
    wrong = [n for n, (line, want) in enumerate(zip(lines, wanted, strict=True)) if line != want]
    assert len(wrong) == 1, prompt
    right = [want for got, want in zip(lines[wrong[0]], wanted[wrong[0]], strict=True) if got != want]
    assert len(right) == 1
    return wrong[0], str(right[0])


def bill(prompt: str, _: str) -> Found:
    *lines, last = steps(prompt)
    found, amounts = [], []
    for line in lines:
        n, cost, amount = numbers(line)
        amounts.append(amount)
        found.append((str(amount), str(total(n, cost))))
    return single([*found, (str(numbers(last)[0]), str(sum(amounts)))])


def timetable(prompt: str, _: str) -> Found:
    found, before = [], None
    for step in steps(prompt):
        a, b = re.findall(r"\d\d:\d\d", step)
        assert before in (None, a)
        length = int(re.search(r"(\d+) min", step)[1])
        end = datetime.strptime(a, "%H:%M") + timedelta(minutes=length)
        found.append((b, f"{end:%H:%M}"))
        before = b
    return single(found)


def summary(prompt: str, _: str) -> Found:
    told = {(name, thing): colour for name, colour, thing in re.findall(r"(\w+) has an? (\w+) (\w+)", prompt)}
    found = []
    for step in steps(prompt):
        tiny = re.match(r"(\w+)'s (\w+) is (\w+)", step)
        name, thing, colour = tiny.groups() if tiny else re.match(r"The (\w+) of (\w+) is (\w+)\.", step).group(2, 1, 3)
        found.append((colour, told[name, thing]))
    return single(found)


DIAGNOSTICS: dict[tuple[str, str], Callable[[str, str], Found]] = {
    ("math", "chain"): carried_chain,
    ("math", "product"): sums,
    ("math", "terms"): terms,
    ("science", "circuit"): sums,
    ("science", "conversions"): conversions,
    ("science", "atoms"): counted_atoms,
    ("code", "trace"): trace,
    ("code", "claims"): claims,
    ("code", "spec"): spec,
    **{("question_answering", f.__name__): f for f in (bill, timetable, summary)},
}
