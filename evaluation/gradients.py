"""How the norm of the gradient goes along training: the indicators of Huan et al. 2025 (arXiv 2507.00432, Table 7).

The paper names them and gives no definition; these are ours, and docs/method.md says which published values they fit.
"""

from collections.abc import Sequence

import numpy as np

from evaluation.published import tables

STEPS = 100  # at most, as published
LEAST = 10  # steps; fewer give no indicator
PART = 5  # the early and the late part are a fifth of the steps each
NAMES = ("early_slope", "half_time", "total", "late_mean", "late_variance", "decay", "oscillation")


def published() -> dict[str, dict[str, float | None]]:
    """Table 7 of the paper: row -> its indicators."""
    table = tables()["gradients"]
    return {row: {name: table.value(row, name) for name in NAMES} for row in table.rows}


def indicators(norms: Sequence[float]) -> dict[str, float | None]:
    """Of the norms g_1..g_T of the first STEPS steps; None where undefined. ValueError below LEAST steps.

    `early_slope`: least-squares slope over the first fifth (norm a step). `half_time`: the first step at which
    g_t <= g_1 / 2. `total`: their sum. `late_mean`, `late_variance`: over the last fifth (n - 1). `decay`: the late
    mean over the mean of the first fifth, minus 1. `oscillation`: the mean of |g_t+1 - g_t|.
    """
    g = np.asarray(norms[:STEPS], dtype=np.float64)
    if len(g) < LEAST:
        raise ValueError(f"{len(g)} steps: the indicators need {LEAST} at least")
    part = len(g) // PART
    early, late = g[:part], g[-part:]
    below = np.flatnonzero(g <= g[0] / 2)
    return {
        "early_slope": float(np.polyfit(np.arange(part), early, 1)[0]),
        "half_time": int(below[0]) + 1 if len(below) else None,
        "total": float(g.sum()),
        "late_mean": float(late.mean()),
        "late_variance": float(late.var(ddof=1)),
        "decay": float(late.mean() / early.mean() - 1) if early.any() else None,
        "oscillation": float(np.abs(np.diff(g)).mean()),
    }
