"""Calculation: carry out arithmetic to a number."""

from random import Random

from data.skills.words import Question, Variant, Words, expression, number, text

# --- math -------------------------------------------------------------------------------------------------------------


def _chain(draw: Random, words: Words) -> Question:
    """Sums and differences from left to right; the running total never falls below 0, nor above 99 in the tiny form."""
    terms, high = words.by(((3, 9), (3, 19), (5, 19)), ((3, 99), (4, 999), (6, 9999)))
    top = 99 if words.tiny else 10 * high
    total = draw.randint(2, high)
    parts = [str(total)]
    for _ in range(terms - 1):
        operand = draw.randint(2, high)
        minus = operand <= total and (draw.random() < 0.5 or total + operand > top)
        total += -operand if minus else operand
        parts += ["-" if minus else "+", str(operand)]
    sums = ("" if words.tiny else " ").join(parts)
    return expression(words.say(("{s}", "what is {s}?"), ("What is {s}?", "Work out the value of {s}."), s=sums), total)


def _product(draw: Random, words: Words) -> Question:
    a_range, b_range = words.by(
        (((2, 9), (2, 9)), ((2, 9), (10, 15)), ((6, 9), (11, 19))),
        (((3, 12), (11, 99)), ((11, 99), (11, 99)), ((101, 999), (101, 999))),
    )
    a, b = draw.randint(*a_range), draw.randint(*b_range)
    body = words.say(
        ("{a}*{b}", "what is {a}*{b}?"),
        ("What is {a} times {b}?", "Multiply {a} by {b}. What is the product?"),
        a=a,
        b=b,
    )
    return expression(body, a * b)


def _remainder(draw: Random, words: Words) -> Question:
    top, high = words.by(((19, 5), (49, 9), (99, 12)), ((99, 12), (999, 24), (9999, 97)))
    b = draw.randint(3, high)
    a = draw.randint(b, top)
    body = words.say(
        ("{a} mod {b}", "what is {a} mod {b}?"),
        (
            "What is the remainder when {a} is divided by {b}?",
            "Divide {a} by {b} with whole numbers. What is left over?",
        ),
        a=a,
        b=b,
    )
    return expression(body, a % b)


def _equation(draw: Random, words: Words) -> Question:
    """A linear equation in x; at the hard level x stands on both sides."""
    top, factors = words.by(((9, 3), (12, 5), (12, 5)), ((12, 5), (40, 12), (40, 12)))
    x, a, b = draw.randint(2, top), draw.randint(2 + (words.level == 2), factors), draw.randint(1, top)
    c = draw.randint(2, a - 1) if words.level == 2 else 0
    star = "*" if words.tiny else ""
    left, right = f"{a}{star}x + {b}", f"{a * x + b - c * x}"
    right = f"{c}{star}x + {right}" if c else right
    if words.tiny:
        left, right = left.replace(" ", ""), right.replace(" ", "")
    body = words.say(
        ("{l}={r}. x?", "what is x? {l}={r}"),
        ("Solve {l} = {r} for x.", "For which x is {l} equal to {r}?"),
        l=left,
        r=right,
    )
    return expression(body, x)


# --- science ----------------------------------------------------------------------------------------------------------


def _mass(draw: Random, words: Words) -> Question:
    """Mass from density and volume, of one block or of two."""
    high, volume = words.by(((5, 9), (9, 12), (5, 9)), ((12, 20), (19, 90), (19, 90)))
    blocks = [(draw.randint(2, high), draw.randint(2, volume)) for _ in range(2 if words.level == 2 else 1)]
    tiny = [f"{d} g per ml, {v} ml" for d, v in blocks]
    natural = [f"a density of {d} g/cm^3 and a volume of {v} cm^3" for d, v in blocks]
    body = words.say(
        ("{tiny}: mass in g?", "mass in g of {tiny}?"),
        (
            "A block has {natural}. What is the mass in grams, all in all?",
            "In a laboratory {p0} holds a block with {natural}. How many grams is that in all?",
        ),
        tiny=" and ".join(tiny),
        natural=", a second one ".join(natural),
    )
    return number(body, sum(d * v for d, v in blocks))


def _speed(draw: Random, words: Words) -> Question:
    """v = u + a t, with a second stretch of braking at the hard level."""
    high, time = words.by(((9, 4), (19, 5), (19, 5)), ((20, 9), (60, 19), (60, 19)))
    u, a, t = draw.randint(0, high), draw.randint(2, 9), draw.randint(2, time)
    v = u + a * t
    b, s = draw.randint(1, 3), draw.randint(2, 5)
    b = min(b, v // s)
    brake = words.level == 2 and b > 0
    body = words.say(
        (
            "speed {u}, plus {a} a second, {t} seconds{tiny}: speed?",
            "speed now {u}. plus {a} a second for {t} seconds{tiny}. speed then?",
        ),
        (
            "A train moves at {u} m/s and gains {a} m/s every second for {t} seconds.{natural} How fast is it "
            "then, in m/s?",
            "{p0} rides at {u} m/s. The speed grows by {a} m/s each second, for {t} seconds.{natural} What is "
            "the speed in m/s now?",
        ),
        u=u,
        a=a,
        t=t,
        tiny=f", then minus {b} a second, {s} seconds" if brake else "",
        natural=f" After that it loses {b} m/s every second for {s} seconds." if brake else "",
    )
    return number(body, v - b * s if brake else v)


UNITS = {  # large unit, small unit -> how many of these make one of those; with their short names
    ("hours", "minutes"): (60, "h", "min"),
    ("minutes", "seconds"): (60, "min", "s"),
    ("days", "hours"): (24, "d", "h"),
    ("weeks", "days"): (7, "wk", "d"),
    ("metres", "centimetres"): (100, "m", "cm"),
    ("kilometres", "metres"): (1000, "km", "m"),
    ("kilograms", "grams"): (1000, "kg", "g"),
    ("litres", "millilitres"): (1000, "l", "ml"),
}


def _convert(draw: Random, words: Words) -> Question:
    """From a large unit to a small one; with a rest from the medium level on."""
    (large, small), (factor, short, shorter) = draw.choice(sorted(UNITS.items()))
    n = draw.randint(2, words.by((9, 12, 19), (19, 29, 59)))
    rest = draw.randint(1, factor - 1) if words.level else 0
    body = words.say(
        ("{n} {short}{tiny} in {shorter}", "how many {shorter} in {n} {short}{tiny}?"),
        ("How many {small} are {n} {large}{natural}?", "Convert {n} {large}{natural} to {small}."),
        n=n,
        short=short,
        shorter=shorter,
        large=large,
        small=small,
        tiny=f" {rest} {shorter}" if rest else "",
        natural=f" and {rest} {small}" if rest else "",
    )
    return number(body, n * factor + rest)


def _circuit(draw: Random, words: Words) -> Question:
    """U = R I with resistors in series, one more a level."""
    ohms = [draw.randint(2, words.by((9, 9, 9), (12, 20, 47))) for _ in range(words.level + 1)]
    amperes = draw.randint(2, words.by((9, 9, 9), (9, 12, 12)))
    body = words.say(
        ("{i} amp in {tiny} ohm: volt?", "how many volt: {i} amp in {tiny} ohm?"),
        (
            "A current of {i} amperes flows through {natural} in series. What is the voltage across all of it, "
            "in volts?",
            "{p0} sends {i} amperes through {natural} in series. How many volts does that take?",
        ),
        i=amperes,
        tiny="+".join(map(str, ohms)),
        natural=" and ".join(f"a resistor of {ohm} ohms" for ohm in ohms),
    )
    return number(body, amperes * sum(ohms))


# --- code -------------------------------------------------------------------------------------------------------------


def _python(draw: Random, words: Words) -> Question:
    """The value of an integer expression of Python."""
    top = words.by((9, 9, 9), (20, 50, 99))
    a, b, c, d = (draw.randint(2, top) for _ in range(4))
    found, value = [
        (f"{a} + {b} * {c}", a + b * c),
        (f"{a * b} // {c} - {d}", a * b // c - d),
        (f"({a} + {b}) % {c} * {d} + {a * c} // {b}", (a + b) % c * d + a * c // b),
    ][words.level]
    found = found.replace(" ", "") if words.tiny else found
    body = words.say(
        ("print({e})", "what is printed? print({e})"),
        ("What does print({e}) write in Python?", "In Python, what is the value of {e}?"),
        e=found,
    )
    return number(body, value)


def _binary(draw: Random, words: Words) -> Question:
    bits = words.by((5, 6, 7), (5, 7, 9))
    value = draw.randrange(2 ** (bits - 1), 2**bits)
    body = words.say(
        ("0b{b:b}", "what is 0b{b:b}?"),
        ('What is int("{b:b}", 2) in Python?', "Which decimal number is written {b:b} in binary?"),
        b=value,
    )
    return number(body, value)


def _range_length(draw: Random, words: Words) -> Question:
    """How many numbers a range holds."""
    span, step = words.by(((9, 1), (15, 3), (30, 5)), ((30, 3), (90, 9), (900, 29)))
    start = draw.randint(0, span // 2)
    stop, by = start + draw.randint(2, span), draw.randint(1, step)
    body = words.say(
        ("len(range({a},{b},{c}))", "what is len(range({a},{b},{c}))?"),
        (
            "What is len(range({a}, {b}, {c})) in Python?",
            "A Python loop begins with `for i in range({a}, {b}, {c}):`. How many times does its body run?",
        ),
        a=start,
        b=stop,
        c=by,
    )
    return number(body, -(-(stop - start) // by))


# --- question answering -----------------------------------------------------------------------------------------------


def _shopping(draw: Random, words: Words) -> Question:
    """What several of one or more things cost; one kind more a level."""
    high = words.by((4, 5, 5), (12, 19, 30))
    bought = [(draw.randint(2, high), draw.randint(2, high)) for _ in range(words.level + 1)]
    tiny = [f"{n} {thing} at {cost}" for (n, cost), thing in zip(bought, words.things, strict=False)]
    natural = [f"{n} {thing}s at {cost} coins each" for (n, cost), thing in zip(bought, words.things, strict=False)]
    body = words.say(
        ("{p0} buys {tiny}. cost?", "how much are {tiny}?"),
        (
            "{p0} buys {natural}. How many coins does {p0} pay?",
            "At the market {p1} pays for {natural}. How much is that in coins?",
        ),
        tiny=", ".join(tiny),
        natural=", and ".join(natural),
    )
    return number(body, sum(n * cost for n, cost in bought))


def _together(draw: Random, words: Words) -> Question:
    """One has some, the next some more or fewer than the one before; what all have."""
    high = words.by((9, 9, 9), (20, 60, 300))
    owned, told = [draw.randint(4, high)], []
    for place in range(words.level + 1):
        change = draw.randint(1, high)
        more = draw.random() < 0.5 or change >= owned[-1]
        told.append((place + 1, change, "more" if more else "fewer", place))
        owned.append(owned[-1] + (change if more else -change))
    tiny = [f"{words.people[a]} has {n} {how} than {words.people[b]}" for a, n, how, b in told]
    natural = [f"{words.people[a]} has {n} {words.things[0]}s {how} than {words.people[b]}." for a, n, how, b in told]
    body = words.say(
        ("{p0} has {n}. {tiny}. sum?", "{p0} has {n}. {tiny}. how many in all?"),
        (
            "{p0} has {n} {t0}s. {natural} How many {t0}s do they have together?",
            "Count the {t0}s of all: {p0} has {n}. {natural} What is the total?",
        ),
        n=owned[0],
        tiny=". ".join(tiny),
        natural=" ".join(natural),
    )
    return number(body, sum(owned))


def _compare(draw: Random, words: Words) -> Question:
    """Which of two is more: two numbers, two sums, two products."""
    high = words.by((999, 49, 12), (9999, 499, 60))
    signs = ("", "+", "*")[words.level]
    found = [[draw.randint(2 + 8 * (not signs), high) for _ in range(1 + bool(signs))] for _ in range(2)]
    values = [sum(pair) if signs != "*" else pair[0] * pair[1] for pair in found]
    if values[0] == values[1]:
        return _compare(draw, words)
    gap = "" if words.tiny else " "
    a, b = (f"{gap}{signs}{gap}".join(map(str, pair)) for pair in found)
    body = words.say(
        ("which is more: a {x} b {y}", "what is more, a {x} or b {y}?"),
        ("Which is more?\n(A) {x}\n(B) {y}", "{p0} chooses the larger of two:\n(A) {x}\n(B) {y}\nWhich one is it?"),
        x=a,
        y=b,
    )
    letter = "a" if values[0] > values[1] else "b"
    return text(body, letter if words.tiny else letter.upper(), "letter")


def _clock(draw: Random, words: Words) -> Question:
    """When something ends; easy within the hour, hard past several."""
    hour, minute = draw.randint(6, 14), draw.randint(1, 40)
    low, high = ((5, 59 - minute), (61 - minute, 90), (125, 400))[words.level]
    length = draw.randint(low, high)
    end = hour * 60 + minute + length
    body = words.say(
        ("{a} plus {n} min", "it is {a}. what time in {n} min?"),
        (
            "A film begins at {a} and lasts {n} minutes. At what time does it end? Write it as HH:MM.",
            "{p0} leaves at {a} and is on the way for {n} minutes. When does {p0} arrive, written as HH:MM?",
        ),
        a=f"{hour:02}:{minute:02}",
        n=length,
    )
    return text(body, f"{end // 60:02}:{end % 60:02}", "exact")


VARIANTS = {
    "math": [Variant("chain", _chain), Variant("product", _product)]
    + [Variant("remainder", _remainder), Variant("equation", _equation)],
    "science": [Variant("mass", _mass), Variant("speed", _speed)]
    + [Variant("convert", _convert), Variant("circuit", _circuit)],
    "code": [Variant("python", _python), Variant("binary", _binary), Variant("range_length", _range_length)],
    "question_answering": [Variant("shopping", _shopping), Variant("together", _together), Variant("clock", _clock)]
    + [Variant("compare", _compare)],
}
