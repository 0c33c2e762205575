"""The twelve benchmarks of the transferability paper (arXiv:2507.00432), asked and graded as its code does it."""

from data.published import language, mathematics, reasoning
from data.published.reading import reader

BENCHMARKS = {task.name: task for tasks in (mathematics, reasoning, language) for task in tasks.TASKS}

read, items = reader(BENCHMARKS)
