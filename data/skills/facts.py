"""Facts that are plainly true and do not change, from the best known to the least: three levels a table."""

from data.skills.words import each

Table = tuple[tuple[tuple[str, str], ...], ...]  # a level: (what is asked about, the answer)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`key: value` pairs, parted by commas."""
    return tuple((key.strip(), value.strip()) for key, value in (pair.split(":") for pair in text.split(",")))


def _turned(table: Table) -> Table:
    return tuple(tuple((value, key) for key, value in level) for level in table)


# --- math -------------------------------------------------------------------------------------------------------------

SIDES: Table = (
    _pairs("triangle: 3, square: 4, rectangle: 4, pentagon: 5, hexagon: 6"),
    _pairs("rhombus: 4, trapezoid: 4, heptagon: 7, octagon: 8, decagon: 10"),
    _pairs("nonagon: 9, hendecagon: 11, dodecagon: 12, icosagon: 20"),
)
PRIMES: Table = tuple(
    tuple((str(n), str(prime)) for n, prime in level)
    for level in (
        tuple(enumerate((2, 3, 5, 7, 11, 13), 1)),
        tuple(enumerate((17, 19, 23, 29, 31, 37), 7)),
        tuple(enumerate((41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97), 13)),
    )
)
POWERS: Table = (
    tuple((f"{n} to the power of 2", str(n * n)) for n in range(2, 11)),
    tuple((f"{n} to the power of 2", str(n * n)) for n in range(11, 21))
    + tuple((f"{n} to the power of 3", str(n**3)) for n in range(2, 6)),
    tuple((f"2 to the power of {n}", str(2**n)) for n in range(5, 17))
    + tuple((f"{n} to the power of 3", str(n**3)) for n in range(6, 13)),
)

# --- science ----------------------------------------------------------------------------------------------------------

_ELEMENTS = each(
    """H hydrogen He helium Li lithium Be beryllium B boron C carbon N nitrogen O oxygen F fluorine Ne neon Na
    sodium Mg magnesium Al aluminium Si silicon P phosphorus S sulfur Cl chlorine Ar argon K potassium Ca
    calcium Sc scandium Ti titanium V vanadium Cr chromium Mn manganese Fe iron Co cobalt Ni nickel Cu copper Zn
    zinc Ga gallium Ge germanium As arsenic Se selenium Br bromine Kr krypton Rb rubidium Sr strontium Y yttrium
    Zr zirconium Nb niobium Mo molybdenum Tc technetium Ru ruthenium Rh rhodium Pd palladium Ag silver Cd
    cadmium In indium Sn tin Sb antimony Te tellurium I iodine Xe xenon Cs caesium Ba barium La lanthanum Ce
    cerium Pr praseodymium Nd neodymium Pm promethium Sm samarium Eu europium Gd gadolinium Tb terbium Dy
    dysprosium Ho holmium Er erbium Tm thulium Yb ytterbium Lu lutetium Hf hafnium Ta tantalum W tungsten Re
    rhenium Os osmium Ir iridium Pt platinum Au gold Hg mercury Tl thallium Pb lead Bi bismuth Po polonium At
    astatine Rn radon Fr francium Ra radium Ac actinium Th thorium Pa protactinium U uranium"""
)
ELEMENTS = tuple(zip(_ELEMENTS[::2], _ELEMENTS[1::2], strict=True))  # symbol and name, in order of atomic number
_KNOWN = set(each("iron copper zinc silver gold tin lead mercury iodine nickel platinum uranium"))


def _by_fame(facts: list[tuple[int, str, str]]) -> Table:
    """The first 20 elements; the others known to all and up to the 36th; the rest."""
    names = {place: name for place, (_, name) in enumerate(ELEMENTS, 1)}
    fame = {place: 0 if place <= 20 else 1 if place <= 36 or names[place] in _KNOWN else 2 for place in names}
    return tuple(tuple((key, value) for place, key, value in facts if fame[place] == level) for level in range(3))


SYMBOLS = _by_fame([(n, name, symbol) for n, (symbol, name) in enumerate(ELEMENTS, 1)])
NUMBERS = _by_fame([(n, name, str(n)) for n, (_, name) in enumerate(ELEMENTS, 1)])
NAMED = _turned(SYMBOLS)
UNITS: Table = (
    _pairs("force: newton, energy: joule, power: watt, electric current: ampere, time: second"),
    _pairs("pressure: pascal, frequency: hertz, voltage: volt, electric resistance: ohm, temperature: kelvin")
    + _pairs("electric charge: coulomb, amount of substance: mole"),
    _pairs("capacitance: farad, inductance: henry, magnetic flux: weber, magnetic flux density: tesla")
    + _pairs("electric conductance: siemens, luminous intensity: candela, luminous flux: lumen, illuminance: lux")
    + _pairs("radioactivity: becquerel, absorbed dose: gray, catalytic activity: katal"),
)

# --- code -------------------------------------------------------------------------------------------------------------

ASCII: Table = (
    tuple((chr(code), str(code)) for code in (65, 66, 67, 97, 98, 99, 48, 49)),
    tuple((chr(code), str(code)) for code in (*range(68, 91), *range(50, 58))),
    tuple((chr(code), str(code)) for code in (*range(100, 123), *b"!#%&*+-/:;<=>?@_~")),
)
HTTP: Table = (
    _pairs("Not Found: 404, OK: 200, Internal Server Error: 500"),
    _pairs("Forbidden: 403, Unauthorized: 401, Bad Request: 400, Moved Permanently: 301, Created: 201"),
    _pairs("Service Unavailable: 503, Bad Gateway: 502, Gateway Timeout: 504, Too Many Requests: 429, Conflict: 409")
    + _pairs("No Content: 204, Not Modified: 304, Method Not Allowed: 405, Gone: 410, Accepted: 202, Continue: 100"),
)
PYTHON: Table = (
    _pairs(
        "tells how many elements a list has: len, adds up the numbers of a list: sum, writes text to the screen: print"
    )
    + _pairs("gives the largest element of a list: max, gives the smallest element of a list: min")
    + _pairs("begins the definition of a function: def, begins the definition of a class: class"),
    _pairs("gives a value back from a function: return, leaves a loop at once: break, opens a file: open")
    + _pairs("goes on with the next round of a loop: continue, does nothing where a statement is needed: pass")
    + _pairs(
        "gives the absolute value of a number: abs, makes a new sorted list: sorted, reads a line typed in: input"
    ),
    _pairs("makes a function without a name: lambda, pauses a generator and hands out a value: yield")
    + _pairs(
        "raises an AssertionError where a condition does not hold: assert, gives the code point of a character: ord"
    )
    + _pairs(
        "gives the character of a code point: chr, removes a name: del, gives quotient and remainder at once: divmod"
    )
    + _pairs("pairs the elements of several lists: zip, gives each element with its index: enumerate")
    + _pairs("tells whether an object belongs to a class: isinstance, handles an exception after try: except"),
)

# --- question answering -----------------------------------------------------------------------------------------------

CAPITALS: Table = (
    _pairs("France: Paris, Italy: Rome, Spain: Madrid, Germany: Berlin, Japan: Tokyo, China: Beijing, Russia: Moscow")
    + _pairs("Greece: Athens, Portugal: Lisbon, Austria: Vienna, Ireland: Dublin, Egypt: Cairo, Poland: Warsaw"),
    _pairs("Canada: Ottawa, Australia: Canberra, Brazil: Brasilia, Turkey: Ankara, Norway: Oslo, Sweden: Stockholm")
    + _pairs("Finland: Helsinki, Denmark: Copenhagen, Hungary: Budapest, Cuba: Havana, Peru: Lima, Chile: Santiago")
    + _pairs(
        "Argentina: Buenos Aires, Kenya: Nairobi, Belgium: Brussels, India: New Delhi, Iran: Tehran, Iraq: Baghdad"
    ),
    _pairs(
        "Mongolia: Ulaanbaatar, Nepal: Kathmandu, Ghana: Accra, Senegal: Dakar, Uganda: Kampala, Ethiopia: Addis Ababa"
    )
    + _pairs("Zambia: Lusaka, Zimbabwe: Harare, Rwanda: Kigali, Angola: Luanda, Morocco: Rabat, Tunisia: Tunis")
    + _pairs(
        "Iceland: Reykjavik, Latvia: Riga, Estonia: Tallinn, Lithuania: Vilnius, Slovenia: Ljubljana, Croatia: Zagreb"
    )
    + _pairs("Bulgaria: Sofia, Romania: Bucharest, Uruguay: Montevideo, Ecuador: Quito, Jordan: Amman, Oman: Muscat")
    + _pairs("Laos: Vientiane, Cambodia: Phnom Penh, Bangladesh: Dhaka, New Zealand: Wellington, Jamaica: Kingston"),
)
CONTINENTS: Table = (
    _pairs(
        "France: Europe, Germany: Europe, Spain: Europe, China: Asia, India: Asia, Japan: Asia, Brazil: South America"
    )
    + _pairs("Canada: North America, Kenya: Africa, Nigeria: Africa"),
    _pairs(
        "Peru: South America, Chile: South America, Argentina: South America, Mexico: North America, Cuba: North "
        "America"
    )
    + _pairs(
        "Morocco: Africa, Ghana: Africa, Ethiopia: Africa, Thailand: Asia, Vietnam: Asia, Poland: Europe, "
        "Norway: Europe"
    ),
    _pairs("Suriname: South America, Guyana: South America, Paraguay: South America, Belize: North America, Laos: Asia")
    + _pairs("Honduras: North America, Gabon: Africa, Malawi: Africa, Lesotho: Africa, Bhutan: Asia, Brunei: Asia")
    + _pairs("Latvia: Europe, Slovenia: Europe, Moldova: Europe, Eritrea: Africa, Nicaragua: North America"),
)
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = each("""January February March April May June July August September October November December""")
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
CALENDAR: Table = (
    tuple((f"the day after {day}", DAYS[(place + 1) % 7]) for place, day in enumerate(DAYS))
    + tuple((f"the day before {day}", DAYS[place - 1]) for place, day in enumerate(DAYS)),
    tuple((f"the month after {month}", MONTHS[(place + 1) % 12]) for place, month in enumerate(MONTHS))
    + tuple((f"the number of {month} among the months", str(place)) for place, month in enumerate(MONTHS, 1)),
    tuple((f"the month before {month}", MONTHS[place - 1]) for place, month in enumerate(MONTHS))
    + tuple((f"the number of days in {month}", str(n)) for month, n in zip(MONTHS, _LENGTHS, strict=True) if n != 28),
)
