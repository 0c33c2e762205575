"""Estimators and intervals. Shares are fractions in 0..1 here; files and the report speak percent."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Z95 = 1.959963984540054  # the 0.975 quantile of the standard normal
CHUNK = 2**22  # items drawn at a time
DRAWS = 2000  # bootstrap resamples: the end of a 95% interval moves by about a twentieth of its width


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k samples is right, from n samples of which c are right; unbiased.

    Chen et al. 2021 (arXiv 2107.03374), equation 1, in the product form 1 - prod_{j=n-c+1..n} (1 - k/j).
    Raises ValueError for k < 1, c outside 0..n, and n < k: fewer samples than k cannot estimate it without bias.
    """
    if k < 1 or not 0 <= c <= n:
        raise ValueError(f"pass_at_k(n={n}, c={c}, k={k}): needs k >= 1 and 0 <= c <= n")
    if n < k:
        raise ValueError(f"pass_at_k(n={n}, c={c}, k={k}): n < k has no unbiased estimate; draw k samples")
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1, dtype=np.float64)))


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95% score interval of a share right/n, as fractions (Wilson 1927; Brown et al. 2001, section 3.1.1)."""
    if n < 1 or not 0 <= right <= n:
        raise ValueError(f"wilson(right={right}, n={n}): needs n >= 1 and 0 <= right <= n")
    share, z2 = right / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    low = 0.0 if right == 0 else float(middle - half)
    high = 1.0 if right == n else float(middle + half)
    return low, high


def resampled_means(values: Array, seed: int = 0, draws: int = DRAWS) -> Array:
    """Means over items drawn with replacement: values [..., items] -> [..., draws].

    Every leading row sees the same draws, so differences between rows (tuned - base on the same items) are paired.
    """
    values = np.asarray(values, dtype=np.float64)
    count = values.shape[-1]
    if count == 0:
        raise ValueError("resampled_means: no items to draw from")
    drawn = _drawn(count, seed, draws)
    rows = max(1, CHUNK // count)  # resamples at a time, so that memory is a chunk's
    means = [values @ drawn[start : start + rows].T.astype(np.float64) for start in range(0, draws, rows)]
    return np.concatenate(means, axis=-1) / count


@lru_cache(maxsize=48)  # the same draws serve every model and measure of a benchmark
def _drawn(count: int, seed: int, draws: int) -> NDArray[np.unsignedinteger]:
    """How often each of `count` items is in each resample: [draws, items], a byte each where that is enough."""
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // count)
    shares = np.full(count, 1.0 / count)
    parts = [rng.multinomial(count, shares, size=min(rows, draws - at)) for at in range(0, draws, rows)]
    small = np.uint8 if max(int(part.max()) for part in parts) < 256 else np.uint32
    return np.concatenate([part.astype(small) for part in parts])


def group_draws(benchmarks: Sequence[Array], seed: int = 0, draws: int = DRAWS) -> Array:
    """Resampled group means [..., draws]: items are drawn within each benchmark, benchmarks count equally.

    Each element is [..., items] with its own number of items.
    """
    if not benchmarks:
        raise ValueError("group_draws: a group without benchmarks")
    means = [resampled_means(values, seed + number, draws) for number, values in enumerate(benchmarks)]
    return np.mean(means, axis=0)


def interval(draws: Array) -> tuple[float, float]:
    """The 95% percentile interval of bootstrap draws, in their unit (Efron 1981)."""
    low, high = np.percentile(np.asarray(draws, dtype=np.float64), [2.5, 97.5])
    return float(low), float(high)


def mean_interval(values: Array, seed: int = 0) -> tuple[float, float]:
    """The 95% bootstrap interval of a mean over items, in the unit of `values`."""
    return interval(resampled_means(values, seed))


def difference_interval(base: Sequence[Array], tuned: Sequence[Array], seed: int = 0) -> tuple[float, float]:
    """The 95% interval of mean(tuned) - mean(base), items paired within each benchmark, benchmarks counting equally."""
    for one, other in zip(base, tuned, strict=True):
        if len(one) != len(other):
            raise ValueError(f"difference_interval: {len(one)} items against {len(other)}; pair the items first")
    return interval(group_draws([np.asarray(b) - np.asarray(a) for a, b in zip(base, tuned, strict=True)], seed))
