"""Benchmarks that reasoning-gym makes on this machine (arXiv:2505.24760), for bases of 0.1 to 2 billion parameters.

The sizes are ones at which such a base is sometimes right. An item's split is a pure function of its question, and
data=reasoning_gym trains on the questions of the split `train` alone, so no item is ever trained on. The prompt is the
question as it is; who wants a form shown uses the three `shots`, which are of the split `train`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from conf.errors import UserError
from data import reasoning
from data.columns import text
from data.items import Item, Missing, worked
from rewards import gym

SHOTS = 3
DRAWS = 50  # for each item asked for; a task that has no more questions then has fewer items


@dataclass(frozen=True)
class Benchmark:
    """`task` of reasoning-gym with `config`; judged by the kind that data/reasoning.py has for it, else its scorer."""

    name: str
    group: str
    task: str
    config: dict[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return gym.PACKAGE if self.task in gym.TASKS else reasoning.KINDS[self.task]


_MATH, _OTHER, _NON = "math", "other_reasoning", "non_reasoning"
_TWO = {"min_terms": 2, "max_terms": 2, "min_digits": 1}
_GRID = {"min_rows": 3, "max_rows": 4, "min_cols": 3, "max_cols": 4}
TABLE = (
    Benchmark("sum_two", _MATH, "chain_sum", _TWO | {"max_digits": 2}),
    Benchmark("sum_three", _MATH, "chain_sum", {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 1}),
    Benchmark("signed_arithmetic", _MATH, "basic_arithmetic", _TWO | {"max_terms": 3, "max_digits": 1}),
    Benchmark("product", _MATH, "products", _TWO | {"max_digits": 2}),
    Benchmark("equation", _MATH, "simple_equations", {"min_value": 1, "max_value": 20}),
    Benchmark("gcd", _MATH, "gcd", {"max_value": 50}),
    Benchmark("lcm", _MATH, "lcm", {"max_value": 30}),
    Benchmark("count_bits", _MATH, "count_bits", {"max_n": 1023}),
    Benchmark("fraction", _MATH, "fraction_simplification", {"max_value": 20, "max_factor": 10}),
    Benchmark("number_sequence", _OTHER, "number_sequence"),
    Benchmark("letter_counting", _OTHER, "letter_counting", {"min_words": 1, "max_words": 3}),
    Benchmark("syllogism", _OTHER, "syllogism"),
    Benchmark("calendar", _OTHER, "calendar_arithmetic"),
    Benchmark("alice_in_wonderland", _OTHER, "aiw"),
    Benchmark("family", _OTHER, "family_relationships"),
    Benchmark("word_sorting", _OTHER, "word_sorting", {"min_words": 3, "max_words": 4}),
    Benchmark("knights_knaves", _OTHER, "knights_knaves"),
    Benchmark("shortest_path", _OTHER, "shortest_path", _GRID),
    Benchmark("needle", _NON, "needle_haystack", {"min_num_statements": 3, "max_num_statements": 6}),
    Benchmark("needle_far", _NON, "needle_haystack", {"min_num_statements": 20, "max_num_statements": 30}),
    Benchmark("sentence_order", _NON, "sentence_reordering", {"min_words_in_sentence": 3, "max_words_in_sentence": 5}),
    Benchmark("spelling_backward", _NON, "spell_backward", {"min_word_len": 3, "max_word_len": 5}),
    Benchmark("words_backward", _NON, "word_sequence_reversal", {"min_words": 2, "max_words": 4}),
)
NAMED = ("calendar_arithmetic", "family_relationships", "needle_haystack", "syllogism")  # answered by a name or a word
BENCHMARKS = {one.name: one for one in TABLE}


def items(benchmark: str, split: str, count: int) -> list[Item]:
    """The first `count` distinct items of a split. Missing where reasoning-gym is not installed, or fails."""
    chosen = BENCHMARKS[benchmark]
    return list(_made(chosen.name, split, count, _shots(chosen.name)))


@lru_cache(maxsize=len(TABLE))
def _shots(name: str) -> tuple[tuple[str, str], ...]:
    """(question, answer in the asked form) of the split `train`."""
    shown = _made(name, "train", SHOTS, ())
    return tuple((item.prompt, worked(item) or json.loads(item.reference)["answer"]) for item in shown)


def _made(name: str, split: str, count: int, shots: tuple[tuple[str, str], ...]) -> Iterator[Item]:
    benchmark = BENCHMARKS[name]
    found: set[str] = set()
    for entry in _entries(benchmark, split, DRAWS * (count + 20)):
        question = text(entry["question"])
        key = hashlib.sha256(question.encode()).hexdigest()[:12]
        if key in found:
            continue
        found.add(key)
        yield Item(
            id=f"{name}-{key}",
            benchmark=name,
            group=benchmark.group,
            kind=benchmark.kind,
            prompt=question,
            reference=_reference(benchmark, entry),
            options=_options(benchmark),
            shots=shots,
            labels={"task": benchmark.task},
        )
        if len(found) == count:
            return


def _options(benchmark: Benchmark) -> dict[str, Any]:
    """A name or a yes may have a capital or a full stop. No question asks for a box."""
    if benchmark.kind == "text":
        return {"mode": "normalised"} if benchmark.task in NAMED else {}
    return {"extraction": "aware"}


def _reference(benchmark: Benchmark, entry: dict[str, Any]) -> str:
    if benchmark.kind != gym.PACKAGE:
        return text(entry["answer"])
    kept = {name: entry[name] for name in ("question", "answer", "metadata")}
    return json.dumps({"task": benchmark.task, "config": benchmark.config} | kept)


def _entries(benchmark: Benchmark, split: str, draws: int) -> Iterator[dict[str, Any]]:
    try:
        yield from reasoning.entries(
            benchmark.task, split, draws, seed=("procedural", benchmark.name), config=benchmark.config
        )
    except UserError as error:
        raise Missing(benchmark.name, f"{error.why}: {error.change}") from error
