"""The answer to any item of the skills by a second method."""

import re

from tests.data.second.diagnosed import DIAGNOSTICS
from tests.data.second.recalled import choose, fact
from tests.data.second.worked import SOLVERS

CLOSING = re.compile(r"\n\nWrite (?:your final answer|the letter of the right answer) in \\boxed\{\}\.$")


def solve(item) -> str:
    """The answer to an item."""
    prompt, labels = CLOSING.sub("", item.prompt), item.labels
    if labels["skill"] == "diagnostics":
        wrong, right = DIAGNOSTICS[labels["domain"], labels["variant"]](prompt, labels["difficulty"])
        return str(wrong + 1) if labels["part"] == "find" else right
    if labels["skill"] == "fact_retrieval":
        return choose(prompt) if labels["variant"] == "choice" else fact(prompt)
    return SOLVERS[labels["skill"], labels["domain"], labels["variant"]](prompt, labels["difficulty"])
