"""What a question is, and how it is put: in which form, wording and names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from data import world

T = TypeVar("T")


def each(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


LEVELS = ("easy", "medium", "hard")
FORMS = ("natural", "tiny")

PEOPLE = each(
    """Amara Anton Bianca Carlos Chen Daria David Elena Farid Fiona George Hana Ines Ivan Jasmin Jonas Kofi Laila
    Leo Lucia Marco Maya Nadia Noah Olga Omar Paula Priya Rafael Rosa Samir Sofia Tariq Thomas Uma Victor Wei
    Yusuf Zoe"""
)
THINGS = each(
    """bell book candle clock drum flag flute hat kite lamp marble mug pen ring rope scarf spoon stamp ticket
    whistle"""
)
ROOMS = each("""attic bathroom bedroom cellar garage garden hall kitchen library office pantry study workshop""")
COLOURS = ["red", "blue", "green", "white", "black", "brown", "yellow", "purple", "orange", "grey"]
TINY_ROOMS = world.TOWNS


@dataclass(frozen=True)
class Part:
    """One thing asked about a question's body, and what is right.

    `form`: number, expression (a number, from what looks like a sum), word (case does not count), exact, list, set,
    letter.
    """

    answer: str
    form: str = "number"
    ask: str = ""  # what is asked, where the body does not say it
    name: str = "answer"


@dataclass(frozen=True)
class Question:
    """`body` is what all parts share, and decides the split."""

    body: str
    parts: tuple[Part, ...]


class Words:
    """How a question is put: its level, form, wording (`turn`) and names; the same for the same draw."""

    def __init__(self, form: str, level: int, turn: int, draw: Random) -> None:
        self.tiny, self.level, self.turn = form == "tiny", level, turn
        self.people = draw.sample(world.NAMES if self.tiny else PEOPLE, 8)
        self.things = draw.sample(world.THINGS if self.tiny else THINGS, 6)
        self.rooms = draw.sample(TINY_ROOMS if self.tiny else ROOMS, 6)
        self.colours = draw.sample(world.COLOURS if self.tiny else COLOURS, 6)

    def say(self, tiny: Sequence[str], natural: Sequence[str], /, **values: Any) -> str:
        """The wording of this form and turn, with `values` set in; people are {p0}, {p1}.., things {t0}.."""
        wordings = tiny if self.tiny else natural
        names = {f"p{i}": name for i, name in enumerate(self.people)}
        names |= {f"t{i}": name for i, name in enumerate(self.things)}
        return wordings[self.turn % len(wordings)].format(**names, **values)

    def by(self, tiny: Sequence[T], natural: Sequence[T]) -> T:
        """What belongs to this form at this level."""
        return (tiny if self.tiny else natural)[self.level]

    def room(self, place: int) -> str:
        """A room with its article; the tiny base knows towns, which have none."""
        return self.rooms[place] if self.tiny else f"the {self.rooms[place]}"

    def lines(self, rows: Sequence[str], tiny: str = ". ") -> str:
        """Rows one below the other, or one behind the other where the form is tiny."""
        return (tiny if self.tiny else "\n").join(rows)


Make = Callable[[Random, Words], Question]


@dataclass(frozen=True)
class Variant:
    """One generator of a cell. `draw` alone decides what a question is about; `Words` how it is put."""

    name: str
    make: Make
    forms: tuple[str, ...] = FORMS


def number(body: str, answer: int) -> Question:
    return Question(body, (Part(str(answer)),))


def expression(body: str, answer: int) -> Question:
    return Question(body, (Part(str(answer), "expression"),))


def text(body: str, answer: str, form: str = "word") -> Question:
    return Question(body, (Part(answer, form),))


def listed(body: str, answer: Sequence[Any], form: str = "list") -> Question:
    """A list (`list`: in order, `set`: in any)."""
    return Question(body, (Part(", ".join(map(str, answer)), form),))


def article(word: str) -> str:
    """A word with its article: a bell, an octagon."""
    return f"a{'n' if word[0] in 'aeio' else ''} {word}"


def people(names: Sequence[str]) -> str:
    """Names as a list in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
