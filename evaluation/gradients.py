"""How the norm of the gradient goes along training: the indicators of Huan et al. 2025 (arXiv 2507.00432, Table 7).

The paper names them and gives no definition; these are ours, and docs/method.md says which published values they fit.
"""

from collections.abc import Sequence

import numpy as np

STEPS = 100  # at most, as published
LEAST = 10  # steps; fewer give no indicator
PART = 5  # the early and the late part are a fifth of the steps each
# Table 7, first 100 steps on Qwen3-14B-Base
PUBLISHED: dict[str, dict[str, float]] = {
    "RL": dict(
        early_slope=-0.005, half_time=22, total=48.19, late_mean=0.448, late_variance=0.041, decay=-0.262,
        oscillation=0.034,
    ),
    "no-think SFT": dict(
        early_slope=-0.019, half_time=80, total=64.91, late_mean=0.405, late_variance=0.098, decay=-0.592,
        oscillation=0.368,
    ),
    "think SFT": dict(
        early_slope=-0.030, half_time=80, total=64.19, late_mean=0.383, late_variance=0.112, decay=-0.625,
        oscillation=0.382,
    ),
}  # fmt: skip
NAMES = tuple(PUBLISHED["RL"])


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
