"""The stored order: epochs are permutations, no batch holds a prompt twice, a longer order begins as a shorter one."""

import numpy as np
import pytest

from data import order as orders

SHAPES = [(10, 3, 10), (7, 5, 6), (3, 2, 8), (100, 2, 5), (11, 40, 7), (24, 30, 24), (50, 1, 7), (9, 60, 8)]


@pytest.mark.parametrize(("rows", "steps", "prompts"), SHAPES)
def test_every_epoch_is_a_permutation(rows, steps, prompts):
    order = orders.make(rows, steps, prompts, 0)
    assert order.shape == (steps, prompts) and (order == orders.make(rows, steps, prompts, 0)).all()
    flat = order.ravel()
    for start in range(0, len(flat), rows):
        epoch = flat[start : start + rows]
        assert len(set(epoch)) == len(epoch) and (len(epoch) < rows or set(epoch) == set(range(rows)))
    assert rows < 7 or (order != orders.make(rows, steps, prompts, 1)).any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rows", "steps", "prompts"), [shape for shape in SHAPES if shape[0] >= shape[2]])
def test_no_prompt_comes_twice_in_a_batch(rows, steps, prompts, seed):
    assert all(len(set(batch)) == prompts for batch in orders.make(rows, steps, prompts, seed))


@pytest.mark.parametrize(("rows", "steps", "prompts"), SHAPES)
def test_a_longer_order_begins_as_the_shorter_one(rows, steps, prompts):
    shorter, longer = orders.make(rows, steps, prompts, 5), orders.make(rows, 2 * steps + 3, prompts, 5)
    assert np.array_equal(longer[:steps], shorter)


def test_run_seeds_exchange_rows_and_keep_what_the_order_promises():
    stored = orders.make(50, steps=8, prompts_per_step=10, seed=3)
    first, second = orders.of_run(stored, 50, 0), orders.of_run(stored, 50, 1)
    assert np.array_equal(first, orders.of_run(stored, 50, 0)) and not np.array_equal(first, second)
    for order in (first, second):
        assert sorted(order[:5].ravel()) == list(range(50)), "every row once an epoch"
    assert np.array_equal(orders.of_run(stored[:3], 50, 1), second[:3])
