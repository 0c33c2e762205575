"""What a newcomer does: clone, `make demo`, again."""

import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
INHERITED = ("ARGS", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")  # of the make that runs the tests


def demo(folder: Path) -> tuple[str, float]:
    """`make demo` in `folder`: what it printed, and its seconds."""
    start = time.monotonic()
    own = {key: value for key, value in os.environ.items() if key not in INHERITED}
    answer = subprocess.run(
        ["make", "demo"], cwd=folder, env=own, capture_output=True, text=True, timeout=1200, check=False
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    return answer.stdout, time.monotonic() - start


@pytest.mark.slow
def test_demo_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    first, _ = demo(clone)
    report = clone / "runs" / "embedded" / "report" / "index.html"
    assert report.exists() and f"report: {report.resolve()}" in first
    before = report.stat().st_mtime_ns
    second, seconds = demo(clone)
    assert f"report: {report.resolve()}" in second
    assert "2 of 2 runs are done" in second and "training" not in second
    print(f"a rerun took {seconds:.1f} s")
    assert report.stat().st_mtime_ns == before
