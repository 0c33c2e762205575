"""Five skills in four domains: generated questions with exact answers, in natural language; `tiny` has the short form.

A cell (a skill in a domain) is a benchmark, and two in diagnostics: to find the faulty step, and to mend it. The first
item of a pair stands in its variant's first wording; the second is its twin: the same question with other numbers (or
another fact), or in the second wording with other names. Both are in one split, which a digest of their text decides.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from random import Random

from data.items import Item
from data.skills import calculation, diagnostics, enumeration, fact_retrieval, simulation
from data.skills.words import LEVELS, Part, Question, Variant, Words

SKILLS: dict[str, Mapping[str, list[Variant]]] = {
    "calculation": calculation.VARIANTS,
    "fact_retrieval": fact_retrieval.VARIANTS,
    "simulation": simulation.VARIANTS,
    "enumeration": enumeration.VARIANTS,
    "diagnostics": diagnostics.VARIANTS,
}
DOMAINS = ("math", "science", "code", "question_answering")
PARTS = {"diagnostics": ("find", "mend")}
CHANGES = ("numbers", "words")  # in what a twin differs
SPLITS = {"train": range(0, 10), "validation": range(10, 14), "test": range(14, 20)}  # of 20 buckets of digests
DRY = 600  # draws without a new pair after which a generator counts as exhausted

_BOX = "Write your final answer in \\boxed{}."
_LETTER = "Write the letter of the right answer in \\boxed{}."
_TEXTS = {"word": "normalised", "exact": "exact", "list": "list", "set": "set"}  # form of an answer -> mode


@dataclass(frozen=True)
class Benchmark:
    name: str
    group: str
    skill: str
    domain: str
    part: str
    form: str

    @property
    def variants(self) -> list[Variant]:
        return [variant for variant in SKILLS[self.skill][self.domain] if self.form in variant.forms]


def group_of(skill: str, domain: str) -> str:
    """What is only recalled or read off is `non_reasoning`; math is `math`; science and code are `other_reasoning`."""
    if skill == "fact_retrieval" or domain == "question_answering":
        return "non_reasoning"
    return "math" if domain == "math" else "other_reasoning"


def benchmarks(form: str) -> dict[str, Benchmark]:
    """The benchmarks of a form, by name."""
    found = {}
    for skill in SKILLS:
        for domain in DOMAINS:
            for part in PARTS.get(skill, ("answer",)):
                ends = [part] * (part != "answer") + ["tiny"] * (form == "tiny")
                name = "_".join([skill, domain, *ends])
                found[name] = Benchmark(name, group_of(skill, domain), skill, domain, part, form)
    return found


BENCHMARKS = benchmarks("natural")


def items(benchmark: str, split: str, count: int, seed: int = 0) -> list[Item]:
    """The first `count` items of a split, twins side by side; another `seed` draws others. See `drawn`."""
    return drawn(BENCHMARKS[benchmark], split, count, seed)


def drawn(benchmark: Benchmark, split: str, count: int, seed: int) -> list[Item]:
    """`count` items, variants and levels in turn; fewer where no generator has more to give."""
    return list(islice(chain.from_iterable(_pairs(benchmark, split, seed)), count))


def _pairs(benchmark: Benchmark, split: str, seed: int) -> Iterator[tuple[Item, Item]]:
    """Pairs without end, from every variant at every level in turn, until all have run dry."""
    variants, seen = benchmark.variants, set[str]()
    turns = [(variant, (n + shift) % len(LEVELS)) for shift in range(len(LEVELS)) for n, variant in enumerate(variants)]
    streams = [_stream(benchmark, variant, level, split, seed, seen) for variant, level in turns]
    while streams:
        for stream in list(streams):
            pair = next(stream, None)
            if pair is None:
                streams.remove(stream)
            else:
                yield pair


def _stream(
    benchmark: Benchmark, variant: Variant, level: int, split: str, seed: int, seen: set[str]
) -> Iterator[tuple[Item, Item]]:
    """Pairs of one generator whose texts are new and belong to the split."""
    # the parts of diagnostics ask about the same cases, so their streams have one name
    draw = Random(f"{benchmark.form}/{benchmark.skill}/{benchmark.domain}/{variant.name}/{level}/{seed}")
    barren = 0
    while barren < DRY:
        barren += 1
        change, first = draw.choice(CHANGES), _Drawn(draw)
        question = first.question(variant, benchmark.form, level, 0)
        if question.body in seen or split_of(question.body) != split:
            continue
        twin = first.changed(change, draw).question(variant, benchmark.form, level, int(change == "words"))
        if twin.body in seen or twin.body == question.body or split_of(twin.body) != split:
            continue
        seen |= {question.body, twin.body}
        barren = 0
        yield _pair(benchmark, variant, level, change, question, twin)


class _Drawn:
    """Two seeds: of what a question is about, and of the names in it."""

    def __init__(self, draw: Random) -> None:
        self.about, self.names = draw.getrandbits(64), draw.getrandbits(64)

    def changed(self, change: str, draw: Random) -> "_Drawn":
        other = _Drawn(draw)
        if change == "words":
            other.about = self.about
        else:
            other.names = self.names
        return other

    def question(self, variant: Variant, form: str, level: int, turn: int) -> Question:
        return variant.make(Random(self.about), Words(form, level, turn, Random(self.names)))


def split_of(body: str) -> str:
    """The one split that a text belongs to, from its digest alone."""
    bucket = int.from_bytes(hashlib.sha256(body.encode()).digest()[:4], "big") % 20
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def _pair(
    benchmark: Benchmark, variant: Variant, level: int, change: str, question: Question, twin: Question
) -> tuple[Item, Item]:
    case = hashlib.sha256(question.body.encode()).hexdigest()[:12]
    labels = {"skill": benchmark.skill, "domain": benchmark.domain, "difficulty": LEVELS[level]}
    labels |= {"form": benchmark.form, "variant": variant.name, "part": benchmark.part, "change": change, "case": case}
    names = f"{benchmark.name}-{case}", f"{benchmark.name}-{case}-twin"
    first = _item(benchmark, names[0], names[1], question, labels)
    return first, _item(benchmark, names[1], names[0], twin, labels)


def _item(benchmark: Benchmark, name: str, twin: str, question: Question, labels: dict[str, str]) -> Item:
    part = next(part for part in question.parts if part.name == benchmark.part)
    prompt = _prompt(question, part, benchmark.form)
    kind, options = _verifier(part, benchmark.form)
    return Item(name, benchmark.name, benchmark.group, kind, prompt, part.answer, options, labels=labels, twin=twin)


def _prompt(question: Question, part: Part, form: str) -> str:
    if form == "tiny":
        return f"{question.body} {part.ask}".strip()
    asked = f"\n\n{part.ask}" if part.ask else ""
    return f"{question.body}{asked}\n\n{_LETTER if part.form == 'letter' else _BOX}"


def _verifier(part: Part, form: str) -> tuple[str, dict[str, str]]:
    """(kind, its options). The tiny base boxes the value of a sum and writes any other answer as it is."""
    if part.form == "letter":
        return "choice", {}
    if part.form == "expression" or (part.form == "number" and form == "natural"):
        return "math", {}
    options = {"mode": _TEXTS.get(part.form, "exact")}
    return "text", options if form == "tiny" else options | {"asked": "boxed"}
