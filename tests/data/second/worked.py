"""Calculation, simulation and enumeration by a second method, from the prompt's text."""

import calendar
import re
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product

from tests.data.second.reading import code_of, count_atoms, evaluate, measure, numbers, run, total

Solver = Callable[[str, str], str]  # (prompt, difficulty) -> answer

# --- calculation ------------------------------------------------------------------------------------------------------


def chain(prompt: str, _: str) -> str:
    return str(sum(int(sign + n) for sign, n in re.findall(r"([+-]?)\s*(\d+)", prompt)))


def remainder(prompt: str, _: str) -> str:
    a, b = numbers(prompt)
    while a >= b:
        a -= b
    return str(a)


def equation(prompt: str, _: str) -> str:
    text = prompt.replace(" equal to ", "=").replace(" ", "")
    a, b, c, d = re.search(r"(\d+)\*?x\+(\d+)=(?:(\d+)\*?x\+)?(\d+)", text).groups()
    found = [x for x in range(200) if int(a) * x + int(b) == int(c or 0) * x + int(d)]
    assert len(found) == 1
    return str(found[0])


def mass(prompt: str, _: str) -> str:
    found = numbers(prompt.replace("cm^3", ""))
    return str(sum(total(d, v) for d, v in zip(found[::2], found[1::2], strict=True)))


def speed(prompt: str, _: str) -> str:
    u, a, t, *brake = numbers(prompt)
    for _second in range(t):
        u += a
    for _second in range(brake[1] if brake else 0):
        u -= brake[0]
    return str(u)


def convert(prompt: str, _: str) -> str:
    target = re.search(r"[Hh]ow many (\w+)| to (\w+)\.$| in (\w+)$", prompt)
    return measure(prompt, next(one for one in target.groups() if one))


def circuit(prompt: str, _: str) -> str:
    amperes, *ohms = numbers(prompt)
    return str(sum(total(ohm, amperes) for ohm in ohms))


def python(prompt: str, _: str) -> str:
    found = re.search(r"print\((.*)\)|value of (.*)\?", prompt)
    return str(evaluate(found[1] or found[2]))


def binary(prompt: str, _: str) -> str:
    found = 0
    for bit in re.search(r"0b([01]+)|([01]{3,})", prompt).group().removeprefix("0b"):
        found = 2 * found + int(bit)
    return str(found)


def range_length(prompt: str, _: str) -> str:
    start, stop, step = map(int, re.search(r"range\((\d+), ?(\d+), ?(\d+)\)", prompt).groups())
    count = 0
    while start < stop:
        start, count = start + step, count + 1
    return str(count)


def shopping(prompt: str, _: str) -> str:
    return str(sum(total(int(n), int(cost)) for n, cost in re.findall(r"(\d+) \w+ at (\d+)", prompt)))


def together(prompt: str, _: str) -> str:
    own = {}
    name, n = re.search(r"(\w+) has (\d+)(?: \w+)?\.", prompt).groups()
    own[name] = int(n)
    for name, n, how, other in re.findall(r"(\w+) has (\d+)(?: \w+)? (more|fewer) than (\w+)", prompt):
        own[name] = own[other] + (int(n) if how == "more" else -int(n))
    assert min(own.values()) >= 0
    return str(sum(own.values()))


def compare(prompt: str, _: str) -> str:
    if "\n" in prompt:
        a, b = re.search(r"\(A\) (.*)\n\(B\) (.*)", prompt).groups()
        return "A" if evaluate(a) > evaluate(b) else "B"
    a, b = re.search(r"more[:,] a (\S+) (?:or )?b ([^?]+)", prompt).groups()
    return "a" if evaluate(a) > evaluate(b) else "b"


def clock(prompt: str, _: str) -> str:
    hour, minute, length = numbers(prompt)
    return f"{datetime(2025, 1, 1, hour, minute) + timedelta(minutes=length):%H:%M}"


# --- simulation -------------------------------------------------------------------------------------------------------


def sequence(prompt: str, difficulty: str) -> str:
    terms = numbers(prompt)
    gaps = [b - a for a, b in zip(terms, terms[1:], strict=False)]
    if difficulty == "medium":
        assert gaps[0] == gaps[2] and gaps[1] == gaps[3]
        return str(terms[-1] + gaps[0])
    growth = {b - a for a, b in zip(gaps, gaps[1:], strict=False)}
    assert len(growth) == 1 and (difficulty == "hard" or growth == {0})
    return str(2 * terms[-1] - terms[-2] + growth.pop())


def machine(prompt: str, _: str) -> str:
    def after(n: int, times: int) -> int:
        return n if times == 0 else after(n >> 1 if n & 1 == 0 else n + n + n + 1, times - 1)

    return str(after(*numbers(prompt)[:2]))


def walk(prompt: str, _: str) -> str:
    if ": " in prompt:
        moves = [move[0] for move in prompt.split(": ")[1].split(".")[0].split(", ")]
    else:
        moves = list(re.search(r"(?:walk|go) ([udlr]+)", prompt)[1])
    at = sum({"u": 1j, "d": -1j, "l": -1, "r": 1}[move] for move in moves) + 0j
    return f"{int(at.real)}, {int(at.imag)}"


def growth(prompt: str, difficulty: str) -> str:
    found = numbers(prompt)
    if prompt.startswith("each day"):
        *rates, start, times = found
        factor, lost = (*rates, 0)[:2]
    else:
        start, factor, *rest = found
        lost, times = (rest[0], rest[1]) if len(rest) == 2 else (0, rest[0])
    return str(start * factor**times - lost * (factor**times - 1) // (factor - 1))


def tank(prompt: str, _: str) -> str:
    found = numbers(prompt)
    if prompt.startswith("tank"):
        held, top, times, inflow, *out = found
        out = out[1:] if "of" in prompt else out
    else:
        top, held, inflow, *out, times = found
    for _minute in range(times):
        for _litre in range(inflow):
            held += held < top
        for _litre in range(out[0] if out else 0):
            held -= held > 0
    return str(held)


def cells(prompt: str, _: str) -> str:
    row = re.search(r"[01]{4,}", prompt).group()
    times = int(re.search(r"(\d+) (?:times|ticks)", prompt)[1])
    bits, mask = int(row, 2), 2 ** len(row) - 1
    for _round in range(times):
        bits = (bits << 1 ^ bits >> 1) & mask
    return f"{bits:0{len(row)}b}"


def program(prompt: str, _: str) -> str:
    printed = run(code_of(prompt))
    assert len(printed) == 1
    return str(printed[0])


def loop(prompt: str, difficulty: str) -> str:
    if "\n" in prompt:
        return program(prompt, difficulty)
    start = int(re.search(r"x=(\d+)", prompt)[1])
    rule = re.search(r"x=x(?:\*(\d))?\+(\d+)", prompt)
    times = re.search(r"(\d+) times", prompt)
    every = re.search(r"mod (\d) is 0", prompt)
    rounds = int(times[1]) if times else int(re.search(r"from 0 to (\d+)", prompt)[1]) + 1
    for i in range(rounds):
        start = total(start, int(rule[1] or 1)) + int(rule[2]) - bool(every and i % int(every[1]) == 0)
    return str(start)


def string(prompt: str, difficulty: str) -> str:
    if "\n" in prompt:
        return program(prompt, difficulty)
    found = re.fullmatch(r"what is (\w+): (.*)\?", prompt)
    word, steps = found.groups() if found else (prompt.split()[-1], prompt.rpartition(" ")[0])
    letters = deque(word)
    for step in steps.split(", then "):
        match step:
            case "reverse":
                letters.reverse()
            case "drop first":
                letters.popleft()
            case "first to end":
                letters.rotate(-1)
            case "last twice":
                letters.append(letters[-1])
            case _:
                raise ValueError(step)
    return "".join(letters)


def handover(prompt: str, _: str) -> str:
    asked = re.search(r"(?:who has|Who has|who holds|\.) the (\w+)(?: now| at the end| is with)?[?.]", prompt)[1]
    gifts = re.findall(rf"gives the {asked} to (\w+)", prompt)
    return gifts[-1] if gifts else re.search(rf"(\w+) has an? {asked}", prompt)[1]


def rooms(prompt: str, difficulty: str) -> str:
    story, subject = prompt, None
    if difficulty == "hard":
        subject, left = re.search(r"(\w+) leaves the (\w+) there", prompt).groups()
        assert f"the {left} is" in prompt or f"is the {left}" in prompt
        story = prompt[: prompt.index(f"{subject} leaves the")]
    else:
        subject = re.search(r"[Ww]here is (\w+)(?: now)?\?|which (\w+) is at|\. (\w+) is in\?", prompt)
        subject = next(one for one in subject.groups() if one)
    return re.findall(rf"{subject} (?:is in|goes to) (?:the )?(\w+)", story)[-1]


def queue(prompt: str, _: str) -> str:
    first, *rest = re.split(r"\. ", re.sub(r"^.*?: |^queue ", "", prompt))
    line = deque(re.split(r",? ", first.replace(" wait in line, in this order", "")))
    for event in rest:
        if re.search(r"is served", event):
            line.popleft()
        elif found := re.match(r"(\w+) joins", event):
            line.append(found[1])
        elif found := re.match(r"(\w+) leaves", event):
            line.remove(found[1])
    return line[0]


# --- enumeration ------------------------------------------------------------------------------------------------------


def join(found) -> str:
    return ", ".join(map(str, found))


def divisors(prompt: str, _: str) -> str:
    n = numbers(prompt)[0]
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return join(sorted({*small, *(n // d for d in small)}))


def multiples(prompt: str, _: str) -> str:
    m, a, b, *other = numbers(prompt)
    if re.match(r"from|Write", prompt):
        a, b, m, *other = numbers(prompt)
    found = set(range(m * -(-a // m), b + 1, m)) - set(range(0, b + 1, other[0] if other else b + 1))
    return join(sorted(found))


def paths(prompt: str, _: str) -> str:
    a, b = numbers(prompt)
    row = [1] * (b + 1)
    for _right in range(a):
        for place in range(1, b + 1):
            row[place] += row[place - 1]
    return str(row[b])


def ordered(prompt: str, _: str) -> str:
    tiny = re.search(r"^(?:sort|in order:) (\d+)$", prompt)
    left = list(tiny[1]) if tiny else [int(n) for n in re.findall(r"-?\d+", prompt)]
    found = []
    while left:
        found.append(left.pop(left.index(min(left))))
    return "".join(found) if tiny else join(found)


def strand(prompt: str, _: str) -> str:
    tiny = re.search(r"(?:count|how many) ([acgt]+) in ([acgt]+)", prompt)
    base, letters = tiny.groups() if tiny else sorted(re.findall(r"\b[ACGT]+\b", prompt), key=len)
    return str(len(re.findall(rf"(?={base})", letters)))


def atoms(prompt: str, _: str) -> str:
    n, formula = re.search(r"(\d+) (?:formula units of |times )?([A-Z][A-Za-z0-9()]*)", prompt).groups()
    return str(total(count_atoms(formula), int(n)))


def genotypes(prompt: str, _: str) -> str:
    patterns = [r"genotype (\w+) is crossed with one of genotype (\w+)\.", r"plants, (\w+) and (\w+), are"]
    found = next(
        m for m in (re.search(p, prompt) for p in [*patterns, r"^cross (\w+) (\w+)$", r"^(\w+) with (\w+):"]) if m
    )
    parents = [[one[i : i + 2] for i in range(0, len(one), 2)] for one in found.groups()]
    children = set()
    for mother in product(*parents[0]):
        for father in product(*parents[1]):
            children.add("".join(min(a, b) + max(a, b) for a, b in zip(mother, father, strict=True)))
    return join(sorted(children))


def printed(prompt: str, _: str) -> str:
    if "\n" in prompt:
        return join(run(code_of(prompt)))
    found = re.search(r"(range\(.*?\))(?: if (.*?))?\??$", prompt)
    return join(run(f"for i in {found[1]}:\n    if {found[2] or '0 == 0'}:\n        print(i)"))


def bits(prompt: str, _: str) -> str:
    n = int(re.search(r"\d+(?= bits)|(?<=length )\d+", prompt).group())
    k = int(re.search(r"(?<=exactly )\d+|\d+(?= ones)", prompt).group())
    first = re.search(r"first is (\d)|begin with (\d)", prompt)
    apart = "no 11" in prompt or "no two 1s" in prompt
    found = ["".join(one) for one in product("01", repeat=n)]
    found = [one for one in found if one.count("1") == k and not (apart and "11" in one)]
    return join(one for one in found if not first or one.startswith(first.group()[-1]))


def letters(prompt: str, _: str) -> str:
    tiny = re.search(r"(?:count|how many) (\w) in (\w+)", prompt)
    letter, word = tiny.groups() if tiny else (re.search(r'count\("(\w)|letter (\w)', prompt).group()[-1], "")
    return str(len(re.findall(letter, word or re.search(r'"(\w{2,})"', prompt)[1])))


def indices(prompt: str, _: str) -> str:
    patterns = [r"(?:where is|places of) (\w) in (\w+)", r'letter (\w) stands in the Python string "(\w+)"']
    found = next((m.groups() for m in (re.search(p, prompt) for p in patterns) if m), None)
    letter, word = found or re.search(r's = "(\w+)".*== "(\w)"', prompt).groups()[::-1]
    places, at = [], word.find(letter)
    while at >= 0:
        places.append(at)
        at = word.find(letter, at + 1)
    return join(places)


def owners(prompt: str, _: str) -> str:
    told = re.findall(r"(\w+) has an? (\w+) \w+", prompt)
    told = [(name, colour) for name, colour in told if name != "who"]
    asked = re.search(r"something (\w+)\?|an? (\w+) thing|(?:has|with) (?:no )?(\w+)\??$", prompt)
    colour = next(one for one in asked.groups() if one)
    without = "does not have" in prompt or re.search(r"(?:has|with) no ", prompt)
    return join(name for name, own in told if (own == colour) != bool(without))


def menus(prompt: str, _: str) -> str:
    text = re.split(r", 1 soup not|\. ?One certain", prompt)[0]
    courses = [range(int(n)) for n in re.findall(r"(\d+) (?:soup|main|dessert)", text)]
    refused = "not with" in prompt or "never served" in prompt
    return str(sum(not (refused and menu[:2] == (0, 0)) for menu in product(*courses)))


DAYS = list(calendar.day_name)


def dates(prompt: str, difficulty: str) -> str:
    named = [day for day in re.findall(r"[A-Z]\w+day|\b(?:mon|tue|wed|thu|fri|sat|sun)\b", prompt)]
    numbered = [next(i for i, day in enumerate(DAYS) if day.lower().startswith(one.lower())) for one in named]
    first, wanted = numbered[0], set(numbered[1:])
    if prompt.startswith("which days"):
        first, wanted = numbered[-1], set(numbered[:-1])
    days = max(numbers(prompt))
    start = next(d for d in (datetime(2023, 1, 1) + timedelta(n) for n in range(7)) if d.weekday() == first)
    found = [d for d in range(1, days + 1) if (start + timedelta(d - 1)).weekday() in wanted]
    return join(d for d in found if difficulty != "hard" or d % 2 == 1)


SOLVERS: dict[tuple[str, str, str], Solver] = {
    **{("calculation", "math", f.__name__): f for f in (chain, remainder, equation)},
    ("calculation", "math", "product"): lambda prompt, _: str(total(*numbers(prompt))),
    **{("calculation", "science", f.__name__): f for f in (mass, speed, convert, circuit)},
    **{("calculation", "code", f.__name__): f for f in (python, binary, range_length)},
    **{("calculation", "question_answering", f.__name__): f for f in (shopping, together, clock, compare)},
    **{("simulation", "math", f.__name__): f for f in (sequence, machine, walk)},
    **{("simulation", "science", f.__name__): f for f in (growth, tank, cells)},
    **{("simulation", "code", name): f for name, f in {"assign": program, "loop": loop, "string": string}.items()},
    **{("simulation", "question_answering", f.__name__): f for f in (handover, rooms, queue)},
    **{("enumeration", "math", f.__name__): f for f in (divisors, multiples, paths, ordered)},
    **{("enumeration", "science", f.__name__): f for f in (strand, atoms, genotypes)},
    **{("enumeration", "code", f.__name__): f for f in (printed, bits, indices, letters)},
    **{("enumeration", "question_answering", f.__name__): f for f in (owners, menus, dates)},
}
