"""What each benchmark asks: a row as a question, in the forms that a base of 0.1 to 2 billion parameters can answer.

Multiple choice is asked without its options, in OLMES' cloze form (arXiv:2406.08446), and the texts of the options
stand in `choices`: a small model is at chance on letters, and their likelihood is what tells it from chance.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from data.offline.rows import SETS, TASKS, Cells
from data.published.mathematics import PROBLEM
from models.seeds import stream
from rewards.extraction import last_boxed

_FUNCTION = (
    "Complete the following Python function. Write the whole function, with its imports, in one ```python block."
    "\n\n```python\n{prompt}```"
)
_BRIEFLY = "{query}\nAnswer with {what} alone."
_ARITHMETIC = {"extraction": "aware"}  # the question says nothing of a form


class Asked(NamedTuple):
    """A row's question. What shares a `source` (a passage, a story) stays in one split; empty: its own."""

    prompt: str
    reference: str
    options: dict[str, Any] = {}
    choices: tuple[str, ...] = ()
    source: str = ""
    labels: dict[str, str] = {}


@dataclass(frozen=True)
class Benchmark:
    """`files`: split -> where its rows are, below the folder of benchmarks; "": one set, split by digest."""

    name: str
    group: str
    kind: str
    files: Mapping[str, str]
    ask: Callable[[Cells], Asked | None]  # None: the row is left out, for a reason that its function states
    options: dict[str, Any] = field(default_factory=dict)


def _gsm8k(cells: Cells) -> Asked:
    """The reference is what follows ####, where the short answer beside it agrees."""
    answer = cells["answer"].rpartition("####")[2].strip().replace(",", "")
    if answer != cells["short_answer"].replace(",", ""):
        raise ValueError(f"it has two answers, {answer!r} and {cells['short_answer']!r}")
    return Asked(PROBLEM.format(problem=cells["question"]), answer)


def _math500(cells: Cells) -> Asked:
    r"""The reference is the solution's last \boxed{}: the column `answer` has lost characters in places."""
    return Asked(PROBLEM.format(problem=cells["problem"]), last_boxed(cells["solution"]) or "")


def _chosen(cells: Cells, question: str) -> Asked:
    choices = tuple(choice.strip() for choice in cells["choices"])
    return Asked(question, choices[_place(cells["gold"], choices)], choices=choices)


def _place(gold: Any, choices: tuple[str, ...]) -> int:
    if len(set(choices)) < 2 or isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(choices):
        raise ValueError(f"gold is {gold!r} of {len(choices)} choices")
    return gold


def _cloze(cells: Cells) -> Asked:
    return _chosen(cells, cells["query"])


def _skill(cells: Cells) -> Asked:
    return _chosen(cells, cells["question"])


def _string(cells: Cells) -> Asked | None:
    """163 of the 1,219 rows are left out: their answer is told from another option, or is one, by white space alone."""
    bare = [choice.strip() for choice in cells["choices"]]
    return _skill(cells) if all(bare) and bare.count(bare[cells["gold"]]) == 1 else None


def _sciq(cells: Cells) -> Asked:
    """The rows have the right choice last, always."""
    asked = _chosen(cells, cells["query"])
    mixed = list(asked.choices)
    random.Random(stream("sciq", asked.prompt)).shuffle(mixed)
    return asked._replace(choices=tuple(mixed))


def _boolq(cells: Cells) -> Asked:
    asked = _chosen(cells, _BRIEFLY.format(query=cells["query"].removesuffix("\nAnswer:"), what="yes or no"))
    return asked._replace(source=cells["query"].partition("\nQuestion:")[0])


def _mmlu(cells: Cells) -> Asked | None:
    """A question whose right option stands among its options twice is left out."""
    choices = tuple(choice.strip() for choice in cells["choices"])
    right = choices[_place(cells["answer"], choices)]
    if choices.count(right) > 1:
        return None
    labels = {"subject": cells["subject"]}
    return Asked(f"Question: {cells['question'].strip()}\nAnswer:", right, choices=choices, labels=labels)


def _humaneval(cells: Cells) -> Asked:
    tests = {"form": "check", **{name: cells[name] for name in ("entry_point", "test", "prompt")}}
    if not all(isinstance(value, str) and value for value in tests.values()):
        raise ValueError("it has no test")
    return Asked(_FUNCTION.format(prompt=cells["prompt"]), json.dumps(tests))


def _among(question: str, answers: list[str], source: str = "") -> Asked:
    """Any of `answers` is right."""
    reference, *also = dict.fromkeys(answers)
    return Asked(question, reference, {"also": also} if also else {}, source=source)


def _drop(cells: Cells) -> Asked:
    """One answer an annotator: its spans, joined by commas."""
    question = _BRIEFLY.format(query=cells["query"].removesuffix("\nAnswer:"), what="the number, date or words")
    return _among(question, [", ".join(spans) for spans in cells["answers"]], cells["passage"])


def _coqa(cells: Cells) -> Asked:
    question = _BRIEFLY.format(query=cells["query"].removesuffix("\nAnswer:"), what="a few words")
    return _among(question, list(cells["answers"]), cells["story"])


def _squad(cells: Cells) -> Asked:
    question = _BRIEFLY.format(query=cells["query"].removesuffix("\nAnswer:"), what="words of the text")
    return _among(question, list(cells["answers_text"]), cells["title"])


def _triviaqa(cells: Cells) -> Asked:
    """Without a context. Every alias that Wikipedia has for the answer is right (arXiv:1705.03551)."""
    answer = cells["answer"]
    question = _BRIEFLY.format(query=f"Question: {cells['question']}", what="the name")
    return _among(question, [answer["value"], *answer["aliases"]])


_MATH, _OTHER, _NON = "math", "other_reasoning", "non_reasoning"
_WORDS, _EXACT = {"mode": "normalised"}, {"mode": "exact"}
_YES_NO = {"mode": "label", "among": ["yes", "no"]}
_ONE, _FIVE, _ZERO = "rc_5shot", "bpb_5shot", "gold_bpb_0shot"


def _in(task: str, variant: str) -> dict[str, str]:
    return {"": f"{TASKS}/{task}/{variant}/requests.jsonl.gz"}


def _arc(name: str) -> dict[str, str]:
    """Published with both splits."""
    return {
        split: f"{TASKS}/{name}/{short}_{_ONE}/requests.jsonl.gz"
        for split, short in (("validation", "val"), ("test", "test"))
    }


TABLE = (
    Benchmark("gsm8k", _MATH, "math", _in("gsm8k", "gold_bpb_5shot"), _gsm8k, {"paper": "gsm8k"}),
    Benchmark("math500", _MATH, "math", _in("minerva_math_500", _ZERO), _math500, {"paper": "math500"}),
    Benchmark("basic_arithmetic", _MATH, "math", _in("basic_skills_arithmetic", _ONE), _skill, _ARITHMETIC),
    Benchmark("arc_challenge", _OTHER, "text", _arc("arc_challenge"), _cloze, _WORDS),
    Benchmark("arc_easy", _OTHER, "text", _arc("arc_easy"), _cloze, _WORDS),
    Benchmark("humaneval", _OTHER, "code", _in("codex_humaneval", _ZERO), _humaneval),
    Benchmark("drop", _OTHER, "text", _in("drop", _FIVE), _drop, _WORDS),
    Benchmark("basic_logic", _OTHER, "text", _in("basic_skills_logical_reasoning", _ONE), _skill, _WORDS),
    Benchmark("basic_coding", _OTHER, "text", _in("basic_skills_coding", _ONE), _skill, _EXACT),
    Benchmark("basic_pattern", _OTHER, "text", _in("basic_skills_pattern", _ONE), _skill, _EXACT),
    Benchmark("basic_string", _OTHER, "text", _in("basic_skills_string_operations", _ONE), _string, _EXACT),
    Benchmark("coqa", _NON, "text", _in("coqa", "bpb_0shot"), _coqa, _WORDS),
    Benchmark("triviaqa", _NON, "text", {"": f"{SETS}/trivia_qa/*/validation/*.arrow"}, _triviaqa, _WORDS),
    Benchmark(
        name="mmlu",
        group=_NON,
        kind="text",
        files={split: f"{SETS}/hails/mmlu_no_train/*/{split}/*.arrow" for split in ("validation", "test")},
        ask=_mmlu,
        options=_WORDS,
    ),
    Benchmark("hellaswag", _NON, "text", _in("hellaswag", f"val_{_ONE}"), _cloze, _WORDS),
    Benchmark("squad", _NON, "text", _in("squad", _FIVE), _squad, _WORDS),
    Benchmark("boolq", _NON, "text", _in("boolq", f"val_{_ONE}"), _boolq, _YES_NO),
    Benchmark("sciq", _NON, "text", _in("sciq", _ONE), _sciq, _WORDS),
    Benchmark("basic_knowledge", _NON, "text", _in("basic_skills_common_knowledge", _ONE), _skill, _WORDS),
)
