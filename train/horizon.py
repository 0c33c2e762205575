"""The order a run sees, and how far it goes: the stored one, continued for as many epochs as its steps take."""

import numpy as np

from conf.errors import UserError
from conf.schema import Configuration
from data import order as orders


def run_order(configuration: Configuration, stored: np.ndarray, rows: int) -> np.ndarray:
    """Row numbers [total_steps, prompts_per_step] that every arm of this run's seed sees, out of `rows` compiled rows.

    A run of more steps than the experiment has (budget.match, budget.overrun) goes on where the stored order ends.
    UserError where the two do not fit together.
    """
    train, steps = configuration.train, configuration.total_steps
    if steps > len(stored):
        longer = orders.make(rows, steps, train.prompts_per_step, configuration.data.seed)
        if not np.array_equal(longer[: len(stored)], stored):
            why = f"the stored order of {len(stored)} steps is not how the longer one begins"
            change = "compile the data again under another experiment.name, with the packages installed now"
            raise UserError(f"{steps} steps", why, change)
        stored = longer
    return orders.of_run(stored[:steps], rows, configuration.seed)
