"""The paired experiment, all arms and seeds and a report: `python -m launch.pair experiment=embedded seeds=0,1,2`.

budget.match=flops (trained_tokens, device_seconds): the arms spend equally much of that, not equally many prompts.
"""

import time

from conf.schema import Configuration
from launch import budget, command, folders, gating, push, second, show
from launch.compose import compose, given
from launch.report import write
from launch.training import train_all
from launch.workers import Usage


def main(arguments: list[str]) -> None:
    """Prepare, train every arm with every seed, write the report, and say where it is and what it took."""
    start, usage = time.monotonic(), Usage()
    rest, gate = gating.apart(arguments)
    gating.refuse_unused(gate)
    configurations = pairs(named([_plural(argument) for argument in rest]))
    again = ["launch.pair", *arguments]
    if show.shown(configurations, again):
        return
    if configurations[0].budget.match == "prompts":
        train_all(configurations, usage, again=again)
    else:
        train_matched(configurations, usage, again)
    reported = gating.applied(configurations[0], gate)
    report = write(reported, usage)
    push.after_training(configurations)
    if usage.peak_bytes:
        print(f"peak memory of the workers: {usage.peak_bytes / 1e9:.2f} GB")
    print(f"wall time: {time.monotonic() - start:.0f} s")
    print(f"report: {report}")
    gating.check(report, reported)


def named(overrides: list[str]) -> list[str]:
    """The overrides, with a folder of its own for every budget.match but the usual one, where the user gave no name."""
    configuration = compose(overrides)
    if configuration.budget.match == "prompts" or given(overrides, "experiment.name"):
        return overrides
    return [*overrides, f"experiment.name={configuration.experiment.name}-{configuration.budget.match}"]


def pairs(overrides: list[str]) -> list[Configuration]:
    """One configuration an arm and seed of the experiment, seeds outermost, so that pairs finish together."""
    experiment = compose(overrides).experiment
    jobs = [(seed, arm) for seed in experiment.seeds for arm in experiment.arms]
    return [second.started(compose([*overrides, f"recipe={arm}", f"seed={seed}"])) for seed, arm in jobs]


def train_matched(configurations: list[Configuration], usage: Usage, again: list[str] | None = None) -> None:
    """The dearer arm with every seed; then the others, each with the spending of that arm at its seed as its limit."""
    budget.check(configurations)
    arm = budget.dearest(configurations)
    first = [one for one in configurations if one.recipe.name == arm]
    match = first[0].budget.match
    print(f"arms are held equal on {match}: {arm} first, the others spend what it spent", flush=True)
    runs = train_all(first, usage, configurations, again)
    spending = {one.seed: (one, budget.last_entry(run)) for one, run in zip(first, runs, strict=True)}
    data = folders.experiment_folder(first[0]) / "data"
    rest = [budget.limited(one, *spending[one.seed], data) for one in configurations if one.recipe.name != arm]
    for one in rest:
        name = f"{one.recipe.name}/seed-{one.seed}"
        print(f"{name}: {one.budget.limit:g} {match} in at most {one.train.steps} steps", flush=True)
    train_all(rest, usage, configurations, again)


def _plural(argument: str) -> str:
    """seeds=0,1,2 is short for experiment.seeds=[0,1,2]; arms likewise."""
    key, _, value = argument.partition("=")
    return f"experiment.{key}=[{value.strip('[]')}]" if key in ("seeds", "arms") else argument


if __name__ == "__main__":
    command.run(main, __doc__)
