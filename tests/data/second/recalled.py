"""Facts from a second source: rules, the standard library, tables written down another way round."""

import builtins
import calendar
import http
import keyword
import re
from collections.abc import Callable

from data import world
from tests.data.second.reading import numbers, total
from tests.data.second.worked import DAYS

GREEK = ["mono", "di", "tri", "tetra", "penta", "hexa", "hepta", "octa", "nona", "deca", "hendeca", "dodeca"]
SIDES = {name + "gon": n for n, name in enumerate(GREEK, 1)} | {"icosagon": 20, "triangle": 3}
SIDES |= dict.fromkeys(("square", "rectangle", "rhombus", "trapezoid"), 4)
# the periodic table by rows: the first of each row and its symbols
ROWS = {1: "H He", 3: "Li Be B C N O F Ne", 11: "Na Mg Al Si P S Cl Ar"}
ROWS |= {19: "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr"}
ROWS |= {37: "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe"}
ROWS |= {55: "Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu"}
ROWS |= {72: "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn", 87: "Fr Ra Ac Th Pa U"}
SYMBOLS = {symbol: first + n for first, row in ROWS.items() for n, symbol in enumerate(row.split())}
LATIN = {"sodium": "Na", "potassium": "K", "iron": "Fe", "copper": "Cu", "silver": "Ag", "tin": "Sn", "antimony": "Sb"}
LATIN |= {"tungsten": "W", "gold": "Au", "mercury": "Hg", "lead": "Pb"}
# second letters that are not the name's second
ODD = {
    "magnesium": "Mg",
    "chlorine": "Cl",
    "argon": "Ar",
    "chromium": "Cr",
    "manganese": "Mn",
    "zinc": "Zn",
    "arsenic": "As",
}
ODD |= {"strontium": "Sr", "zirconium": "Zr", "niobium": "Nb", "technetium": "Tc", "palladium": "Pd", "cadmium": "Cd"}
ODD |= {"caesium": "Cs", "neodymium": "Nd", "promethium": "Pm", "samarium": "Sm", "gadolinium": "Gd", "terbium": "Tb"}
ODD |= {"thulium": "Tm", "ytterbium": "Yb", "hafnium": "Hf", "rhenium": "Re", "platinum": "Pt", "thallium": "Tl"}
ODD |= {"astatine": "At", "radon": "Rn", "protactinium": "Pa", "berkelium": "Bk", "helium": "He", "rubidium": "Rb"}
SINGLE = str.split(
    """hydrogen boron carbon nitrogen oxygen fluorine phosphorus sulfur vanadium yttrium iodine uranium"""
)
# units and quantities by their dimensions in metre, kilogram, second, ampere, and what else tells them apart
UNIT_OF = {"kg m s-2": "newton", "kg m2 s-2": "joule", "kg m2 s-3": "watt", "A": "ampere", "s": "second", "K": "kelvin"}
UNIT_OF |= {
    "kg m-1 s-2": "pascal",
    "cycles s-1": "hertz",
    "kg m2 s-3 A-1": "volt",
    "kg m2 s-3 A-2": "ohm",
    "A s": "coulomb",
}
UNIT_OF |= {"mol": "mole", "kg-1 m-2 s4 A2": "farad", "kg m2 s-2 A-2": "henry", "kg m2 s-2 A-1": "weber"}
UNIT_OF |= {"kg s-2 A-1": "tesla", "kg-1 m-2 s3 A2": "siemens", "cd": "candela", "cd sr": "lumen", "cd sr m-2": "lux"}
UNIT_OF |= {"decays s-1": "becquerel", "m2 s-2": "gray", "mol s-1": "katal"}
DIMENSIONS = {"force": "kg m s-2", "energy": "kg m2 s-2", "power": "kg m2 s-3", "electric current": "A", "time": "s"}
DIMENSIONS |= {"pressure": "kg m-1 s-2", "frequency": "cycles s-1", "voltage": "kg m2 s-3 A-1", "temperature": "K"}
DIMENSIONS |= {"electric resistance": "kg m2 s-3 A-2", "electric charge": "A s", "amount of substance": "mol"}
DIMENSIONS |= {"capacitance": "kg-1 m-2 s4 A2", "inductance": "kg m2 s-2 A-2", "magnetic flux": "kg m2 s-2 A-1"}
DIMENSIONS |= {
    "magnetic flux density": "kg s-2 A-1",
    "electric conductance": "kg-1 m-2 s3 A2",
    "luminous intensity": "cd",
}
DIMENSIONS |= {
    "luminous flux": "cd sr",
    "illuminance": "cd sr m-2",
    "radioactivity": "decays s-1",
    "absorbed dose": "m2 s-2",
}
DIMENSIONS |= {"catalytic activity": "mol s-1"}
PYTHON = {  # name -> a word of its description that no other name's has
    **{"len": "how many elements", "sum": "adds up", "print": "writes text", "max": "largest", "min": "smallest"},
    **{
        "def": "definition of a function",
        "class": "definition of a class",
        "return": "back from",
        "break": "leaves a loop",
    },
    **{"open": "file", "continue": "next round", "pass": "does nothing", "abs": "absolute", "sorted": "new sorted"},
    **{"input": "typed in", "lambda": "without a name", "yield": "pauses", "assert": "assertionerror"},
    **{"ord": "gives the code point", "chr": "gives the character", "del": "removes", "divmod": "quotient"},
    **{"zip": "pairs the", "enumerate": "with its index", "isinstance": "belongs to", "except": "handles an"},
}
CITIES = {  # capital -> country
    **{
        "Paris": "France",
        "Rome": "Italy",
        "Madrid": "Spain",
        "Berlin": "Germany",
        "Tokyo": "Japan",
        "Beijing": "China",
    },
    **{"Moscow": "Russia", "Athens": "Greece", "Lisbon": "Portugal", "Vienna": "Austria", "Dublin": "Ireland"},
    **{"Cairo": "Egypt", "Warsaw": "Poland", "Ottawa": "Canada", "Canberra": "Australia", "Brasilia": "Brazil"},
    **{"Ankara": "Turkey", "Oslo": "Norway", "Stockholm": "Sweden", "Helsinki": "Finland", "Copenhagen": "Denmark"},
    **{"Budapest": "Hungary", "Havana": "Cuba", "Lima": "Peru", "Santiago": "Chile", "Buenos Aires": "Argentina"},
    **{"Nairobi": "Kenya", "Brussels": "Belgium", "New Delhi": "India", "Tehran": "Iran", "Baghdad": "Iraq"},
    **{"Ulaanbaatar": "Mongolia", "Kathmandu": "Nepal", "Accra": "Ghana", "Dakar": "Senegal", "Kampala": "Uganda"},
    **{"Addis Ababa": "Ethiopia", "Lusaka": "Zambia", "Harare": "Zimbabwe", "Kigali": "Rwanda", "Luanda": "Angola"},
    **{"Rabat": "Morocco", "Tunis": "Tunisia", "Reykjavik": "Iceland", "Riga": "Latvia", "Tallinn": "Estonia"},
    **{
        "Vilnius": "Lithuania",
        "Ljubljana": "Slovenia",
        "Zagreb": "Croatia",
        "Sofia": "Bulgaria",
        "Bucharest": "Romania",
    },
    **{"Montevideo": "Uruguay", "Quito": "Ecuador", "Amman": "Jordan", "Muscat": "Oman", "Vientiane": "Laos"},
    **{"Phnom Penh": "Cambodia", "Dhaka": "Bangladesh", "Wellington": "New Zealand", "Kingston": "Jamaica"},
}
LANDS = {
    "Europe": "France Germany Spain Poland Norway Latvia Slovenia Moldova",
    "Asia": "China India Japan Thailand Vietnam Laos Bhutan Brunei",
    "Africa": "Kenya Nigeria Morocco Ghana Ethiopia Gabon Malawi Lesotho Eritrea",
    "South America": "Brazil Peru Chile Argentina Suriname Guyana Paraguay",
    "North America": "Canada Mexico Cuba Belize Honduras Nicaragua",
}
MONTHS = list(calendar.month_name)[1:]


def symbol_of(name: str) -> str:
    name = name.lower()
    return (LATIN | ODD).get(name) or (name[0].upper() if name in SINGLE else name[:2].capitalize())


def fact(question: str) -> str:
    """The answer to a question in free form."""
    question = re.sub(r"^(?:Quiz question for \w+|Now \w+ is asked): ", "", question)
    name, _, rest = question.partition(": ")
    question = rest if name in world.NAMES else question
    for pattern, answer in FACTS:
        if found := re.fullmatch(pattern, question):
            return answer(next(one for one in found.groups() if one is not None))
    raise ValueError(question)


def choose(prompt: str) -> str:
    """The letter of the one right option."""
    if "\n" in prompt:
        question, *options = prompt.splitlines()
        marked = {option[1]: option[4:] for option in options}
    else:
        question, a, b = re.fullmatch(r"(.*\?) a (.*) b (.*)", prompt).groups()
        marked = {"a": a, "b": b}
    answer = fact(question).lower()
    letters = [letter for letter, option in marked.items() if option.lower() == answer]
    assert len(letters) == 1, prompt
    return letters[0]


def prime(n: str) -> str:
    sieve = [True] * 200
    for k in range(2, 15):
        sieve[k * k :: k] = [False] * len(sieve[k * k :: k])
    return str([k for k in range(2, 200) if sieve[k]][int(n) - 1])


def power(text: str) -> str:
    base, exponent = numbers(text)
    found = 1
    for _ in range(exponent):
        found = total(base, found)
    return str(found)


def named(symbol: str) -> str:
    names = [name for name in ELEMENT_NAMES if symbol_of(name) == symbol]
    assert len(names) == 1, symbol
    return names[0]


def status(phrase: str) -> str:
    return str(next(one.value for one in http.HTTPStatus if one.phrase.lower() == phrase.lower()))


def python_name(text: str) -> str:
    found = [name for name, words in PYTHON.items() if words in text.lower()]
    assert len(found) == 1, text
    assert keyword.iskeyword(found[0]) or hasattr(builtins, found[0])
    return found[0]


def capital(country: str) -> str:
    return next(city for city, own in CITIES.items() if own.lower() == country.lower())


def continent(country: str) -> str:
    return next(name for name, own in LANDS.items() if country.lower() in own.lower().split())


def calendar_fact(text: str) -> str:
    what, name = re.fullmatch(r"the (.*?) (?:of |in )?(\w+)(?: among the months)?", text).groups()
    names = DAYS if name.endswith("day") else MONTHS
    place = [one.lower() for one in names].index(name.lower())
    if what == "number":
        return str(place + 1)
    if what == "number of days":
        return str(calendar.monthrange(2023, place + 1)[1])
    found = names[(place + (1 if what.endswith("after") else -1)) % len(names)]
    return found if name[0].isupper() else found.lower()


def resident(name: str) -> str:
    return RESIDENTS[f"where does {name} live?"]


def trade(name: str) -> str:
    return RESIDENTS[f"what is {name}'s trade?"]


ELEMENT_NAMES = str.split(
    """hydrogen helium lithium beryllium boron carbon nitrogen oxygen fluorine neon sodium magnesium aluminium
    silicon phosphorus sulfur chlorine argon potassium calcium scandium titanium vanadium chromium manganese
    iron cobalt nickel copper zinc gallium germanium arsenic selenium bromine krypton rubidium strontium yttrium
    zirconium niobium molybdenum technetium ruthenium rhodium palladium silver cadmium indium tin antimony
    tellurium iodine xenon caesium barium lanthanum cerium praseodymium neodymium promethium samarium europium
    gadolinium terbium dysprosium holmium erbium thulium ytterbium lutetium hafnium tantalum tungsten rhenium
    osmium iridium platinum gold mercury thallium lead bismuth polonium astatine radon francium radium actinium
    thorium protactinium uranium"""
)
RESIDENTS = {item.prompt: item.reference for item in world.items("facts", "test", 1000)}
FACTS: list[tuple[str, Callable[[str], str]]] = [
    (r"where does (\w+) live\?|in which town does (\w+) live\?", resident),
    (r"what is (\w+)'s trade\?|which trade has (\w+)\?", trade),
    (
        r"(?:sides of|how many sides has|How many sides does|\w+ draws) an? (\w+)(?:\?| have\?|\. How many sides "
        r"is that\?)",
        lambda n: str(SIDES[n]),
    ),
    (r".*(?:prime no|place|prime number) (\d+)\?", prime),
    (r"(?:what is |What is |\w+ asks for )?(\d+ to the power of \d+)(?:\?|\. Which number is it\?)", power),
    (
        r"symbol of (\w+)\?|what is (\w+)'s symbol\?|What is the chemical symbol of (\w+)\?|How do chemists .* (\w+)\?",
        symbol_of,
    ),
    (
        r".*[Ee]lement has the chemical symbol (\w+)\?|element (\w+)\?|what is the element (\w+)\?|.*symbol (\w+) "
        r"on a bottle.*",
        named,
    ),
    (
        r"number of (\w+)\?|what is (\w+)'s number\?|What is the atomic number of (\w+)\?|How many protons .* of "
        r"(\w+)\?",
        lambda n: str(SYMBOLS[symbol_of(n)]),
    ),
    (r".*unit of ([\w ]+)\?|In which SI unit is ([\w ]+) measured\? Give its name\.", lambda q: UNIT_OF[DIMENSIONS[q]]),
    (
        r".*ascii of (.)\?|.*the character (.) in decimal\?|.*the character (.) in ASCII\?",
        lambda c: str(c.encode("ascii")[0]),
    ),
    (r'(?:what is )?http ([\w ]+)\?|.*code means "([\w ]+)"\?|.*to answer "([\w ]+)"\. .*', status),
    (
        r"python: (.*)\?|what (.*) in python\?|Which keyword .* of Python (.*)\?|Name the Python .* that (.*)\.",
        python_name,
    ),
    (r"(?:.*capital of )([\w ]+)(?:\?|\. Which city is it\?)|what is ([\w ]+)'s capital\?", capital),
    (
        r"where is (\w+)\?|on which continent is (\w+)\?|On which .* does (\w+) lie\?|\w+ was born in (\w+)\..*",
        continent,
    ),
    (
        r"(the .*)\?|what is (the .*)\?|In the calendar, what is (the .*)\?|\w+ asks a child for (the .*)\. .*",
        calendar_fact,
    ),
]
