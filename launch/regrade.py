"""Grade an experiment's stored responses again; nothing is generated: `python -m launch.regrade experiment=NAME`."""

from launch import command, folders
from launch.compose import compose
from launch.evaluate import regrade


def main(arguments: list[str]) -> None:
    """Every evaluation of the experiment's base, arms and other models; its report is then to be made again."""
    configuration = compose(arguments)
    folder = folders.experiment_folder(configuration)
    with folders.held(folder):
        regrade(configuration, folder)


if __name__ == "__main__":
    command.run(main, __doc__)
