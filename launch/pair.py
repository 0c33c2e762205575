"""The paired experiment, all arms and seeds and a report: `python -m launch.pair experiment=embedded seeds=0,1,2`."""

import time

from conf.schema import Configuration
from launch import command
from launch.compose import compose
from launch.report import write
from launch.training import train_all
from launch.workers import Usage


def main(arguments: list[str]) -> None:
    """Prepare, train every arm with every seed, write the report, and say where it is and what it took."""
    start, usage = time.monotonic(), Usage()
    overrides = [_plural(argument) for argument in arguments]
    configurations = pairs(overrides)
    train_all(configurations, usage)
    report = write(configurations[0], usage)
    if usage.peak_bytes:
        print(f"peak memory of the workers: {usage.peak_bytes / 1e9:.2f} GB")
    print(f"wall time: {time.monotonic() - start:.0f} s")
    print(f"report: {report}")


def pairs(overrides: list[str]) -> list[Configuration]:
    """One configuration an arm and seed of the experiment, seeds outermost, so that pairs finish together."""
    experiment = compose(overrides).experiment
    jobs = [(seed, arm) for seed in experiment.seeds for arm in experiment.arms]
    return [compose([*overrides, f"recipe={arm}", f"seed={seed}"]) for seed, arm in jobs]


def _plural(argument: str) -> str:
    """seeds=0,1,2 is short for experiment.seeds=[0,1,2]; arms likewise."""
    key, _, value = argument.partition("=")
    return f"experiment.{key}=[{value.strip('[]')}]" if key in ("seeds", "arms") else argument


if __name__ == "__main__":
    command.run(main, __doc__)
