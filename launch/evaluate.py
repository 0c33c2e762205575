"""Evaluate any model on the suite: `python -m launch.evaluate model.path=FOLDER suite.split=test KEY=VALUE ...`.

Without a model: whatever the runs of the experiment still owe of measurements, or where they owe nothing, its base.
"""

import hashlib
from pathlib import Path
from typing import Any

from conf import freeze
from conf.files import read_json
from conf.schema import Configuration
from launch import command, folders, holding, preflight
from launch.compose import compose, given
from launch.progress import progress
from launch.training import measure, owing
from launch.workers import Usage, python_job, run_pool


def main(arguments: list[str]) -> None:
    """Generate and grade, and print the scores."""
    configuration = compose(arguments)
    preflight.check(configuration)
    if not (given(arguments, "model.path") or given(arguments, "model")) and made_up(configuration):
        return
    model = configuration.model.path
    short = hashlib.sha256(folders.fingerprint(model).encode()).hexdigest()[:8]
    name = f"{Path(model).name}-{short}-{configuration.suite.split}"
    folder = folders.experiment_folder(configuration) / "evaluations" / name
    folder.mkdir(parents=True, exist_ok=True)
    freeze.write(configuration, folder / "config.yaml")
    job = python_job("evaluate", "launch.stage", ["evaluate", str(folder)], folder, configuration)
    with progress(0) as display:
        run_pool([job], 1, display, Usage())
    print_scores(read_json(folder / "scores.json"))
    print(f"scores: {folder / 'scores.json'}")


def made_up(configuration: Configuration) -> bool:
    """Make up for what the experiment owes; whether it owed anything. Exit code 4 where it still does."""
    experiment = folders.experiment_folder(configuration)
    if not folders.prepared(experiment):
        return False
    runs = sorted(experiment.glob("arms/*/seed-*"))
    places = [experiment, *(run for run in runs if folders.done(run))]
    if not any(owing(place) for place in places):
        return False
    with holding.held(experiment):
        measure(experiment, runs, configuration, Usage(), everything=True)
    if any(owing(place) for place in places):
        raise SystemExit(4)
    return True


def print_scores(scores: dict[str, Any]) -> None:
    """One line a benchmark: greedy score, its interval, and the mean over samples."""
    for name, score in sorted(scores["benchmarks"].items(), key=lambda pair: (pair[1]["group"], pair[0])):
        greedy, sampled = score["greedy"], score.get("sampled") or {}
        line = f"{score['group']:<16}{name:<22}{greedy['score']:6.1f} [{greedy['low']:.1f}, {greedy['high']:.1f}]"
        print(line + (f"  sampled {sampled['score']:.1f}" if sampled.get("score") is not None else ""))


if __name__ == "__main__":
    command.run(main, __doc__)
