"""The corpus `ordinary-1000`: answers as they stand in mathematics, each with a reference and whether they are equal.

250 each of fractions, roots, polynomials and tuples; 3 in 5 are the reference in another form, 2 in 5 a usual slip.
Equality is known by construction, not from a verifier. No line can be judged without algebra.
`python -m bench.corpus` writes the file anew, with the same content.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAME = "ordinary-1000"
FILE = Path(__file__).parent.parent / "tests" / "rewards" / "corpus.jsonl"
SIZE = 1000

Case = tuple[str, str, str]  # reference, the same in another form, a usual slip


def fraction(rng: random.Random) -> Case:
    a, b, c, k = rng.randint(1, 60), rng.randint(2, 40), rng.randint(2, 9), rng.randint(2, 6)
    x = rng.choice("xyabn")
    forms = [
        (f"\\frac{{{a}{x}}}{{{b}}}", f"\\frac{{{a}}}{{{b}}}{x}", f"\\frac{{{a}{x}}}{{{b + 1}}}"),
        (f"{x}-\\frac{{{a}}}{{{b}}}", f"-\\frac{{{a}}}{{{b}}}+{x}", f"{x}+\\frac{{{a}}}{{{b}}}"),
        (f"\\frac{{{a}\\pi}}{{{b}}}", f"\\frac{{{a * k}}}{{{b * k}}}\\pi", f"\\frac{{{a}\\pi}}{{{b + k}}}"),
        (f"\\frac{{{a}}}{{{b}{x}}}", f"\\frac{{{a * k}}}{{{b * k}{x}}}", f"\\frac{{{a}{x}}}{{{b}}}"),
        (
            f"\\frac{{{a * c + b}}}{{{b * c}}}",
            f"\\frac{{{a}}}{{{b}}}+\\frac{{1}}{{{c}}}",
            f"\\frac{{{a}+1}}{{{b}+{c}}}",
        ),
        (f"\\frac{{{x}+{a}}}{{{b}}}", f"\\frac{{{x}}}{{{b}}}+\\frac{{{a}}}{{{b}}}", f"\\frac{{{x}}}{{{b}}}+{a}"),
    ]
    return rng.choice(forms)


def root(rng: random.Random) -> Case:
    n, k, a, b = rng.choice([2, 3, 5, 6, 7, 10, 11, 13]), rng.randint(2, 9), rng.randint(1, 20), rng.randint(2, 9)
    forms = [
        (f"{k}\\sqrt{{{n}}}", f"\\sqrt{{{k * k * n}}}", f"\\sqrt{{{k * n + 1}}}"),
        (f"{a}+{k}\\sqrt{{{n}}}", f"{k}\\sqrt{{{n}}}+{a}", f"{a}-{k}\\sqrt{{{n}}}"),
        (f"\\frac{{\\sqrt{{{n}}}}}{{{b}}}", f"\\frac{{1}}{{{b}}}\\sqrt{{{n}}}", f"\\sqrt{{\\frac{{{n}}}{{{b}}}}}"),
        (f"\\frac{{{k}\\sqrt{{{n}}}}}{{{n}}}", f"\\frac{{{k}}}{{\\sqrt{{{n}}}}}", f"\\frac{{{k}}}{{{n}}}"),
        (f"{k}\\sqrt[3]{{{n}}}", f"\\sqrt[3]{{{n * k**3}}}", f"{k}\\sqrt{{{n}}}"),
        (f"({a}+\\sqrt{{{n}}})^2", f"{a * a + n}+{2 * a}\\sqrt{{{n}}}", f"{a * a + n}"),
    ]
    return rng.choice(forms)


def polynomial(rng: random.Random) -> Case:
    a, b, c, x = rng.randint(1, 9), rng.randint(1, 9), rng.randint(2, 9), rng.choice("xyztn")
    forms = [
        (f"({x}+{a})({x}-{b})", f"{x}^2+{a}{x}-{b}{x}-{a * b}", f"{x}^2+{a}{x}-{b}{x}+{a * b}"),
        (f"{c}{x}^2+{a}{x}+{b}", f"{b}+{a}{x}+{c}{x}^2", f"{c}{x}^2+{a}{x}-{b}"),
        (f"({x}+{a})^2", f"{x}^2+{2 * a}{x}+{a * a}", f"{x}^2+{a * a}"),
        (f"{c}{x}^3-{c * a}", f"{c}({x}^3-{a})", f"{c}{x}^3-{c + a}"),
        (f"{a}{x}^4-{b}{x}^2+{c}", f"{c}-{b}{x}^2+{a}{x}^4", f"{a}{x}^4+{b}{x}^2+{c}"),
        (f"y={c}{x}+{a}" if x != "y" else f"y={c}x+{a}", f"{c}x+{a}".replace("x", "x" if x == "y" else x), f"{a}y+{c}"),
    ]
    return rng.choice(forms)


def tuple_(rng: random.Random) -> Case:
    a, b, c = (rng.randint(-20, 20) for _ in range(3))
    k, n = rng.randint(2, 9), rng.choice([2, 3, 5, 7])
    forms = [
        (f"({a},{b},{c})", f"\\left({a},\\frac{{{2 * b}}}{{2}},{c}\\right)", f"({a},{b},{c + 1})"),
        (f"(\\frac{{{a}}}{{{k}}},{b})", f"(\\frac{{{2 * a}}}{{{2 * k}}}, {b})", f"(\\frac{{{a + 1}}}{{{k}}},{b})"),
        (f"({a},{b})", f"({a}.0, {b})", f"({a}, {b + 1})"),
        (f"({k},\\frac{{\\pi}}{{{k}}})", f"({k},\\frac{{1}}{{{k}}}\\pi)", f"({k},\\frac{{\\pi}}{{{k + 1}}})"),
        (f"(\\sqrt{{{n}}},{a},{b})", f"(\\frac{{{n}}}{{\\sqrt{{{n}}}}},{a},{b})", f"(\\sqrt{{{n}}},{b + 1},{a})"),
        (f"({k}\\sqrt{{{n}}},{a})", f"(\\sqrt{{{k * k * n}}},{a})", f"(\\sqrt{{{k * n + 1}}},{a})"),
    ]
    return rng.choice(forms)


MAKERS: dict[str, Callable[[random.Random], Case]] = {
    "fractions": fraction,
    "roots": root,
    "polynomials": polynomial,
    "tuples": tuple_,
}


def made(seed: int = 0) -> list[dict[str, Any]]:
    """The lines of the corpus: `class`, `reference`, `answer`, `equal`."""
    rng = random.Random(seed)
    lines = [line for name in MAKERS for line in _class(name, rng)]
    rng.shuffle(lines)
    return lines


def _class(name: str, rng: random.Random) -> Iterator[dict[str, Any]]:
    seen: set[tuple[str, str]] = set()
    while len(seen) < SIZE // len(MAKERS):
        reference, same, slip = MAKERS[name](rng)
        equal = rng.random() < 0.6
        answer = same if equal else slip
        if (reference, answer) not in seen:
            seen.add((reference, answer))
            yield {"class": name, "reference": reference, "answer": answer, "equal": equal}


def load() -> list[dict[str, Any]]:
    """The committed corpus."""
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in made()), encoding="utf-8")
