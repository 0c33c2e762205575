"""MATH500, AIME24, AIME25, OlympiadBench: arXiv:2507.00432, A.3.4, its forks of Evalchemy and lm-eval."""

from data.columns import text
from data.published.task import Cells, Decoding, Question, Task

# Evalchemy's, of all its math tasks
PROBLEM = "Problem: {problem}\nMark your solution with \\boxed\nAnswer:"
# of the fork's own lm-eval task `olympiad`
_OLYMPIAD = (
    "Solve the following math problem. Present the final answer in the format: Final Answer: \\boxed{{your_answer}}.\n"
    "Problem: {problem}\nAnswer:"
)
# the paper's; the fork's code has temperature 0.7 and no top_p, and MATH500 once
_THREE, _TEN = (Decoding(repeats, temperature=0.6, top_p=0.95) for repeats in (3, 10))


def boxed(cells: Cells, _: str) -> Question:
    """A problem with its answer in columns of these names."""
    return Question(PROBLEM.format(problem=cells["problem"]), text(cells["answer"]))


def _olympiad(cells: Cells, _: str) -> Question:
    """The first of its final answers; a problem with several has them in one text."""
    return Question(_OLYMPIAD.format(problem=cells["question"]), text(cells["final_answer"][0]))


_ANSWERED = {"": ("problem|Problem|question", "answer|Answer|expected_answer")}

TASKS = (
    Task(
        "math500", "math", "HuggingFaceH4/MATH-500", "test", _ANSWERED, boxed, "math", paper="math500", decoding=_THREE
    ),
    Task("aime24", "math", "Maxwell-Jia/AIME_2024", "train", _ANSWERED, boxed, "math", paper="aime24", decoding=_TEN),
    Task("aime25", "math", "math-ai/aime25", "test", _ANSWERED, boxed, "math", paper="aime25", decoding=_TEN),
    Task(
        name="olympiadbench",
        group="math",
        hub="Hothan/OlympiadBench",
        split="train",
        columns={"OE_TO_maths_en_COMP": ("question", "final_answer")},
        ask=_olympiad,
        kind="math",
        paper="olympiadbench",
    ),
)
