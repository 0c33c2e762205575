"""MATH500, AIME24, AIME25, OlympiadBench: arXiv:2507.00432, A.3.4, its forks of Evalchemy and lm-eval."""

from data.columns import text
from data.items import Decoding
from data.published.task import Cells, Question, Task

# Evalchemy's, of all its math tasks
PROBLEM = "Problem: {problem}\nMark your solution with \\boxed\nAnswer:"
# of the fork's own lm-eval task `olympiad`
_OLYMPIAD = (
    "Solve the following math problem. Present the final answer in the format: Final Answer: \\boxed{{your_answer}}.\n"
    "Problem: {problem}\nAnswer:"
)
# the paper's; the fork's code has temperature 0.7 and no top_p, and MATH500 once
_THREE, _TEN = (Decoding(samples, temperature=0.6, top_p=0.95) for samples in (3, 10))


def boxed(cells: Cells, _: str) -> Question:
    """A problem with its answer in columns of these names."""
    return Question(PROBLEM.format(problem=cells["problem"]), text(cells["answer"]))


def _olympiad(cells: Cells, _: str) -> Question:
    """The first of its final answers; a problem with several has them in one text."""
    return Question(_OLYMPIAD.format(problem=cells["question"]), text(cells["final_answer"][0]))


def _problems(name: str, hub: str, split: str, size: int, decoding: Decoding) -> Task:
    columns = {"": ("problem|Problem|question", "answer|Answer|expected_answer")}
    return Task(name, "math", hub, split, columns, boxed, "math", paper=name, decoding=decoding, size=size)


TASKS = (
    _problems("math500", "HuggingFaceH4/MATH-500", "test", 500, _THREE),
    _problems("aime24", "Maxwell-Jia/AIME_2024", "train", 30, _TEN),
    _problems("aime25", "math-ai/aime25", "test", 30, _TEN),
    Task(
        name="olympiadbench",
        group="math",
        hub="Hothan/OlympiadBench",
        split="train",
        columns={"OE_TO_maths_en_COMP": ("question", "final_answer")},
        ask=_olympiad,
        kind="math",
        paper="olympiadbench",
        size=674,
    ),
)
