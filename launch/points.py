"""A multirun, `python -m launch -m KEY=A,B ...`: every combination, a folder each, and a table of what came out.

A key that the recipe declares as its treatment makes another arm of one experiment; any other another experiment, for
the arms of one share it. Points that are done are kept, so the same command goes on.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from conf.control import matches
from conf.files import read_json, write_json, write_text
from conf.schema import Configuration
from launch import cluster, folders, show
from launch.command import Submitted
from launch.compose import compose, expand
from launch.training import train_all

NAMED = ("recipe", "recipe.name", "seed", "experiment", "experiment.name", "runs")  # they name the folder already
TOLD = re.compile(r"[^\w.=,+-]+")  # whatever else a value has is no part of a folder's name


class Point(NamedTuple):
    """One combination: the keys that vary, with their values here, and the run."""

    varied: dict[str, str]
    configuration: Configuration

    @property
    def folder(self) -> Path:
        return folders.run_folder(self.configuration)


def run(overrides: list[str]) -> None:
    """Train every point, and write and print the table; Submitted where Slurm does, and makes the table at the end."""
    found, again = points(overrides), ["launch", "-m", *overrides]
    if show.shown([point.configuration for point in found], again):
        return
    jobs, new = list[int](), False
    for name in dict.fromkeys(point.configuration.experiment.name for point in found):
        try:
            train_all([one.configuration for one in found if one.configuration.experiment.name == name])
        except Submitted as submitted:
            jobs, new = jobs + submitted.jobs, new or submitted.new
    place = found[0].configuration.runs / "multirun" / _name(overrides)
    if jobs:
        cluster.follow(found[0].configuration, place / "again", again, jobs, new)
        raise Submitted(jobs, new)
    place.mkdir(parents=True, exist_ok=True)
    rows = [_row(point) for point in found]
    text = table(rows)
    write_json(place / "points.json", {"overrides": overrides, "points": rows})
    write_text(place / "points.md", text)
    print(f"{text}\ntable: {place / 'points.md'}")


def points(overrides: list[str]) -> list[Point]:
    """Every combination of the comma-separated values, the last key fastest, each with a folder of its own."""
    found = []
    for job in expand(overrides):
        varied = dict(one.split("=", 1) for one in job if one not in overrides)
        found.append(Point(varied, _named(compose(job), varied)))
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """One line a point: its values, the greedy scores of its last evaluation in percent, its folder."""
    keys = list(dict.fromkeys(key for row in rows for key in row["overrides"]))
    groups = list(dict.fromkeys(group for row in rows for group in row["scores"]))
    lines = [f"| {' | '.join([*keys, *groups, 'folder'])} |", f"|{'---|' * len(keys)}{'---:|' * len(groups)}---|"]
    for row in rows:
        values = [row["overrides"].get(key, "") for key in keys]
        scores = [f"{row['scores'][group]:.1f}" if group in row["scores"] else "" for group in groups]
        lines.append(f"| {' | '.join([*values, *scores, row['folder']])} |")
    return "\n".join([*lines, ""])


def _named(configuration: Configuration, varied: dict[str, str]) -> Configuration:
    """The configuration, its arm or experiment named after the values that no other part of its folder tells."""
    own = {key.lstrip("+"): value for key, value in varied.items() if key not in NAMED}
    recipe, experiment = configuration.recipe, configuration.experiment
    declared = [key for key in own if key.startswith("recipe.") and matches(key, tuple(recipe.treatment))]
    arm = _suffix({key.removeprefix("recipe."): own[key] for key in declared})
    other = _suffix({key: value for key, value in own.items() if key not in declared})
    changed = {
        "recipe": recipe.model_copy(update={"name": recipe.name + arm}),
        "experiment": experiment.model_copy(update={"name": experiment.name + other}),
    }
    return configuration.model_copy(update=changed)


def _suffix(values: dict[str, str]) -> str:
    return "".join(f"-{TOLD.sub('_', f'{key}={value}')}" for key, value in values.items())


def _name(overrides: list[str]) -> str:
    """A name of its own for each set of points."""
    return hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:12]


def _row(point: Point) -> dict[str, Any]:
    evaluated = sorted(point.folder.glob("evaluation/step-*/scores.json"))
    groups = read_json(evaluated[-1])["groups"] if evaluated else {}
    scores = {name: float(group["greedy"]["score"]) for name, group in groups.items()}
    step = int(evaluated[-1].parent.name.removeprefix("step-")) if evaluated else None
    return {"overrides": point.varied, "folder": str(point.folder), "step": step, "scores": scores}
