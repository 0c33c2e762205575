"""Rows made by reasoning-gym (arXiv:2505.24760): the tasks whose one right answer our verifiers judge exactly.

Left out, of the 105 tasks of version 0.1.25: those with several right answers (puzzles, paths, plans, grids) or none
given; those whose answer is rounded or written in several ways; `fraction_simplification`, whose question is itself
equal to the answer; and `codeio`, `intermediate_integration`, `isomorphic_strings`, `knight_swap`, `list_functions`,
`polynomial_multiplication`, `ransom_note` and `word_ladder`, whose items change with PYTHONHASHSEED.
`gsm_symbolic` is made from GSM8K's test questions: do not train on it where the suite scores GSM8K.
"""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from conf.errors import UserError
from data.columns import Row, text
from models.seeds import stream

_MATH = (
    *("aiw", "basic_arithmetic", "binary_alternation", "chain_sum", "circuit_logic", "count_bits", "count_primes"),
    *("decimal_chain_sum", "dice", "gcd", "gsm_symbolic", "largest_island", "lcm", "leg_counting", "letter_counting"),
    *("maze", "number_sequence", "products", "rectangle_count", "rotten_oranges", "self_reference"),
    *("simple_equations", "simple_geometry"),
)
_TEXT = (
    *("ab", "acre", "base_conversion", "bf", "bitwise_arithmetic", "caesar_cipher", "calendar_arithmetic"),
    *("color_cube_rotation", "course_schedule", "family_relationships", "needle_haystack", "spell_backward"),
    *("string_insertion", "string_manipulation", "string_splitting", "string_synthesis", "syllogism"),
    *("time_intervals", "word_sequence_reversal", "word_sorting", "zebra_puzzles"),
)
SPLITS = {"train": range(0, 10), "validation": range(10, 14), "test": range(14, 20)}  # of 20 buckets of digests
KINDS = dict.fromkeys(_MATH, "math") | dict.fromkeys(_TEXT, "text")  # task -> kind of its rows


def rows(tasks: Mapping[str, float], count: int, seed: int) -> Iterator[Row]:
    """`count` rows in the shares that `tasks` gives, task after task; the same on every machine for the same seed.

    UserError for no task, an unknown one, one that cannot be judged, or where the package is missing.
    """
    _check(tasks)
    for task, wanted in _shares(tasks, count).items():
        drawn = entries(task, "train", 4 * wanted + 64, seed=(seed, "reasoning_gym", task))  # half are of the split
        for i, item in enumerate(islice(drawn, wanted)):
            yield {
                "id": f"{task}-{i}",
                "kind": KINDS[task],
                "prompt": text(item["question"]),
                "reference": text(item["answer"]),
                "solution": None,
            }


def entries(
    task: str, split: str, draws: int, seed: tuple[object, ...], config: Mapping[str, int] | None = None
) -> Iterator[dict[str, Any]]:
    """What reasoning-gym makes of a task and `config` in so many draws, those of one split; some come more than once.

    UserError where the package is missing. A task may prepare all its draws beforehand (`acre` does).
    """
    made = _factory()(task, seed=stream(*seed) % 2**31, size=draws, **(config or {}))
    for i in range(draws):
        entry = made[i]
        if split_of(text(entry["question"])) == split:
            yield entry


def split_of(question: str) -> str:
    """The one split that a question belongs to, from its digest alone."""
    bucket = int.from_bytes(hashlib.sha256(f"reasoning_gym/{question}".encode()).digest()[:4], "big") % 20
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def _shares(tasks: Mapping[str, float], count: int) -> dict[str, int]:
    """Rows of each task: the shares of `count`, rounded so that they add up (largest remainders first)."""
    total = sum(tasks.values())
    exact = {task: count * share / total for task, share in tasks.items()}
    found = {task: int(rows) for task, rows in exact.items()}
    left = sorted(tasks, key=lambda task: found[task] - exact[task])[: count - sum(found.values())]
    return {task: rows + (task in left) for task, rows in found.items()}


def _check(tasks: Mapping[str, float]) -> None:
    if not tasks:
        raise UserError(
            "data.tasks={}",
            "no task of reasoning-gym is named, so there is nothing to make",
            "name tasks and their shares, as data.tasks={chain_sum: 2, gcd: 1}",
        )
    unknown = [task for task in tasks if task not in KINDS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], KINDS, n=1, cutoff=0.0)[0]
        raise UserError(
            f"data.tasks.{unknown[0]}",
            "it is no task of reasoning-gym with one answer that a verifier can judge exactly",
            f"the nearest is {near}; all are {', '.join(sorted(KINDS))}",
        )


def _factory() -> Any:
    try:
        from reasoning_gym import create_dataset
    except ImportError:
        raise UserError(
            "data.source=reasoning_gym",
            "the package reasoning-gym is not installed",
            "pip install -c constraints.txt -e '.[reasoning]'",
        ) from None
    return create_dataset
