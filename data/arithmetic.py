"""Arithmetic in words and signs, at the level of a language model of 0.1 to 1 billion parameters, with worked steps.

Each benchmark's shots state the form of an answer once: the question again as an equation (asked for a box, a model of
this size miscalculates). The scripted teacher writes that equation by smaller steps, so what is imitated is foreign and
right. Which split an item belongs to is a pure function of its question; training draws from the split `train` alone.
Some benchmarks are never trained on.
"""

import difflib
import hashlib
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from conf.errors import UserError
from data.columns import Row
from data.items import Item

DRY = 2000  # draws without a new item after which a benchmark counts as exhausted
SHOTS = 3
SPLITS = {"train": range(0, 14), "validation": range(14, 16), "test": range(16, 20)}  # of 20 buckets of digests

Draw = Callable[[random.Random], "Problem"]


@dataclass(frozen=True)
class Problem:
    question: str
    answer: int
    form: str  # the answer as the shots write it
    steps: str  # the answer as the teacher writes it


@dataclass(frozen=True)
class Benchmark:
    name: str
    make: Draw
    trained: bool = True  # may training draw from it
    group: str = "math"


def items(benchmark: str, split: str, count: int) -> list[Item]:
    """The first `count` distinct items of a split, fewer where there are no more; each with its benchmark's shots."""
    chosen = BENCHMARKS[benchmark]
    shots = shots_of(benchmark)
    return [
        Item(
            id=f"{benchmark}-{_digest(one.question)}",
            benchmark=benchmark,
            group=chosen.group,
            kind="math",
            prompt=one.question,
            reference=str(one.answer),
            options={"extraction": "aware"},  # an equation that ends in the answer states it; no box is asked for
            shots=shots,
        )
        for one in _distinct(benchmark, split, count, seed=0)
    ]


def rows(tasks: Mapping[str, float], count: int, seed: int) -> Iterator[Row]:
    """`count` training rows in the shares that `tasks` gives (empty: equal ones), benchmark after benchmark.

    A benchmark that runs dry gives fewer. UserError for an unknown one, or one that is not to be trained on.
    """
    given = dict(tasks) or {name: 1.0 for name, one in BENCHMARKS.items() if one.trained}
    _check(given)
    for name, share in given.items():
        shots = shots_of(name)
        for one in _distinct(name, "train", round(count * share / sum(given.values())), seed):
            about = {"id": f"{name}-{_digest(one.question)}", "kind": "math", "prompt": one.question}
            yield about | {"reference": str(one.answer), "solution": one.steps, "shots": shots}


def shots_of(benchmark: str) -> tuple[tuple[str, str], ...]:
    """(question, answer in the asked form) of the split `train`, the same before every item of the benchmark."""
    return tuple((one.question, one.form) for one in _distinct(benchmark, "train", SHOTS, seed="shots"))


def split_of(question: str) -> str:
    """The one split that a question belongs to, from its digest alone."""
    bucket = int.from_bytes(hashlib.sha256(f"arithmetic/{question}".encode()).digest()[:4], "big") % 20
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def _distinct(benchmark: str, split: str, count: int, seed: object) -> list[Problem]:
    stream = random.Random(f"arithmetic/{benchmark}/{seed}")
    found: dict[str, Problem] = {}
    barren = 0
    while len(found) < count and barren < DRY:
        one = BENCHMARKS[benchmark].make(stream)
        barren += 1
        if one.question not in found and split_of(one.question) == split:
            found[one.question] = one
            barren = 0
    return list(found.values())


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:12]


def _check(tasks: Mapping[str, float]) -> None:
    trained = [name for name, one in BENCHMARKS.items() if one.trained]
    wrong = [name for name in tasks if name not in trained]
    if wrong:
        why = "it is scored and never trained on" if wrong[0] in BENCHMARKS else "there is no such task of arithmetic"
        near = difflib.get_close_matches(wrong[0], trained, n=1, cutoff=0.0)[0]
        change = f"the nearest is {near}; all are {', '.join(trained)}"
        raise UserError(f"data.tasks.{wrong[0]}", why, change)


# --- the problems -----------------------------------------------------------------------------------------------------


def _sum(first: tuple[int, int], second: tuple[int, int]) -> Draw:
    def make(rng: random.Random) -> Problem:
        a, b = rng.randint(*first), rng.randint(*second)
        asked = f"{a} + {b}"
        return Problem(asked, a + b, f"{asked} = {a + b}", _by_places(asked, (a, b)))

    return make


def _by_places(asked: str, terms: tuple[int, ...]) -> str:
    """Hundreds, tens and units apart: 47 + 8 = 40 + 15 = 55."""
    width = len(str(max(terms)))
    parts = [sum(term // 10**place % 10 for term in terms) * 10**place for place in reversed(range(width))]
    kept = [part for part in parts if part]
    middle = f" = {' + '.join(map(str, kept))}" if len(kept) > 1 else ""
    return f"{asked}{middle} = {sum(terms)}"


def _difference(rng: random.Random) -> Problem:
    a, b = rng.randint(10, 99), rng.randint(1, 9)
    asked, tens = f"{a} - {b}", a // 10 * 10
    steps = (
        f"{asked} = {tens} + {a - tens} - {b} = {tens} {'+' if a - tens >= b else '-'} {abs(a - tens - b)} = {a - b}"
    )
    return Problem(asked, a - b, f"{asked} = {a - b}", steps)


def _product(low: int, high: int) -> Draw:
    def make(rng: random.Random) -> Problem:
        a, b = rng.randint(low, high), rng.randint(2, 9)
        asked, tens = f"{a} * {b}", a // 10 * 10
        apart = f" = {tens} * {b} + {a - tens} * {b} = {tens * b} + {(a - tens) * b}" if tens and a > tens else ""
        return Problem(asked, a * b, f"{asked} = {a * b}", f"{asked}{apart} = {a * b}")

    return make


def _sum_three(rng: random.Random) -> Problem:
    a, b, c = (rng.randint(1, 9) for _ in range(3))
    asked = f"{a} + {b} + {c}"
    steps = f"{asked} = ({a} + {b}) + {c} = {a + b} + {c} = {a + b + c}"
    return Problem(asked, a + b + c, f"{asked} = {a + b} + {c} = {a + b + c}", steps)


def _product_sum(rng: random.Random) -> Problem:
    a, b, c = (rng.randint(2, 9) for _ in range(3))
    asked, whole = f"{a} * {b} + {c}", a * b + c
    steps = f"{asked} = ({a} * {b}) + {c} = {a * b} + {c} = {whole}"
    return Problem(asked, whole, f"{asked} = {a * b} + {c} = {whole}", steps)


def _gcd(rng: random.Random) -> Problem:
    a, b = rng.randint(2, 50), rng.randint(2, 50)
    asked, chain, left = f"gcd({a}, {b})", [], (max(a, b), min(a, b))
    while left[1]:
        left = (left[1], left[0] % left[1])
        chain.append(f"gcd({left[0]}, {left[1]})")
    found = math.gcd(a, b)
    return Problem(asked, found, f"{asked} = {found}", " = ".join([asked, *chain, str(found)]))


def _lcm(rng: random.Random) -> Problem:
    a, b = rng.randint(2, 20), rng.randint(2, 20)
    asked, found = f"lcm({a}, {b})", math.lcm(a, b)
    steps = f"{asked} = {a} * {b} / gcd({a}, {b}) = {a * b} / {math.gcd(a, b)} = {found}"
    return Problem(asked, found, f"{asked} = {found}", steps)


def _bits(rng: random.Random) -> Problem:
    number = rng.randint(1, 1023)
    digits = f"{number:b}"
    asked, ones = f"How many ones are in {digits}?", digits.count("1")
    return Problem(asked, ones, str(ones), f"{' + '.join(digits)} = {ones}" if len(digits) > 1 else str(ones))


TABLE = (
    Benchmark("sum_2_2", _sum((10, 99), (10, 99))),
    Benchmark("sum_2_1", _sum((10, 99), (1, 9))),
    Benchmark("product_2_1", _product(10, 99)),
    Benchmark("sum_of_three", _sum_three),
    Benchmark("product_and_sum", _product_sum),
    Benchmark("gcd_50", _gcd),
    Benchmark("count_ones", _bits, trained=False),
    Benchmark("sum_3_3", _sum((100, 999), (100, 999)), trained=False),
    Benchmark("difference_2_1", _difference, trained=False),
    Benchmark("lcm_20", _lcm, trained=False),
)
BENCHMARKS: dict[str, Benchmark] = {one.name: one for one in TABLE}
