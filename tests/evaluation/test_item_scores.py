"""Item by item scores from columns, against a loop over the rows."""

import random

import numpy as np
import pyarrow as pa

from evaluation.scores import GREEDY, item_scores


def by_hand(rows):
    found = {}
    for row in rows:
        cell = found.setdefault(row["benchmark"], {}).setdefault(row["item"], [np.nan, 0.0, 0.0])
        if row["outcome"] != "unscorable" and row["sample"] == GREEDY:
            cell[0] = float(row["outcome"] == "right")
        elif row["outcome"] != "unscorable":
            cell[1] += row["outcome"] == "right"
            cell[2] += 1
    return found


def test_items_are_scored_as_row_by_row_in_any_order():
    rng = random.Random(0)
    rows = [
        {"benchmark": name, "group": name[0], "item": f"{item}", "sample": sample}
        | {"outcome": rng.choice(["right", "wrong", "unscorable"])}
        for name in ("b1", "a1", "a2")
        for item in range(7)
        for sample in range(4)
    ]
    rng.shuffle(rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for given in (columns, pa.table(columns), pa.concat_tables([pa.table(columns)[:9], pa.table(columns)[9:]])):
        found, expected = item_scores(given), by_hand(rows)
        assert list(found) == list(expected)
        for name, own in found.items():
            assert own.group == name[0] and own.ids == list(expected[name])
            np.testing.assert_array_equal(
                np.stack([own.greedy, own.right, own.total], axis=1), list(expected[name].values())
            )
