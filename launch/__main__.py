"""One arm: `python -m launch experiment=embedded recipe=sft seed=0 KEY=VALUE ...`; -m: every combination of lists."""

from pathlib import Path

from launch import command, machine, second, show
from launch.compose import GROUPS, compose, options

HELP = """\
Train one arm:          python -m launch experiment=embedded recipe=sft seed=0 KEY=VALUE ...
Train several:          python -m launch -m experiment=embedded recipe=sft,grpo seed=0,1
The paired experiment:  python -m launch.pair experiment=embedded seeds=0,1,2
Choose learning rates:  python -m launch.sweep experiment=embedded
Evaluate any model:     python -m launch.evaluate model.path=FOLDER suite.split=test
The report again:       python -m launch.report experiment=embedded
Targets for SFT:        python -m launch.targets experiment=embedded targets.model=NAME targets.base_url=URL

Keys and defaults: conf/schema.py. Groups (GROUP=OPTION):"""


def main(arguments: list[str]) -> None:
    """Train what the arguments ask for; help, and the state of this machine, without any."""
    multirun = bool({"-m", "--multirun"} & set(arguments))
    overrides = [argument for argument in arguments if argument not in ("-m", "--multirun")]
    if not overrides or {"-h", "--help"} & set(overrides):
        _help()
        return
    if multirun:
        from launch import points

        points.run(overrides)
        return
    from launch import push
    from launch.training import train_all

    configuration = second.started(compose(overrides))
    if not show.shown([configuration]):
        for folder in train_all([configuration]):
            print(f"done: {folder}")
        push.after_training([configuration])


def _help() -> None:
    print(HELP)
    for group in GROUPS:
        print(f"  {group + '=':<13}{', '.join(options(group))}")
    gpus = machine.devices()
    base = Path("models/embedded/config.json").exists()
    print(f"\nThis machine: {machine.cores()} cores, {machine.memory_gb():.0f} GB memory")
    print(f"  CUDA device: {', '.join(gpus) if gpus else 'none, so hardware=gpu1 will not run; hardware=cpu does'}")
    hub = "answers" if machine.hub_reachable() else "no answer; local model folders and data=world work"
    print(f"  model hub:   {hub}")
    print(
        f"  base:        {'models/embedded is there' if base else 'models/embedded is missing: `make base` makes it'}"
    )
    print("  works here:  make demo" if base else "  works here:  make base, then make demo")


if __name__ == "__main__":
    command.run(main)
