"""A multirun: a folder a point, what is done kept, and the table."""

import subprocess
import sys
from pathlib import Path

import pytest

from conf.files import read_json
from launch import folders, points

ROOT = Path(__file__).parent.parent.parent


def named(*overrides: str) -> list[tuple[str, str]]:
    """(experiment, arm/seed) of every point."""
    found = [point.folder for point in points.points(["experiment=embedded", *overrides])]
    return [(folder.parents[2].name, f"{folder.parent.name}/{folder.name}") for folder in found]


def test_every_point_has_a_folder_that_tells_its_values() -> None:
    assert named("recipe=sft,grpo", "seed=0,1") == [
        *(("embedded", "sft/seed-0"), ("embedded", "sft/seed-1")),
        *(("embedded", "grpo/seed-0"), ("embedded", "grpo/seed-1")),
    ]
    # declared by the recipe: two arms on the same data and base; shared by all arms: two experiments
    rates = ["recipe=sft", "recipe.learning_rate=1e-4,2e-4"]
    assert named(*rates) == [("embedded", f"sft-learning_rate={rate}/seed-0") for rate in ("0.0001", "0.0002")]
    assert named("train.steps=4,8") == [(f"embedded-train.steps={steps}", "sft/seed-0") for steps in (4, 8)]
    odd = named("data.source='a b/c','d'")
    assert len(set(odd)) == 2 and not any("/" in experiment or " " in experiment for experiment, _ in odd)


def test_a_point_keeps_what_the_experiment_sets_of_its_arm() -> None:
    plain, varied = (
        points.points(["experiment=embedded", "recipe=grpo", *more])[0].configuration
        for more in ([], ["recipe.beta=0.1,0.2"])
    )
    assert varied.recipe.learning_rate == plain.recipe.learning_rate and varied.recipe.beta == 0.1
    assert varied.recipe.name == "grpo-beta=0.1" and folders.run_folder(varied) != folders.run_folder(plain)


def test_the_table_has_a_line_a_point() -> None:
    rows = [
        {"overrides": {"seed": "0"}, "scores": {"math": 50.0, "other": 1.25}, "folder": "a"},
        {"overrides": {"seed": "1"}, "scores": {"math": 60.0}, "folder": "b"},
    ]
    assert points.table(rows).splitlines() == [
        "| seed | math | other | folder |",
        "|---|---:|---:|---|",
        "| 0 | 50.0 | 1.2 | a |",
        "| 1 | 60.0 |  | b |",
    ]


@pytest.mark.slow
def test_points_are_trained_once_and_told_in_a_table(tmp_path: Path) -> None:
    small = "train.steps=2 train.save_steps=2 train.prompts_per_step=4 data.rows=48 suite.items=2 suite.samples=1"
    small += " suite.max_new_tokens=8 recipe.learning_rate=1e-4,2e-4"
    command = [sys.executable, "-m", "launch", "-m", "experiment=embedded", f"runs={tmp_path}", *small.split()]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    runs = sorted((tmp_path / "embedded/arms").iterdir())
    assert [run.name for run in runs] == ["sft-learning_rate=0.0001", "sft-learning_rate=0.0002"]
    made = [(run / "seed-0/done.json").stat().st_mtime_ns for run in runs]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and "2 of 2 runs are done" in again.stdout
    assert made == [(run / "seed-0/done.json").stat().st_mtime_ns for run in runs]
    table = next(tmp_path.glob("multirun/*/points.md"))
    rows = read_json(table.with_suffix(".json"))["points"]
    assert [row["overrides"] for row in rows] == [
        {"recipe.learning_rate": "0.0001"},
        {"recipe.learning_rate": "0.0002"},
    ]
    assert all(row["scores"].keys() >= {"math"} and row["step"] == 2 for row in rows)
    assert table.read_text() in again.stdout
