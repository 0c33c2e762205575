"""A source may be larger than memory: what is held grows by little a row."""

import pytest

from bench import data


@pytest.mark.slow
def test_memory_grows_by_far_less_than_the_rows_do(tmp_path):
    small, large = 5_000, 45_000
    _, first, _ = data.compiled(tmp_path / "small", small)
    _, second, counts = data.compiled(tmp_path / "large", large)
    assert counts["kept"] > 0.9 * large and counts["near_duplicate"] > 0.01 * large
    assert (second - first) / (large - small) < 3000, "bytes a row; the compiled ones are twice as large"
