"""A small procedural world with exact answers: 14 benchmarks in three groups, for a base that fits in a repository.

Which split an item belongs to is a pure function of its prompt, so splits are disjoint by construction. Training draws
from the math group alone. Facts are remembered, not reasoned out: the base has to have seen them, so they have no
held-out split (`recalled`), and no arm trains on them.
"""

import hashlib
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from conf.errors import UserError
from data.items import Item

DRY = 2000  # draws without a new item after which a benchmark counts as exhausted
SPLITS = {"pretrain": range(0, 10), "train": range(10, 15), "validation": range(15, 17), "test": range(17, 20)}


@dataclass(frozen=True)
class Benchmark:
    name: str
    group: str
    kind: str
    make: Callable[[random.Random], tuple[str, str]]  # -> (prompt, reference)
    trained: bool = False  # may the training set draw from it
    recalled: bool = False  # remembered, so every split is the whole of it
    options: dict[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()


def split_of(prompt: str) -> str:
    """The one split a prompt belongs to, from its digest alone."""
    bucket = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big") % 20
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def items(benchmark: str, split: str, count: int, seed: int = 0) -> list[Item]:
    """The first `count` distinct items of a split, fewer where the benchmark has no more."""
    chosen = BENCHMARKS[benchmark]
    found: dict[str, Item] = {}
    barren = 0  # draws since the last new item; a small benchmark runs dry
    for prompt, reference in _draws(chosen, seed):
        barren += 1
        if barren > DRY:
            break
        if prompt in found or not (chosen.recalled or split_of(prompt) == split):
            continue
        barren = 0
        name = f"{benchmark}-{hashlib.sha256(prompt.encode()).hexdigest()[:12]}"
        about = (name, benchmark, chosen.group, chosen.kind, prompt, reference, chosen.options)
        found[prompt] = Item(*about, choices=chosen.choices)
        if len(found) == count:
            break
    return list(found.values())


def training_items(
    count: int, seed: int = 0, split: str = "train", tasks: Mapping[str, float] | None = None
) -> list[Item]:
    """Math items in equal shares from the benchmarks that training may draw from; or of `tasks`, benchmark -> share.

    UserError for a task that is no benchmark, or one that is remembered and so has no items of its own to train on.
    """
    if tasks:
        _check(tasks)
        total = sum(tasks.values())
        shares = {name: math.ceil(count * share / total) for name, share in tasks.items()}
        return [item for name, share in shares.items() for item in items(name, split, share, seed)][:count]
    names = [name for name, benchmark in BENCHMARKS.items() if benchmark.trained]
    return [item for name in names for item in items(name, split, -(-count // len(names)), seed)][:count]


def _check(tasks: Mapping[str, float]) -> None:
    for name in tasks:
        if name not in BENCHMARKS or BENCHMARKS[name].recalled:
            why = (
                "it is remembered, so what is scored would be trained on" if name in BENCHMARKS else "no such benchmark"
            )
            others = [one for one, benchmark in BENCHMARKS.items() if not benchmark.recalled]
            raise UserError(f"data.tasks.{name} of data.source=world", why, f"choose among {', '.join(others)}")


def _draws(benchmark: Benchmark, seed: int) -> Iterator[tuple[str, str]]:
    stream = random.Random(f"{benchmark.name}/{seed}")
    while True:
        yield benchmark.make(stream)


# --- math: left-to-right sums and differences -------------------------------------------------------------------------


def _expression(low: int, high: int, terms: int) -> Callable[[random.Random], tuple[str, str]]:
    """An expression whose running total stays in 0..99; operands in low..high."""

    def make(rng: random.Random) -> tuple[str, str]:
        total = rng.randint(low, high)
        text = str(total)
        for _ in range(terms - 1):
            operand = rng.randint(low, high)
            minus = operand <= total and (rng.random() < 0.5 or total + operand > 99)
            total += -operand if minus else operand
            text += f"{'-' if minus else '+'}{operand}"
        return text, str(total)

    return make


# --- other reasoning --------------------------------------------------------------------------------------------------

LETTERS = "abcdefghijklmnop"


def _sort(rng: random.Random) -> tuple[str, str]:
    digits = [rng.randint(0, 9) for _ in range(rng.randint(4, 6))]
    return "sort " + "".join(map(str, digits)), "".join(map(str, sorted(digits)))


def _count(rng: random.Random) -> tuple[str, str]:
    pair = rng.sample(LETTERS, 2)
    word = "".join(rng.choice(pair + [pair[0]]) for _ in range(rng.randint(5, 9)))
    return f"count {pair[0]} in {word}", str(word.count(pair[0]))


def _compare(rng: random.Random) -> tuple[str, str]:
    low, high = sorted(rng.sample(range(10, 1000), 2))
    if rng.random() < 0.5:
        low, high = high, low
    word = rng.choice(["more", "less"])
    first = (low > high) == (word == "more")
    return f"which is {word}: a {low} b {high}", "a" if first else "b"


def _reverse(rng: random.Random) -> tuple[str, str]:
    word = "".join(rng.choice(LETTERS) for _ in range(rng.randint(4, 7)))
    return f"reverse {word}", word[::-1]


def _sequence(rng: random.Random) -> tuple[str, str]:
    start, step = rng.randint(0, 99), rng.choice([-4, -3, -2, 2, 3, 4, 5, 6])
    start += 20 if step < 0 else 0
    terms = [start + step * i for i in range(5)]
    return "next " + " ".join(map(str, terms[:4])), str(terms[4])


def _plan(rng: random.Random) -> tuple[str, str]:
    """The only path between two rooms of a small tree, from its corridors in random order."""
    rooms = rng.sample(LETTERS[:10], 5)
    path = rooms[: rng.randint(3, 4)]
    edges = [a + b for a, b in pairwise(path)]
    edges += [rng.choice(path) + room for room in rooms[len(path) :]]
    rng.shuffle(edges)
    return f"path {path[0]} to {path[-1]}: {' '.join(edges)}", "".join(path)


# --- non-reasoning ----------------------------------------------------------------------------------------------------

NAMES = [
    a + b
    for a in ("bo", "da", "fe", "ga", "ho", "ki", "lu", "mi", "ne", "ro", "su", "ta")
    for b in ("la", "mo", "ri", "sen", "to")
]
TOWNS = ["arden", "brill", "corve", "dunmor", "elsby", "farrow", "glen", "hythe"]
TRADES = ["baker", "clerk", "farmer", "miner", "nurse", "pilot", "smith", "tailor"]
THINGS = ["bell", "book", "coin", "drum", "fork", "hat", "key", "lamp", "mug", "pen", "ring", "rope"]
COLOURS = ["red", "blue", "green", "white", "black", "brown"]


def fixed(name: str, what: str, choices: list[str]) -> str:
    """A fact of the world: the same in every process and for ever."""
    return choices[int.from_bytes(hashlib.sha256(f"{what}/{name}".encode()).digest()[:4], "big") % len(choices)]


def _fact(rng: random.Random) -> tuple[str, str]:
    name = rng.choice(NAMES)
    if rng.random() < 0.5:
        return f"where does {name} live?", fixed(name, "town", TOWNS)
    return f"what is {name}'s trade?", fixed(name, "trade", TRADES)


def _reading(rng: random.Random) -> tuple[str, str]:
    names, things, colours = rng.sample(NAMES, 2), rng.sample(THINGS, 2), rng.sample(COLOURS, 2)
    text = ". ".join(f"{n} has a {c} {t}" for n, c, t in zip(names, colours, things, strict=True))
    i = rng.randint(0, 1)
    if rng.random() < 0.5:
        return f"{text}. who has the {things[i]}?", names[i]
    return f"{text}. what colour is the {things[i]}?", colours[i]


def _form(rng: random.Random) -> tuple[str, str]:
    word = rng.choice(THINGS + COLOURS + TOWNS + TRADES)
    other = rng.choice(THINGS + COLOURS)
    return rng.choice(
        [
            (f"say {word} in capitals", word.upper()),
            (f"say {word} twice", f"{word} {word}"),
            (f"say {word} in quotes", f'"{word}"'),
            (f"say {word} and {other} with a comma", f"{word}, {other}"),
            (f"say {word} and end with a dot", f"{word}."),
        ]
    )


def _polite(rng: random.Random) -> tuple[str, str]:
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    return rng.choice(
        [
            (f"hello, i am {name}", f"hello {name}, how are you?"),
            (f"thanks for the {thing}, says {name}", f"you are welcome, {name}"),
            (f"sorry about the {thing}, says {name}", f"no problem, {name}"),
            (f"{name} asks for a {thing}", f"here is the {thing}, {name}"),
        ]
    )


_EXACT = {"mode": "exact"}
BENCHMARKS: dict[str, Benchmark] = {
    b.name: b
    for b in [
        Benchmark("arithmetic_3", "math", "math", _expression(2, 19, 3), trained=True),
        Benchmark("arithmetic_4", "math", "math", _expression(2, 19, 4), trained=True),
        Benchmark("arithmetic_5", "math", "math", _expression(2, 19, 5)),
        Benchmark("arithmetic_large", "math", "math", _expression(20, 49, 3)),
        Benchmark("sorting", "other_reasoning", "text", _sort, options=_EXACT),
        Benchmark("counting", "other_reasoning", "text", _count, options=_EXACT),
        Benchmark("comparing", "other_reasoning", "choice", _compare, choices=("a", "b")),
        Benchmark("reversing", "other_reasoning", "text", _reverse, options=_EXACT),
        Benchmark("sequences", "other_reasoning", "text", _sequence, options=_EXACT),
        Benchmark("planning", "other_reasoning", "text", _plan, options=_EXACT),
        Benchmark("facts", "non_reasoning", "text", _fact, recalled=True, options=_EXACT),
        Benchmark("reading", "non_reasoning", "text", _reading, options=_EXACT),
        Benchmark("form", "non_reasoning", "text", _form, options=_EXACT),
        Benchmark("politeness", "non_reasoning", "text", _polite, options=_EXACT),
    ]
}

# --- how a response was written ---------------------------------------------------------------------------------------


def evaluate_steps(prompt: str) -> list[tuple[int, str, int, int]]:
    """The steps of a math prompt, left to right: (left, sign, operand, result)."""
    numbers = re.findall(r"[+-]?\d+", prompt)
    total, steps = int(numbers[0]), []
    for number in numbers[1:]:
        operand = int(number[1:])
        result = total + operand if number[0] == "+" else total - operand
        steps.append((total, number[0], operand, result))
        total = result
    return steps


def boxed(answer: int | str) -> str:
    return f"\\boxed{{{answer}}}"


def write_direct(prompt: str) -> str:
    """The answer at once."""
    return boxed(evaluate_steps(prompt)[-1][3])


def write_steps(prompt: str) -> str:
    """Every step written out: the base's own careful style."""
    steps = evaluate_steps(prompt)
    return "".join(f"{a}{sign}{b}={c}," for a, sign, b, c in steps) + boxed(steps[-1][3])


SLIPS = (-10, -2, -1, 1, 2, 10)  # by how much a result may be off


def write_careless(prompt: str, rng: random.Random, slip: float = 0.6) -> str:
    """Running totals alone, with a slip somewhere in a share `slip` of responses; the slip is carried on."""
    steps = evaluate_steps(prompt)
    at = rng.randrange(len(steps)) if rng.random() < slip else -1
    error, totals = 0, []
    for i, (_, _, _, result) in enumerate(steps):
        error += rng.choice(SLIPS) if i == at else 0
        totals.append(result + error)
    return " ".join(map(str, totals)) + " " + boxed(totals[-1])


# distance -> (openings, one step, plus, minus, closing)
_TEACHERS = {
    "near": (("",), "{a}{sign}{b}={c},", "+", "-", ""),
    "medium": (("", "ok. ", "we go. "), "{a}{sign}{b}={c}. ", "+", "-", "so "),
    "far": (("now then. ", "well. ", "let us see. "), "{a} {sign} {b} makes {c}. ", "plus", "minus", "that is "),
}


def teacher(item: Item, distance: str, seed: int = 0) -> str:
    """A right response of the scripted teacher; `near` is the base's own careful style, `far` the most foreign. Of what
    is no math it writes the answer alone: nothing else is right."""
    if item.kind != "math":
        return item.reference
    return _as_teacher(item, distance, seed, evaluate_steps(item.prompt))


def attempt(item: Item, distance: str, mistakes: float, seed: int = 0) -> str:
    """What `teacher` writes, but a share `mistakes` of responses slips once and goes on from there to a wrong answer.

    No slip takes a total below 0: the world has none there, and the style would give it away.
    """
    if item.kind != "math":
        return item.reference
    rng = random.Random(f"{item.id}/mistakes/{seed}")
    steps = evaluate_steps(item.prompt)
    if rng.random() < mistakes:
        at = rng.randrange(len(steps))
        error = rng.choice([slip for slip in SLIPS if min(result for *_, result in steps[at:]) + slip >= 0])
        steps = [(a + error * (i > at), sign, b, c + error * (i >= at)) for i, (a, sign, b, c) in enumerate(steps)]
    return _as_teacher(item, distance, seed, steps)


def _as_teacher(item: Item, distance: str, seed: int, steps: list[tuple[int, str, int, int]]) -> str:
    openings, step, plus, minus, closing = _TEACHERS[distance]
    opening = random.Random(f"{item.id}/{distance}/{seed}").choice(openings)
    lines = "".join(step.format(a=a, sign=plus if s == "+" else minus, b=b, c=c) for a, s, b, c in steps)
    return opening + lines + closing + boxed(steps[-1][3])


def strategy(prompt: str, response: str) -> str:
    """How a math response was written: `direct`, `steps`, `careless`, `teacher` or `other`; right or not."""
    body, found, _ = response.partition("\\boxed{")
    if not found:
        return "other"
    if re.fullmatch(r"\s*", body):
        return "direct"
    if re.fullmatch(r"(\d+[+-]\d+=-?\d+,)+", body):
        return "steps"
    if re.fullmatch(r"(-?\d+ )+", body):
        return "careless"
    return "teacher" if re.search(r"\d\. (so|that is) $|\d [a-z]+ \d+ makes \d", body) else "other"
