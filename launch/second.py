"""A second task after the first: each run starts from what an earlier experiment made of the same arm and seed."""

from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from launch import folders
from train import checkpoints, ledger


def started(configuration: Configuration) -> Configuration:
    """With `train.start_from` the compared checkpoint of experiment.after's run; as it is where nothing came before.

    UserError where that run is not done, or its base is another one: what was kept could not be told.
    """
    first = configuration.experiment.after
    if not first or configuration.train.start_from:
        return configuration
    name = f"{configuration.recipe.name}/seed-{configuration.seed}"
    run = configuration.runs / first / "arms" / name
    given = f"experiment.after={first}"
    if not folders.done(run):
        change = f"run it first: make pair EXPERIMENT={first}, with this arm and seed"
        raise UserError(given, f"{run} is not there or not done, and {name} would start from it", change)
    before = freeze.read(run / "config.yaml")
    if before.model.path != configuration.model.path:
        why = f"its base is {before.model.path}, and this experiment's is {configuration.model.path}"
        raise UserError(given, why, f"set model.path={before.model.path}")
    begins = run / "checkpoints" / checkpoints.name(ledger.compared(run, before))
    train = configuration.train.model_copy(update={"start_from": str(begins)})
    return configuration.model_copy(update={"train": train})
