"""Choose each arm's learning rate by rule: `python -m launch.sweep experiment=embedded KEY=VALUE ...`.

The rule: the highest greedy accuracy on math, on the validation split, at the last step, averaged over `sweep_seeds`
(which the report never uses); of equals the lower rate. While the best lies at an edge, the grid grows by one step
there, twice a side at most.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from conf.errors import UserError
from conf.files import read_json, write_json, write_text
from conf.schema import Configuration
from launch import command, folders
from launch.compose import compose
from launch.training import train_all
from launch.workers import Usage

EXTENSIONS = 2  # a side
Scores = dict[float, dict[str, float]]  # rate -> group -> percent


def main(arguments: list[str]) -> None:
    """Sweep every arm, write sweep.json and sweep.md, and print what to put into the experiment's file."""
    experiment = compose(arguments).experiment
    usage = Usage()
    table: dict[str, Scores] = {}
    for arm in experiment.arms:
        if arm not in experiment.sweep_rates:
            raise UserError(
                f"experiment.sweep_rates has no {arm}", "there is no grid to try", f"add its rates for {arm}"
            )
        rates = sorted(experiment.sweep_rates[arm])
        table[arm] = search(rates, lambda todo, arm=arm: trained(arguments, arm, todo, usage))  # type: ignore[misc]
    folder = folders.experiment_folder(_configuration(arguments, experiment.arms[0], 1e-4, 0))
    chosen = {arm: best(scores) for arm, scores in table.items()}
    base = _groups(folder / "base" / "evaluation" / "scores.json")
    text = markdown(table, base, chosen)
    write_json(folder / "sweep.json", {"chosen": chosen, "base": base, "arms": _text_keys(table)})
    write_text(folder / "sweep.md", text)
    print(f"{text}\nPut into conf/experiment/{experiment.name}.yaml:\n  learning_rates:")
    print("\n".join(f"    {arm}: {_yaml_float(rate)}" for arm, rate in chosen.items()))
    print(f"table: {folder / 'sweep.md'}")


def search(rates: list[float], train: Callable[[list[float]], Scores]) -> Scores:
    """Scores of every rate of the grid, extended while the best lies at an edge; `train` gives those of new rates."""
    scores = train(rates)
    lower, upper = list[float](), list[float]()
    while len(rates) > 1:
        grid = sorted(scores)
        top = best(scores)
        if top == grid[0] and len(lower) < EXTENSIONS:
            lower.append(_rounded(grid[0] * grid[0] / grid[1]))
            scores |= train(lower[-1:])
        elif top == grid[-1] and len(upper) < EXTENSIONS:
            upper.append(_rounded(grid[-1] * grid[-1] / grid[-2]))
            scores |= train(upper[-1:])
        else:
            break
    return scores


def best(scores: Scores) -> float:
    """The rate with the highest math score; of equals the lowest."""
    return max(sorted(scores), key=lambda rate: scores[rate]["math"])


def trained(arguments: list[str], arm: str, rates: list[float], usage: Usage) -> Scores:
    """Train `arm` at each rate with every sweep seed; scores at the last step, averaged over the seeds."""
    seeds = compose(arguments).experiment.sweep_seeds
    runs = {rate: [_configuration(arguments, arm, rate, seed) for seed in seeds] for rate in rates}
    print(f"{arm}: rates {', '.join(f'{rate:g}' for rate in rates)}", flush=True)
    train_all([given for configurations in runs.values() for given in configurations], usage)
    scores = {}
    for rate, configurations in runs.items():
        groups = [_groups(_last_scores(given)) for given in configurations]
        scores[rate] = {name: mean(each[name] for each in groups) for name in groups[0]}
    return scores


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
    """The configuration of one run of the sweep: only its last step is evaluated, on validation."""
    plain = compose([*arguments, f"recipe={arm}"])
    return compose(
        [
            *arguments,
            f"recipe={arm}",
            f"recipe.name={arm}-lr{rate:g}",
            f"recipe.learning_rate={rate!r}",
            f"seed={seed}",
            f"experiment.name={plain.experiment.name}-sweep",
            f"train.save_steps={plain.train.steps}",
            "suite.split=validation",
            "suite.samples=1",
        ]
    )


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
