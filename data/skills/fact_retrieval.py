"""Fact retrieval: what cannot be worked out, from the tables of `facts`, and for the tiny base from its own world."""

from random import Random

from data import world
from data.skills import facts
from data.skills.facts import Table
from data.skills.words import Make, Question, Variant, Words, article, text

Wordings = tuple[tuple[str, str], tuple[str, str]]  # of the tiny and of the natural form; {key} is asked about

_ASKED: dict[str, Wordings] = {
    "sides": (
        ("sides of {a}?", "how many sides has {a}?"),
        ("How many sides does {a} have?", "{p0} draws {a}. How many sides is that?"),
    ),
    "prime": (
        ("prime no {key}?", "what is prime no {key}?"),
        (
            "List the prime numbers from the smallest on. Which one stands at place {key}?",
            "Counting 2 as the first, which is prime number {key}?",
        ),
    ),
    "power": (("{key}?", "what is {key}?"), ("What is {key}?", "{p0} asks for {key}. Which number is it?")),
    "symbol": (
        ("symbol of {key}?", "what is {key}'s symbol?"),
        ("What is the chemical symbol of {key}?", "How do chemists abbreviate the element {key}?"),
    ),
    "name": (
        ("element {key}?", "what is the element {key}?"),
        (
            "Which element has the chemical symbol {key}?",
            "{p0} reads the symbol {key} on a bottle. Which element is it?",
        ),
    ),
    "atomic_number": (
        ("number of {key}?", "what is {key}'s number?"),
        ("What is the atomic number of {key}?", "How many protons are in an atom of {key}?"),
    ),
    "unit": (
        ("unit of {key}?", "what is the unit of {key}?"),
        ("What is the name of the SI unit of {key}?", "In which SI unit is {key} measured? Give its name."),
    ),
    "ascii": (
        ("ascii of {key}?", "what is ascii of {key}?"),
        (
            "What is the ASCII code of the character {key} in decimal?",
            "Which decimal number encodes the character {key} in ASCII?",
        ),
    ),
    "http": (
        ("http {key}?", "what is http {key}?"),
        (
            'Which HTTP status code means "{key}"?',
            '{p0} wants a server to answer "{key}". Which HTTP status code is that?',
        ),
    ),
    "python": (
        ("python: {key}?", "what {key} in python?"),
        (
            "Which keyword or built-in function of Python {key}?",
            "Name the Python keyword or built-in function that {key}.",
        ),
    ),
    "capital": (
        ("capital of {key}?", "what is {key}'s capital?"),
        ("What is the capital of {key}?", "{p0} flies to the capital of {key}. Which city is it?"),
    ),
    "continent": (
        ("where is {key}?", "on which continent is {key}?"),
        ("On which continent does {key} lie?", "{p0} was born in {key}. Which continent is that on?"),
    ),
    "calendar": (
        ("{key}?", "what is {key}?"),
        ("In the calendar, what is {key}?", "{p0} asks a child for {key}. What should the child say?"),
    ),
}
TABLES: dict[str, dict[str, tuple[Table, str]]] = {  # domain -> variant -> its table, and the form of its answers
    "math": {"sides": (facts.SIDES, "number"), "prime": (facts.PRIMES, "number"), "power": (facts.POWERS, "number")},
    "science": {
        "symbol": (facts.SYMBOLS, "exact"),
        "name": (facts.NAMED, "word"),
        "atomic_number": (facts.NUMBERS, "number"),
        "unit": (facts.UNITS, "word"),
    },
    "code": {"ascii": (facts.ASCII, "number"), "http": (facts.HTTP, "number"), "python": (facts.PYTHON, "word")},
    "question_answering": {
        "capital": (facts.CAPITALS, "word"),
        "continent": (facts.CONTINENTS, "word"),
        "calendar": (facts.CALENDAR, "word"),
    },
}


def _asking(variant: str, table: Table, form: str) -> Make:
    """One fact, asked in free form."""

    def make(draw: Random, words: Words) -> Question:
        key, value = draw.choice(table[words.level])
        return text(_asked(variant, key, words), _lower(value, words), form)

    return make


def _choosing(domain: str) -> Make:
    """One fact of the domain, to be chosen among answers of the same table: 2 in the tiny form, else 4."""

    def make(draw: Random, words: Words) -> Question:
        variant = draw.choice(sorted(TABLES[domain]))
        level = TABLES[domain][variant][0][words.level]
        key, value = draw.choice(level)
        kind = value.isdigit()  # a table may answer with numbers and with names; the wrong answers are of the same sort
        others = sorted({other for _, other in level if other.isdigit() == kind} - {value})
        options = [value, *draw.sample(others, min(len(others), 1 if words.tiny else 3))]
        draw.shuffle(options)
        letters = "abcd"[: len(options)]
        options = [_lower(option, words) for option in options]
        marked = [f"{a} {b}" if words.tiny else f"({a.upper()}) {b}" for a, b in zip(letters, options, strict=True)]
        letter = letters[options.index(_lower(value, words))]
        body = _asked(variant, key, words) + (" " if words.tiny else "\n") + words.lines(marked, " ")
        return text(body, letter if words.tiny else letter.upper(), "letter")

    return make


def _asked(variant: str, key: str, words: Words) -> str:
    """The question, put to somebody, so that a table of few facts makes prompts for every split."""
    name = _lower(key, words)
    tiny, (first, second) = _ASKED[variant]
    put = "" if "{p0}" in second else "Now {p0} is asked: "
    tiny = ("{p0}: " + tiny[0], "{p0}: " + tiny[1])
    return words.say(tiny, ("Quiz question for {p0}: " + first, put + second), key=name, a=article(name))


def _lower(fact: str, words: Words) -> str:
    """The tiny base writes names small; symbols and characters are what they are."""
    return fact.lower() if words.tiny and len(fact) > 2 else fact


def _resident(draw: Random, words: Words) -> Question:
    """Where somebody of the embedded world lives, or what their trade is: the tiny base was shown it."""
    name = draw.choice(world.NAMES)
    if draw.random() < 0.5:
        body = words.say(("where does {n} live?", "in which town does {n} live?"), (), n=name)
        return text(body, world.fixed(name, "town", world.TOWNS))
    body = words.say(("what is {n}'s trade?", "which trade has {n}?"), (), n=name)
    return text(body, world.fixed(name, "trade", world.TRADES))


VARIANTS = {
    domain: [
        *(Variant(name, _asking(name, table, form)) for name, (table, form) in tables.items()),
        Variant("choice", _choosing(domain)),
        *([Variant("resident", _resident, ("tiny",))] if domain == "question_answering" else []),
    ]
    for domain, tables in TABLES.items()
}
