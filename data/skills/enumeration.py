"""Enumeration: produce every element that meets a condition, or count all of them."""

import re
from itertools import product
from math import comb
from random import Random

from data import world
from data.skills import facts
from data.skills.words import Question, Variant, Words, article, listed, number, people

# --- math -------------------------------------------------------------------------------------------------------------


def _divisors(draw: Random, words: Words) -> Question:
    n = draw.randint(*words.by(((4, 24), (16, 40), (30, 80)), ((6, 40), (24, 90), (90, 360))))
    body = words.say(
        ("divisors of {n}", "what divides {n}?"),
        (
            "List all positive divisors of {n} in increasing order, separated by commas.",
            "Which positive whole numbers divide {n} without a remainder? Write them from small to large, "
            "separated by commas.",
        ),
        n=n,
    )
    return listed(body, [d for d in range(1, n + 1) if n % d == 0])


def _multiples(draw: Random, words: Words) -> Question:
    """Multiples within bounds; at the hard level without those of another number."""
    m, start = draw.randint(2, words.by((5, 6, 6), (9, 12, 9))), draw.randint(1, words.by((9, 20, 40), (20, 90, 300)))
    end = start + m * draw.randint(2, words.by((3, 4, 5), (4, 6, 9)))
    other = draw.choice([k for k in (2, 3, 4, 5) if m % k]) if words.level == 2 else 0
    body = words.say(
        ("multiples of {m} from {a} to {b}{tiny}", "from {a} to {b}: multiples of {m}{tiny}?"),
        (
            "List all multiples of {m} from {a} to {b}, both included{natural}, in increasing order, separated "
            "by commas.",
            "Write down, from small to large and separated by commas, every number between {a} and {b} (the ends "
            "count, too) "
            "that {m} divides{natural}.",
        ),
        m=m,
        a=start,
        b=end,
        tiny=f", not of {other}" if other else "",
        natural=f", but none that is a multiple of {other}" if other else "",
    )
    return listed(body, [n for n in range(start, end + 1) if n % m == 0 and (not other or n % other)])


def _paths(draw: Random, words: Words) -> Question:
    """Lattice paths right and up: the binomial coefficient."""
    high = words.by((4, 5, 6), (5, 6, 7))
    a, b = draw.randint(1, high), draw.randint(2, high)
    body = words.say(
        ("ways {a} right {b} up", "how many ways: {a} right, {b} up?"),
        (
            "On a grid {p0} goes from one corner to the opposite one in {a} steps to the right and {b} steps up, "
            "in any order. "
            "How many different paths are there?",
            "How many different sequences are there of {a} letters R and {b} letters U?",
        ),
        a=a,
        b=b,
    )
    return number(body, comb(a + b, a))


def _ordered(draw: Random, words: Words) -> Question:
    """All of some digits or numbers, from the smallest to the largest."""
    count = words.by((4, 5, 6), (5, 8, 12))
    values = [draw.randint(0, 9) if words.tiny else draw.randint(-99, 999) for _ in range(count)]
    shown = ("" if words.tiny else ", ").join(map(str, values))
    body = words.say(
        ("sort {s}", "in order: {s}"),
        (
            "Write these numbers from the smallest to the largest, separated by commas: {s}.",
            "{p0} wants the numbers {s} in increasing order. List them all, separated by commas.",
        ),
        s=shown,
    )
    found = sorted(values)
    return listed(body, ["".join(map(str, found))] if words.tiny else found)


# --- science ----------------------------------------------------------------------------------------------------------


def _strand(draw: Random, words: Words) -> Question:
    """How often a base occurs in a strand of DNA; at the hard level how often one follows another."""
    length = words.by((5, 7, 9), (10, 18, 24))
    few = draw.sample("acgt", 2) if words.tiny and words.level < 2 else list("acgt")
    strand = "".join(draw.choice(few) for _ in range(length))
    base = "".join(draw.choice(few) for _ in range(2 if words.level == 2 else 1))
    found = sum(strand.startswith(base, place) for place in range(length))
    if not words.tiny:
        strand, base = strand.upper(), base.upper()
    told = "pair of neighbouring bases" if words.level == 2 else "base"
    body = words.say(
        ("count {x} in {s}", "how many {x} in {s}?"),
        (
            "How many times does the {told} {x} occur in the DNA strand {s}?",
            "{p0} reads the strand {s} of DNA. Count every place at which the {told} {x} stands.",
        ),
        x=base,
        s=strand,
        told=told,
    )
    return number(body, found)


FORMULAE = (  # molecules of many atoms, in three levels
    ("H2O", "CO2", "NH3", "CH4", "NaCl", "O2", "HCl", "SO2", "H2S", "CO"),
    ("C2H6", "H2SO4", "HNO3", "C3H8", "CaCO3", "Fe2O3", "N2O4", "C2H5OH", "H3PO4", "Al2O3", "KMnO4", "P4O10"),
    ("Ca(OH)2", "Al2(SO4)3", "C6H12O6", "Mg(NO3)2", "Ca3(PO4)2", "Fe(OH)3", "C12H22O11", "Cu(NO3)2", "Al(OH)3")
    + ("Ba(OH)2", "Zn(NO3)2", "Fe2(SO4)3", "K2Cr2O7", "C8H10N4O2"),
)


def atoms(formula: str) -> int:
    """Atoms in one unit of a formula, such as 5 in Ca(OH)2."""
    groups = re.findall(r"\(([^)]*)\)(\d*)", formula)
    inside = sum(atoms(group) * int(times or 1) for group, times in groups)
    plain = re.sub(r"\([^)]*\)\d*", "", formula)
    return inside + sum(int(times or 1) for _, times in re.findall(r"([A-Z][a-z]?)(\d*)", plain))


def _atoms(draw: Random, words: Words) -> Question:
    """Atoms in so many molecules."""
    count, formula = draw.randint(1, words.by((3, 4, 5), (5, 9, 12))), draw.choice(FORMULAE[words.level])
    body = words.say(
        ("atoms in {n} {f}", "how many atoms in {n} {f}?"),
        (
            "How many atoms are there, of all elements together, in {n} formula units of {f}?",
            "Count the atoms in {n} times {f}, whatever element they are of. How many are there?",
        ),
        n=count,
        f=formula,
    )
    return number(body, count * atoms(formula))


def _genotypes(draw: Random, words: Words) -> Question:
    """The different genotypes that two parents can have children of; one gene, at the hard level two."""
    genes = draw.sample("ABDEGHR", 2 if words.level == 2 else 1)
    kinds = [("Xx", "Xx"), ("XX", "Xx"), ("Xx", "xx"), ("XX", "xx"), ("XX", "XX"), ("xx", "xx")]
    easy, chosen = kinds[3:] + kinds[:1], []
    for gene in genes:
        pair = draw.choice(easy if words.level == 0 else kinds[:4])
        chosen.append([one.replace("X", gene).replace("x", gene.lower()) for one in pair])
    parents = ["".join(own) for own in zip(*chosen, strict=True)]
    each = [sorted({"".join(sorted(a + b)) for a, b in product(*pair)}) for pair in chosen]
    body = words.say(
        ("cross {a} {b}", "{a} with {b}: children?"),
        (
            "A parent of genotype {a} is crossed with one of genotype {b}. List every different genotype that "
            "their offspring can "
            "have, separated by commas, the capital letter of each gene first{order}.",
            "Two plants, {a} and {b}, are crossed. Which genotypes can occur among their offspring? Name each "
            "one once, separated by "
            "commas, with the capital letter of a gene before the small one{order}.",
        ),
        a=parents[0],
        b=parents[1],
        order=f" and gene {genes[0]} before gene {genes[1]}" if len(genes) > 1 else "",
    )
    return listed(body, ["".join(one) for one in product(*each)], "set")


# --- code -------------------------------------------------------------------------------------------------------------


def _printed(draw: Random, words: Words) -> Question:
    """What a loop prints: a range, one with a condition, one with two."""
    start, step = draw.randint(0, words.by((5, 9, 9), (9, 20, 40))), draw.randint(1, words.by((3, 3, 2), (5, 4, 3)))
    stop = start + step * draw.randint(3, words.by((4, 6, 7), (6, 10, 14))) + draw.randint(0, 1)
    m = draw.randint(2, 3)
    r = draw.randrange(m)
    k = draw.choice([4, 5])
    tests = [f"i % {m} == {r}", f"i % {k} != 0"][: words.level]
    kept = [i for i in range(start, stop, step) if not tests or i % m == r]
    kept = [i for i in kept if words.level < 2 or i % k != 0]
    if not kept:
        return _printed(draw, words)
    head = f"for i in range({start}, {stop}, {step}):"
    lines = [head, f"    if {' and '.join(tests)}:", "        print(i)"] if tests else [head, "    print(i)"]
    tiny = f"range({start},{stop},{step})" + (f" if {' and '.join(tests)}".replace(" % ", "%") if tests else "")
    body = words.say(
        ("list {tiny}", "what is in {tiny}?"),
        (
            "List every number that this Python program prints, in order, separated by commas.\n\n{code}",
            "{code}\n\nWhich numbers does this Python code write? Give all of them in order, separated by commas.",
        ),
        tiny=tiny,
        code="\n".join(lines),
    )
    return listed(body, kept)


def _bits(draw: Random, words: Words) -> Question:
    """All bit strings of a length with a number of ones; at the hard level without two ones side by side."""
    length = draw.randint(*words.by(((2, 4), (3, 5), (3, 5)), ((3, 5), (4, 6), (4, 7))))
    ones = draw.randint(1, length - 1) if words.level < 2 else draw.randint(1, (length + 1) // 2)
    held = [f"{n:0{length}b}" for n in range(2**length) if n.bit_count() == ones]
    first = draw.choice("01x") if words.level < 2 else "x"
    held = [s for s in held if (words.level < 2 or "11" not in s) and (first == "x" or s[0] == first)]
    if not held:
        return _bits(draw, words)
    rest = " and no two 1s side by side" if words.level == 2 else f" that begin with {first}" if first != "x" else ""
    body = words.say(
        ("{n} bits, {k} ones{tiny}", "strings of {n} bits, {k} ones{tiny}?"),
        (
            "List all strings of {n} bits with exactly {k} times the bit 1{rest}, in increasing order, separated "
            "by commas.",
            "Which strings of length {n} over 0 and 1 hold the digit 1 exactly {k} times{given}? Write all of "
            "them, separated by "
            "commas, the smallest as a binary number first.",
        ),
        n=length,
        k=ones,
        rest=rest,
        given=rest.replace(" that begin", ", and begin").replace(" and no two 1s", ", but no two 1s"),
        tiny=rest.replace(" and no two 1s side by side", ", no 11").replace(" that begin with", ", first is"),
    )
    return listed(body, held)


def _indices(draw: Random, words: Words) -> Question:
    """At which places of a string a letter stands."""
    length = words.by((4, 5, 7), (7, 12, 18))
    few = draw.sample("abcdefghijklmnop", 2 + words.level)
    string = "".join(draw.choice(few) for _ in range(length))
    letter = draw.choice(string)
    body = words.say(
        ("where is {x} in {s}, from 0", "from 0, places of {x} in {s}?"),
        (
            'List all indices at which the letter {x} stands in the Python string "{s}" (the first letter has '
            "index 0), in increasing order, separated by commas.",
            's = "{s}" in Python. For which i is s[i] == "{x}"? Write every such i, from small to large, '
            "separated by commas.",
        ),
        x=letter,
        s=string,
    )
    return listed(body, [place for place, other in enumerate(string) if other == letter])


def _letters(draw: Random, words: Words) -> Question:
    """How often a letter occurs."""
    length, kinds = words.by(((5, 2), (7, 2), (9, 3)), ((8, 2), (16, 3), (30, 4)))
    few = draw.sample(world.LETTERS, kinds)
    string = "".join(draw.choice(few) for _ in range(length))
    body = words.say(
        ("count {x} in {s}", "how many {x} in {s}?"),
        (
            'What is "{s}".count("{x}") in Python?',
            'How many times does the letter {x} stand in the Python string "{s}"?',
        ),
        x=few[0],
        s=string,
    )
    return number(body, string.count(few[0]))


# --- question answering -----------------------------------------------------------------------------------------------


def _owners(draw: Random, words: Words) -> Question:
    """Who of several has a thing of a colour; at the hard level who has none of it."""
    count, colours = words.by((2, 3, 3), (3, 4, 6)), 2 + (words.level > 0 and not words.tiny)
    own = [draw.randrange(colours) for _ in range(count)]
    chosen = draw.choice(own)
    not_it = words.level == 2
    if not_it and set(own) == {chosen}:
        return _owners(draw, words)
    told = [f"{words.people[i]} has {article(words.colours[own[i]])} {words.things[i]}" for i in range(count)]
    body = words.say(
        ("{told}. who has {tiny}?", "{told}. name all with {tiny}"),
        (
            "{told}. Who {has} something {c}? List all of them, separated by commas.",
            "{told}. Name everybody who {has} {ac} thing, separated by commas.",
        ),
        told=". ".join(told),
        tiny=("no " if not_it else "") + words.colours[chosen],
        has="does not have" if not_it else "has",
        c=words.colours[chosen],
        ac=article(words.colours[chosen]),
    )
    return listed(body, [words.people[i] for i in range(count) if (own[i] == chosen) != not_it], "set")


def _menus(draw: Random, words: Words) -> Question:
    """How many menus there are; at the hard level one dish does not go with another."""
    courses = [draw.randint(2, words.by((6, 5, 5), (9, 7, 7))) for _ in range(2 + (words.level > 0))]
    refused = words.level == 2
    total = 1
    for dishes in courses:
        total *= dishes
    total -= courses[2] if refused else 0
    names = ("soups", "main dishes", "desserts")[: len(courses)]
    body = words.say(
        ("{tiny}: how many menus{no}?", "menus of {tiny}{no}?"),
        (
            "A menu has one of each course: there are {natural}.{rest} How many different menus are there?",
            "{p0} chooses one dish of every course from {natural}.{rest} Count the possible choices.",
        ),
        tiny=", ".join(f"{n} {name.split()[0]}" for n, name in zip(courses, names, strict=True)),
        no=", 1 soup not with 1 main" if refused else "",
        natural=people([f"{n} {name}" for n, name in zip(courses, names, strict=True)]),
        rest=" One certain soup is never served with one certain main dish." if refused else "",
    )
    return number(body, total)


def _dates(draw: Random, words: Words) -> Question:
    """All dates of a month that fall on a weekday; at the medium level two weekdays, at the hard one odd dates only."""
    days = (14, 14, 21)[words.level] if words.tiny else draw.choice((30, 31))
    first = draw.randrange(7)
    wanted = sorted(draw.sample(range(7), 2 if words.level == 1 else 1))
    found = [d for d in range(1, days + 1) if (first + d - 1) % 7 in wanted and (words.level < 2 or d % 2)]
    names = [facts.DAYS[day] for day in wanted]
    body = words.say(
        ("1 is {first}. all {tiny} up to {n}", "which days to {n} are {tiny}? 1 is {first}"),
        (
            "A month has {n} days, and its 1st is a {day}. List all{odd} dates in it that fall on a {names}, in "
            "increasing order, "
            "separated by commas.",
            "The first day of a month of {n} days is a {day}. On which{odd} days of the month is it {names}? Write the "
            "numbers from small to large, separated by commas.",
        ),
        n=days,
        first=facts.DAYS[first].lower()[:3],
        tiny=("odd " if words.level == 2 else "") + " ".join(name.lower()[:3] for name in names),
        day=facts.DAYS[first],
        names=" or a ".join(names) if words.turn % 2 == 0 else " or ".join(names),
        odd=" odd" if words.level == 2 else "",
    )
    return listed(body, found)


VARIANTS = {
    "math": [Variant("divisors", _divisors), Variant("multiples", _multiples)]
    + [Variant("paths", _paths), Variant("ordered", _ordered)],
    "science": [Variant("strand", _strand), Variant("atoms", _atoms), Variant("genotypes", _genotypes)],
    "code": [Variant("printed", _printed), Variant("bits", _bits), Variant("indices", _indices)]
    + [Variant("letters", _letters)],
    "question_answering": [Variant("owners", _owners), Variant("menus", _menus), Variant("dates", _dates)],
}
