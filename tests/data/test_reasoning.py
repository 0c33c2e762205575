"""Rows made by reasoning-gym: every task we let in has one answer that our verifiers call right, and only that."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from conf.errors import UserError
from conf.schema import Data
from data import sources
from data.reasoning import KINDS
from rewards import verify

ROOT = Path(__file__).parent.parent.parent
reasoning_gym = pytest.importorskip("reasoning_gym", reason="pip install -e '.[reasoning]'")


def made(tasks, count, seed=0):
    return list(sources.load(Data(source="reasoning_gym", tasks=tasks), count, seed))


@pytest.mark.parametrize("task", sorted(set(KINDS) - {"zebra_puzzles"}))
def test_its_answers_are_judged_exactly(task):
    rows = made({task: 1}, 12)
    references = [row["reference"] for row in rows]
    assert len({row["prompt"] for row in rows}) > 1 and len(set(references)) > 1
    for row in rows:
        assert row["kind"] == KINDS[task] and row["prompt"] and row["solution"] is None
        for answer in set(references):
            response = f"So it is \\boxed{{{answer}}}" if row["kind"] == "math" else answer
            outcome = verify(row["kind"], response, row["reference"], extraction="strict").outcome
            assert outcome == ("right" if answer == row["reference"] else "wrong")
    scorer = reasoning_gym.create_dataset(task, seed=3, size=4)
    assert all(scorer.score_answer(answer=item["answer"], entry=item) == 1.0 for item in scorer)


def test_shares_add_up_and_ids_differ():
    rows = made({"chain_sum": 2, "gcd": 1, "letter_counting": 1}, 101)
    counts = Counter(row["id"].rpartition("-")[0] for row in rows)
    assert len({row["id"] for row in rows}) == 101 == sum(counts.values())
    assert counts["chain_sum"] in (50, 51) and counts["gcd"] in (25, 26) and counts["letter_counting"] in (25, 26)


def test_seeds_differ_and_repeat_in_another_process():
    tasks = dict.fromkeys(("ab", "chain_sum", "family_relationships", "syllogism", "word_sorting"), 1.0)
    program = (
        "from conf.schema import Data; from data import sources; import hashlib\n"
        f"rows = list(sources.load(Data(source='reasoning_gym', tasks={tasks}), 50, 7))\n"
        "print(hashlib.sha256(repr(rows).encode()).hexdigest())"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert [row["prompt"] for row in made(tasks, 50, 1)] != [row["prompt"] for row in made(tasks, 50, 2)]


@pytest.mark.parametrize(
    ("tasks", "told"),
    [({}, "no task"), ({"chain_sums": 1}, "nearest is chain_sum"), ({"gcd": 1, "word_ladder": 1}, "word_ladder")],
)
def test_no_task_an_unknown_one_and_one_that_cannot_be_judged(tasks, told):
    with pytest.raises(UserError, match=told) as caught:
        made(tasks, 5)
    assert "chain_sum" in caught.value.change
