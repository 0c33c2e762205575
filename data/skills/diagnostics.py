"""Diagnostics: of several steps one is wrong. Find which, and mend it: two parts, each with a score of its own.

A slip is carried on wherever later steps use its result, so exactly one step is wrong in itself.
"""

import operator
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from data.skills.calculation import UNITS
from data.skills.enumeration import FORMULAE, atoms
from data.skills.words import Part, Question, Variant, Words, article

SLIPS = (-10, -3, -2, -1, 1, 2, 3, 10)  # by how much a result may be off
_TINY_ASKS = (("wrong step?", "right result?"), ("which step is wrong?", "what is right there?"))
_ASKS = {  # (find, mend) of both wordings; what the steps are called, what stands in place of the wrong result
    "carried": (
        (
            "Exactly one {step} is wrong in itself; those after it go on from its result. Which one is it? Give "
            "its number.",
            "Exactly one {step} is wrong in itself; those after it go on from its result. Which {value} should "
            "stand there as its result?",
        ),
        (
            "One mistake was made, and what follows was worked out with it. Give the number of the {step} in "
            "which it was made.",
            "One mistake was made, and what follows was worked out with it. What {value} should the {step} with "
            "the mistake have given?",
        ),
    ),
    "alone": (
        (
            "Exactly one {step} is wrong. Which one is it? Give its number.",
            "Exactly one {step} is wrong. Which {value} should stand there in place of the wrong one?",
        ),
        (
            "All but one {step} are right. Give the number of the one that is not.",
            "All but one {step} are right. Write the {value} that belongs into the wrong one in place of what "
            "stands there.",
        ),
    ),
}


def _diagnosis(
    head: str,
    steps: Sequence[str],
    wrong: int,
    right: str,
    words: Words,
    *,
    rule: str = "carried",
    step: str = "step",
    value: str = "number",
    form: str = "number",
) -> Question:
    """The steps, numbered from 1, under `head`; `wrong` counts from 0, `right` is what belongs into that step."""
    if words.tiny:
        body = head + " " * bool(head) + " ".join(f"{n}: {text}." for n, text in enumerate(steps, 1))
        find, mend = _TINY_ASKS[words.turn % 2]
    else:
        body = f"{head}\n\n" + "\n".join(f"{n}. {text}" for n, text in enumerate(steps, 1))
        find, mend = (ask.format(step=step, value=value) for ask in _ASKS[rule][words.turn % 2])
    return Question(body, (Part(str(wrong + 1), ask=find, name="find"), Part(right, form, mend, "mend")))


def _slip(draw: Random, value: int) -> int:
    """Another number near `value`, not below 0 unless it is."""
    return value + draw.choice([slip for slip in SLIPS if value < 0 or value + slip >= 0])


def _carry(draw: Random, first: int, steps: Sequence[Callable[[int], int]]) -> tuple[list[int], int, int]:
    """The results of steps that each take the result before; one slips: (results, which, its right result)."""
    wrong, value, found, right = draw.randrange(len(steps)), first, [], 0
    for place, one in enumerate(steps):
        value = one(value)
        if place == wrong:
            value, right = _slip(draw, value), value
        found.append(value)
    return found, wrong, right


# --- math -------------------------------------------------------------------------------------------------------------


def _chain(draw: Random, words: Words) -> Question:
    count, high = words.by(((2, 9), (3, 19), (3, 19)), ((3, 20), (5, 99), (7, 999)))
    start = draw.randint(high, 3 * high)
    signed = [draw.randint(1, high // 2) * draw.choice((-1, 1, 1)) for _ in range(count)]
    found, wrong, right = _carry(draw, start, [partial(operator.add, d) for d in signed])
    before = [start, *found]
    joint = "{a}{sign}{b}={c}" if words.tiny else "{a} {sign} {b} = {c}"
    steps = [
        joint.format(a=before[i], sign="-" if d < 0 else "+", b=abs(d), c=before[i + 1]) for i, d in enumerate(signed)
    ]
    head = words.say(
        ("", "sums:"),
        ("Somebody works out a long sum step by step:", "{p0} adds and takes away, always from the result before:"),
    )
    return _diagnosis(head, steps, wrong, str(right), words)


def _product(draw: Random, words: Words) -> Question:
    """Written multiplication: a partial product for each digit of the second factor, then their sum."""
    low, high = words.by(((2, 5), (2, 9), (11, 19)), ((12, 99), (112, 999), (112, 999)))
    a = draw.randint(low, high)
    digits = [draw.randint(1, 9) for _ in range(3 if words.level == 2 and not words.tiny else 2)]
    factors = [digit * 10 ** (len(digits) - 1 - place) for place, digit in enumerate(digits)]
    amounts, wrong, right = [a * factor for factor in factors], draw.randrange(len(digits) + 1), 0
    if wrong < len(amounts):
        right, amounts[wrong] = amounts[wrong], _slip(draw, amounts[wrong])
    total = sum(amounts)
    if wrong == len(amounts):
        right, total = total, _slip(draw, total)
    gap = "" if words.tiny else " "
    steps = [f"{a}{gap}*{gap}{factor}{gap}={gap}{found}" for factor, found in zip(factors, amounts, strict=True)]
    steps.append(f"{gap}+{gap}".join(map(str, amounts)) + f"{gap}={gap}{total}")
    head = words.say(
        ("{a}*{b}:", "work out {a}*{b}:"),
        ("{a} times {b} is worked out like this:", "{p0} multiplies {a} by {b} in these steps:"),
        a=a,
        b=sum(factors),
    )
    return _diagnosis(head, steps, wrong, str(right), words)


def _terms(draw: Random, words: Words) -> Question:
    """A sequence of equal steps, at the hard level of steps that grow equally, with one wrong term."""
    count, high = words.by((4, 5, 5), (5, 6, 7)), words.by((5, 9, 4), (12, 40, 12))
    start, step, growth = draw.randint(1, 20), draw.randint(2, high), draw.randint(1, high) if words.level == 2 else 0
    terms = [start + step * i + growth * i * (i - 1) // 2 for i in range(count)]
    wrong = draw.randrange(count)
    right, terms[wrong] = terms[wrong], _slip(draw, terms[wrong])
    rule = "the differences grow by the same amount each time" if growth else "all differences are equal"
    head = words.say(
        (
            "steps grow:" if growth else "equal steps:",
            "should have growing steps:" if growth else "should have equal steps:",
        ),
        (
            "In this sequence of numbers {rule}:",
            "{p0} wanted to write numbers, one below the other, in such a way that {rule}:",
        ),
        rule=rule,
    )
    return _diagnosis(head, list(map(str, terms)), wrong, str(right), words, rule="alone", step="term")


# --- science ----------------------------------------------------------------------------------------------------------


def _circuit(draw: Random, words: Words) -> Question:
    """Resistance, voltage, power, and from the medium level on energy, at the hard one of several devices."""
    high = words.by((4, 4, 5), (9, 15, 30))
    r1, r2, i, t, n = (draw.randint(2, high) for _ in range(5))
    count = words.by((2, 3, 3), (3, 4, 5))
    uses = [lambda _: r1 + r2, lambda r: r * i, lambda u: u * i, lambda p: p * t, lambda e: e * n][:count]
    found, wrong, right = _carry(draw, 0, uses)
    told = [("r", "resistance", "ohms"), ("u", "voltage", "volts"), ("p", "power", "watts")]
    told += [("e", "energy", "joules"), ("a", "energy of all", "joules")]
    steps: list[str] = []
    for (short, name, unit), factor, before, value in zip(told, (0, i, i, t, n), [0, *found], found, strict=False):
        sums = f"{before} * {factor}" if steps else f"{r1} + {r2}"
        tiny = f"{short}={sums}={value}".replace(" ", "")
        steps.append(tiny if words.tiny else f"{name}: {sums} = {value} {unit}")
    head = words.say(
        ("{r1} and {r2} ohm, {i} amp:", "{i} amp in {r1} and {r2} ohm:"),
        (
            "Resistors of {r1} and {r2} ohms stand in series, and {i} amperes flow through them{for_t}{of_n}. "
            "Worked out:",
            "{p0} sends {i} amperes through {r1} ohms and {r2} ohms, one behind the other{for_t}{of_n}, and notes:",
        ),
        r1=r1,
        r2=r2,
        i=i,
        for_t=f", for {t} seconds" if count > 3 else "",
        of_n=f", in each of {n} devices" if count > 4 else "",
    )
    return _diagnosis(head, steps, wrong, str(right), words)


def _conversions(draw: Random, words: Words) -> Question:
    count, high = words.by((2, 3, 4), (3, 5, 7)), words.by((4, 6, 9), (9, 19, 49))
    units = draw.sample(sorted(UNITS.items()), count)
    wrong, steps, right = draw.randrange(count), [], 0
    for place, ((large, small), (factor, short, shorter)) in enumerate(units):
        n = draw.randint(2, high)
        rest = draw.randint(1, factor - 1) if words.level == 2 and not words.tiny else 0
        value = n * factor + rest
        if place == wrong:
            right, value = value, draw.choice([n * factor * 10, value + draw.choice((-1, 1)) * max(factor // 10, 1)])
        more = f" and {rest} {small}" if rest else ""
        steps.append(f"{n} {short}={value} {shorter}" if words.tiny else f"{n} {large}{more} = {value} {small}")
    head = words.say(("", "units:"), ("A list of conversions:", "{p0} wrote down what measures come to:"))
    where = "number to the right of ="
    return _diagnosis(head, steps, wrong, str(right), words, rule="alone", step="line", value=where)


def _atoms(draw: Random, words: Words) -> Question:
    count = words.by((2, 3, 3), (3, 5, 6))
    chosen = draw.sample(FORMULAE[words.level], count)
    found, wrong = [atoms(formula) for formula in chosen], draw.randrange(count)
    right = found[wrong]
    found[wrong] = _slip(draw, right) or right + 1
    told = "{f} has {n}" if words.tiny else "{f} has {n} atoms"
    steps = [told.format(f=formula, n=n) for formula, n in zip(chosen, found, strict=True)]
    head = words.say(
        ("atoms:", "count of atoms:"),
        (
            "The atoms in one formula unit, counted:",
            "{p0} counted the atoms of all elements in one unit of each formula:",
        ),
    )
    return _diagnosis(head, steps, wrong, str(right), words, rule="alone", step="line")


# --- code -------------------------------------------------------------------------------------------------------------


def _trace(draw: Random, words: Words) -> Question:
    """A program with the value that a variable is said to have after each line."""
    count, high = words.by((2, 3, 3), (3, 5, 7)), words.by((5, 9, 9), (9, 19, 49))
    start = draw.randint(2, high)
    chosen = [(draw.choice("++*-" if words.level else "+-"), draw.randint(2, 3)) for _ in range(count)]
    chosen = [(sign, n if sign == "*" else draw.randint(1, high)) for sign, n in chosen]
    does = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    uses = [lambda x, s=sign, n=n: does[s](x, n) for sign, n in chosen]
    found, wrong, right = _carry(draw, start, uses)
    told = "x=x{s}{n}, {v}" if words.tiny else "x = x {s} {n}  # x is {v}"
    steps = [told.format(s=sign, n=n, v=value) for (sign, n), value in zip(chosen, found, strict=True)]
    first = f"x={start}" if words.tiny else f"x = {start}"
    head = words.say(
        ("{first}:", "from {first}:"),
        (
            "After {first} these lines of Python run; each comment says what x is then:",
            "{p0} starts Python with {first} and notes beside every line that follows what x is after it:",
        ),
        first=first,
    )
    return _diagnosis(head, steps, wrong, str(right), words, step="comment" if not words.tiny else "step")


def _claims(draw: Random, words: Words) -> Question:
    """Values that Python expressions are said to have."""
    count = words.by((2, 2, 3), (3, 5, 7))
    wrong, steps, right = draw.randrange(count), [], ""
    for place in range(count):
        shown, value, false = _claim(
            draw, words.by(("s", "s", "s"), ("ab", "abc", "abcd")), words.by((3, 4, 4), (4, 6, 8))
        )
        if place == wrong:
            right, value = value, false
        steps.append(f"{shown}={value}" if words.tiny else f"{shown} is {value}")
    head = words.say(
        ("", "python:"),
        (
            "Somebody says of Python expressions what they are, strings without quotes:",
            "{p0} guesses the values of Python code:",
        ),
    )
    return _diagnosis(
        head, steps, wrong, right, words, rule="alone", step="line", value="value (without quotes)", form="exact"
    )


def _claim(draw: Random, kinds: str, length: int) -> tuple[str, str, str]:
    """(expression, its value, a false one); both values written without quotes."""
    word = "".join(draw.choice("abcde") for _ in range(length))
    kind = draw.choice(kinds)
    a, b = draw.randint(10, 99), draw.randint(3, 9)
    if kind == "s":  # short ones, for the tiny form
        kind = draw.choice("ab")
        a, b = draw.randint(5, 19), draw.randint(2, 5)
    if kind == "a":
        return f"{a}%{b}", str(a % b), str(a % b + draw.choice((1, 2)))
    if kind == "b":
        return f"{a}//{b}", str(a // b), str(a // b + draw.choice((1, 2)))
    if kind == "c":
        letter, n = word[0], word.count(word[0])
        return f'"{word}".count("{letter}")', str(n), str(n + draw.choice((-1, 1)))
    at = draw.randint(1, length - 1)
    value, whole = word[at:] + word[:at], word[at - 1 :] + word[: at - 1]
    false = whole if whole != value else value + "f"
    return f'"{word}"[{at}:] + "{word}"[:{at}]', value, false


def _spec(draw: Random, words: Words) -> Question:
    """A program that has one number other than its description."""
    high = words.by((5, 9, 9), (9, 30, 99))
    total, first, m = draw.randint(0, 9), draw.randint(1, high), draw.randint(2, 5)
    last, r, k = first + draw.randint(2, high), draw.randrange(m), draw.randint(2, 9)
    asked = [total, first, last, m, r, k]
    lines = [0, 1, 1, 2, 2, 3]  # where each number stands
    usable = words.by((3, 3, 3), (3, 5, 6))
    slot = draw.randrange(usable)
    told = list(asked)
    told[slot] = (r + 1) % m if slot == 4 else told[slot] + draw.choice((1, 2))
    if words.tiny:
        head = (f"from {total}, add {first} to {last}:", f"start {total}, then plus {first} to {last}:")[words.turn % 2]
        steps = [f"x={told[0]}", f"for i={told[1]} to {told[2]}", "x=x+i"]
        return _diagnosis(head, steps, lines[slot], str(asked[slot]), words, rule="alone")
    filtered, scaled = words.level > 0, words.level > 1
    times = f"{k} times " if scaled else ""
    only = f" that leaves the remainder {r} when divided by {m}" if filtered else ""
    steps = [f"x = {told[0]}", f"for i in range({told[1]}, {told[2]} + 1):"]
    steps += [f"    if i % {told[3]} == {told[4]}:"] if filtered else []
    steps.append("    " * (2 if filtered else 1) + (f"x = x + {told[5]} * i" if scaled else "x = x + i"))
    head = words.say(
        (),
        (
            "A program should begin with x = {total} and add {times}every whole number from {first} to {last}{only}:",
            "{p0} wants this: x is {total} at first; then {times}each whole number from {first} up to {last}, "
            "the last one "
            "included,{only} is added to it. The program:",
        ),
        total=total,
        first=first,
        last=last,
        times=times,
        only=only,
    )
    return _diagnosis(head, steps, lines[slot], str(asked[slot]), words, rule="alone", step="line")


# --- question answering -----------------------------------------------------------------------------------------------


def _bill(draw: Random, words: Words) -> Question:
    """Lines of a bill, each with its amount, and the sum below."""
    count, high = words.by((2, 2, 3), (2, 4, 6)), words.by((4, 6, 6), (9, 15, 30))
    bought = [(draw.randint(2, high), draw.randint(2, high)) for _ in range(count)]
    amounts, wrong, right = [n * cost for n, cost in bought], draw.randrange(count + 1), 0
    if wrong < count:
        right, amounts[wrong] = amounts[wrong], _slip(draw, amounts[wrong])
    total = sum(amounts)
    if wrong == count:
        right, total = total, _slip(draw, total)
    told = "{n} {t} at {c}={v}" if words.tiny else "{n} {t}s at {c} coins each: {v} coins"
    steps = [
        told.format(n=n, t=thing, c=cost, v=value)
        for (n, cost), thing, value in zip(bought, words.things, amounts, strict=False)
    ]
    steps.append(f"sum {total}" if words.tiny else f"all together: {total} coins")
    head = words.say(("", "bill:"), ("A bill:", "{p0} gets this bill from {p1}:"))
    return _diagnosis(head, steps, wrong, str(right), words, step="line")


def _timetable(draw: Random, words: Words) -> Question:
    """A journey, leg by leg; each begins when the one before ended."""
    count = words.by((2, 2, 2), (2, 4, 6))
    start, legs = draw.randint(6, 10) * 60 + 5 * draw.randint(0, 11), []
    legs = [
        5 * draw.randint(1, words.by((5, 9, 12), (8, 15, 15))) + (words.level == 2) * draw.randint(0, 4)
        for _ in range(count)
    ]
    wrong, at, steps, right = draw.randrange(count), start, [], ""
    for place, length in enumerate(legs):
        end = at + length
        if place == wrong:
            right, end = f"{end // 60:02}:{end % 60:02}", end + draw.choice((-60, 60, 5, 10, 20))
            end = max(end, 0)
        a, b = (f"{t // 60:02}:{t % 60:02}" for t in (at, end))
        steps.append(f"{a} +{length} min={b}" if words.tiny else f"departs at {a}, {length} minutes, arrives at {b}")
        at = end
    head = words.say(
        ("", "trip:"), ("A plan of a journey, each part beginning when the last one ended:", "{p0} plans a trip:")
    )
    return _diagnosis(head, steps, wrong, right, words, value="time (as HH:MM)", form="exact")


def _summary(draw: Random, words: Words) -> Question:
    """A text and what somebody says stands in it."""
    count = words.by((2, 2, 2), (3, 4, 6))
    own = [draw.randrange(len(words.colours)) for _ in range(count)]
    told = [f"{words.people[i]} has {article(words.colours[own[i]])} {words.things[i]}" for i in range(count)]
    order = draw.sample(range(count), count)
    wrong = draw.randrange(count)
    other = draw.choice([c for c in range(len(words.colours)) if c != own[order[wrong]]])
    said = [other if place == wrong else own[i] for place, i in enumerate(order)]
    joint = "{p}'s {t} is {c}" if words.tiny else "The {t} of {p} is {c}."
    steps = [
        joint.format(t=words.things[i], p=words.people[i], c=words.colours[c]) for i, c in zip(order, said, strict=True)
    ]
    told_text = ". ".join(told) + "."
    head = words.say(
        ("{told}", "it is so: {told}"),
        ("Text: {told}\n\nSomebody sums it up:", "{told}\n\n{p7} repeats this as follows:"),
        told=told_text,
    )
    right = words.colours[own[order[wrong]]]
    return _diagnosis(head, steps, wrong, right, words, rule="alone", step="statement", value="colour", form="word")


VARIANTS = {
    "math": [Variant("chain", _chain), Variant("product", _product), Variant("terms", _terms)],
    "science": [Variant("circuit", _circuit), Variant("conversions", _conversions), Variant("atoms", _atoms)],
    "code": [Variant("trace", _trace), Variant("claims", _claims), Variant("spec", _spec)],
    "question_answering": [Variant("bill", _bill), Variant("timetable", _timetable), Variant("summary", _summary)],
}
