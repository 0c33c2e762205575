"""The published graders of generated answers, one a benchmark, artefacts included: what they read, and what they miss.

Restated from the code that made the numbers of arXiv:2507.00432: its fork of lm-eval (coqa, halueval, olympiad,
acpbench) and Evalchemy (math500, aime24, aime25, gpqa_diamond, livecodebench, ifeval); gsm8k and mmlu_pro are lm-eval
0.4.13's. The forks' stop strings are part of a grader: a response is cut at the first of them, so that one that was
generated without them is graded as if it had stopped there. HeadQA and MC-TACO compare log-likelihoods and grade no
response. docs/published.md says what each grader misses.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rewards import instruction, run_tasks
from rewards.paper import boxed, letters, lines, programs
from rewards.verdict import NO_ANSWER, Task, Verdict

Options = Mapping[str, Any]  # of the item: those of its verifier's kind

GRADERS: dict[str, Callable[[str, Any, Options], Verdict | Task]] = {
    "math500": boxed.evalchemy,
    "aime24": boxed.evalchemy,
    "aime25": boxed.evalchemy,
    "olympiadbench": boxed.olympiad,
    "gpqa_diamond": letters.gpqa,
    "livecodebench": programs.livecodebench,
    "acpbench": letters.acpbench,
    "coqa": lines.coqa,
    "ifeval": lambda response, reference, _: instruction.judge(response, reference, mode="loose"),
    "halueval": lines.halueval,
    "gsm8k": lines.gsm8k,
    "mmlu_pro": letters.mmlu_pro,
}


def grade(name: str, response: str, reference: Any, options: Options) -> Verdict:
    """The published verdict on one response, thought and all. Never raises on any `response`.

    `name` is one of GRADERS, else ValueError; `options` are the item's, of which a grader reads its own and no other.
    `score` is the share of the point that the published metric gave, where it gives shares (coqa, ifeval).
    """
    return grade_many([(name, response, reference, options)])[0]


def grade_many(requests: Sequence[tuple[str, str, Any, Options]], workers: int = 0) -> list[Verdict]:
    """`grade` of every (name, response, reference, options), in order; programs run in `workers` processes at once."""
    found = [_judged(*request) for request in requests]
    tasks = [task for task in found if isinstance(task, Task)]
    done = iter(run_tasks(tasks, workers) if tasks else [])
    return [next(done) if isinstance(one, Task) else one for one in found]


def _judged(name: str, response: Any, reference: Any, options: Options) -> Verdict | Task:
    if name not in GRADERS:
        raise ValueError(f"no published grader is called {name!r}; there are {', '.join(GRADERS)}")
    text = response if isinstance(response, str) else ""
    return GRADERS[name](text, reference, options) if text.strip() else NO_ANSWER
