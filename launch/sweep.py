"""Choose each arm's learning rate by rule: `python -m launch.sweep experiment=embedded KEY=VALUE ...`.

The rule: the highest greedy accuracy on math, on the validation split, at the last step, averaged over `sweep_seeds`
(which the report never uses); of equals the lower rate. While the best lies at an edge, the grid grows by one step
there, twice a side at most. All arms' runs are one pool; then those of all grids that grow, until none does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from conf.errors import UserError
from conf.files import read_json, write_json, write_text
from conf.schema import Configuration, Drift, Experiment, Hooks
from conf.sweeps import settings
from launch import command, estimate, folders, show, swept
from launch.compose import compose
from launch.training import train_all
from launch.workers import Usage

EXTENSIONS = 2  # a side
TEST = "test"  # the split, and the suite of the sweep's runs that has it
SPLITS = {"validation": "", TEST: f"suites/{TEST}"}  # where an evaluation of each lies
Scores = dict[float, dict[str, float]]  # rate -> group -> percent
Point = tuple[str, float]  # arm and rate


def main(arguments: list[str]) -> None:
    """Sweep every arm, write sweep.json and sweep.md, and print what to put into the experiment's file."""
    configuration, usage = compose(arguments), Usage()
    experiment, grids = configuration.experiment, _grids(configuration.experiment)
    if show.wanted(configuration):
        points = [(arm, rate, seed) for arm in grids for rate in grids[arm] for seed in experiment.sweep_seeds]
        show.shown([_configuration(arguments, *point) for point in points], ["launch.sweep", *arguments])
        return
    table = search(grids, lambda points: trained(arguments, points, usage))
    chosen = {arm: best(scores) for arm, scores in table.items()}
    runs = {arm: _configuration(arguments, arm, rate, experiment.sweep_seeds[0]) for arm, rate in chosen.items()}
    folder = folders.experiment_folder(runs[experiment.arms[0]])
    base = _groups(folder / "base" / "evaluation" / "scores.json")
    text = markdown(table, base, chosen)
    about = {"seeds": experiment.sweep_seeds, "settings": settings(runs, read_json(folder / "lock.json"))}
    about |= swept.points(folder / "base" / "evaluation", _runs(arguments, table), SPLITS)
    write_json(folder / "sweep.json", {"chosen": chosen, "base": base, "arms": _text_keys(table), **about})
    write_text(folder / "sweep.md", text)
    print(f"{text}\nPut into conf/experiment/{experiment.name}.yaml:\n  learning_rates:")
    print("\n".join(f"    {arm}: {_yaml_float(rate)}" for arm, rate in chosen.items()))
    print(f"table: {folder / 'sweep.md'}")


def _grids(experiment: Experiment) -> dict[str, list[float]]:
    for arm in experiment.arms:
        if not experiment.sweep_rates.get(arm):
            given = f"experiment.sweep_rates has no {arm}"
            raise UserError(given, "there is no grid to try", f"add its rates for {arm}")
    return {arm: sorted(experiment.sweep_rates[arm]) for arm in experiment.arms}


def search(
    grids: Mapping[str, list[float]], train: Callable[[list[Point]], Mapping[Point, dict[str, float]]]
) -> dict[str, Scores]:
    """Scores of every rate of every arm's grid, each extended while its best lies at an edge.

    `train` gives the groups' percents of new points; it is asked for those of all arms at once.
    """
    table: dict[str, Scores] = {arm: {} for arm in grids}
    todo = [(arm, rate) for arm, rates in grids.items() for rate in rates]
    while todo:
        for (arm, rate), groups in train(todo).items():
            table[arm][rate] = groups
        todo = [(arm, rate) for arm, rates in grids.items() for rate in beyond(rates, table[arm])]
    return table


def beyond(rates: Sequence[float], scores: Scores) -> list[float]:
    """The rate to try next to the grid `rates` (ascending) after `scores`; none where the best lies inside."""
    tried, top = sorted(scores), best(scores)
    if len(rates) > 1 and top == tried[0] and sum(rate < rates[0] for rate in tried) < EXTENSIONS:
        return [_rounded(tried[0] * tried[0] / tried[1])]
    if len(rates) > 1 and top == tried[-1] and sum(rate > rates[-1] for rate in tried) < EXTENSIONS:
        return [_rounded(tried[-1] * tried[-1] / tried[-2])]
    return []


def best(scores: Scores) -> float:
    """The rate with the highest math score; of equals the lowest."""
    return max(sorted(scores), key=lambda rate: scores[rate]["math"])


def trained(arguments: list[str], points: list[Point], usage: Usage) -> dict[Point, dict[str, float]]:
    """Train every point with every sweep seed in one pool; scores at the last step, averaged over the seeds."""
    seeds = compose(arguments).experiment.sweep_seeds
    runs = {point: [_configuration(arguments, *point, seed) for seed in seeds] for point in points}
    for arm in dict.fromkeys(arm for arm, _ in points):
        print(f"{arm}: rates {', '.join(f'{rate:g}' for one, rate in points if one == arm)}", flush=True)
    every = _longest_first([given for own in runs.values() for given in own])
    train_all(every, usage, again=["launch.sweep", *arguments])
    scores = {}
    for point, configurations in runs.items():
        groups = [_groups(_last_scores(given)) for given in configurations]
        scores[point] = {name: mean(each[name] for each in groups) for name in groups[0]}
    return scores


def _runs(arguments: list[str], table: Mapping[str, Scores]) -> Iterator[tuple[str, float, int, Path]]:
    """Arm, rate, seed and folder of each run."""
    for arm, scores in table.items():
        for rate, seed in product(sorted(scores), compose(arguments).experiment.sweep_seeds):
            yield arm, rate, seed, folders.run_folder(_configuration(arguments, arm, rate, seed))


def _longest_first(configurations: list[Configuration]) -> list[Configuration]:
    """So that the pool's last runs are short ones, and no core waits long for another."""
    return sorted(configurations, key=lambda given: -(estimate.seconds(given) or 0.0))


def markdown(table: Mapping[str, Scores], base: Mapping[str, float], chosen: Mapping[str, float]) -> str:
    """The front: one row a rate, the change of each group against the base, the chosen rates marked."""
    names = list(base)
    head = f"| arm | learning rate | {' | '.join(names)} | chosen |"
    rule = "|---|---:|" + "---:|" * len(names) + "---|"
    rows = [f"| base | | {' | '.join(f'{base[name]:.1f}' for name in names)} | |"]
    for arm, scores in table.items():
        for rate in sorted(scores):
            cells = [f"{scores[rate][name]:.1f} ({scores[rate][name] - base[name]:+.1f})" for name in names]
            rows.append(f"| {arm} | {rate:g} | {' | '.join(cells)} | {'yes' if chosen[arm] == rate else ''} |")
    return "\n".join(
        ["Greedy accuracy on the validation split, percent (change against the base).", "", head, rule, *rows, ""]
    )


def _configuration(arguments: list[str], arm: str, rate: float, seed: int) -> Configuration:
    """The configuration of one run of the sweep: scored on validation, greedily, at its last step or at every
    `sweep_save_steps`, and where asked on the test split as the suite `test`; on nothing beside.

    Further suites stay named: no training row may overlap them, in the sweep as in the runs it is for.
    """
    plain = compose([*arguments, f"recipe={arm}"])
    saves = plain.experiment.sweep_save_steps or plain.train.steps
    items = plain.experiment.sweep_items or plain.suite.items
    found = compose(
        [
            *arguments,
            f"recipe={arm}",
            f"suite.items={items}",
            f"recipe.name={arm}-lr{rate:g}",
            f"recipe.learning_rate={rate!r}",
            f"seed={seed}",
            f"experiment.name={plain.experiment.name}-sweep",
            f"train.save_steps={min(saves, plain.train.steps)}",
            "suite.split=validation",
            "suite.samples=0",
            "suite.likelihood=false",
        ]
    )
    suites = {name: one.model_copy(update={"when": []}) for name, one in found.suites.items()}
    if found.experiment.sweep_test:
        suites[TEST] = found.suite.model_copy(
            update={"split": TEST, "when": ["base", "save", "end"], "items": plain.suite.items}
        )
    budget = found.budget.model_copy(update={"overrun": 1.0})
    return found.model_copy(update={"suites": suites, "hooks": Hooks(), "drift": Drift(), "budget": budget})


def _last_scores(configuration: Configuration) -> Path:
    return folders.run_folder(configuration) / "evaluation" / f"step-{configuration.train.steps:06d}" / "scores.json"


def _groups(path: Path) -> dict[str, float]:
    """Greedy percent of every group in a scores.json."""
    groups: dict[str, Any] = read_json(path)["groups"]
    return {name: float(group["greedy"]["score"]) for name, group in groups.items()}


def _rounded(rate: float) -> float:
    """Three digits, so that a grid extended twice reads like one written by hand."""
    return float(f"{rate:.3g}")


def _text_keys(table: Mapping[str, Scores]) -> dict[str, dict[str, dict[str, float]]]:
    return {arm: {f"{rate:g}": groups for rate, groups in scores.items()} for arm, scores in table.items()}


def _yaml_float(rate: float) -> str:
    """A float that YAML 1.1 reads as one: 5.0e-05, not 5e-05."""
    text = f"{rate:g}"
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


if __name__ == "__main__":
    command.run(main, __doc__)
