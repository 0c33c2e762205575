"""`python -m train.owed FOLDER [WHERE ...]`: measure what an experiment's base or a run still owes, failed or asked for
later; of what was asked for at WHERE (training, after, slurm) alone, where that is given."""

import sys
from pathlib import Path

from conf import freeze
from conf.errors import ending
from conf.schema import Where
from models.folder import check_sealed
from train import measuring
from train.worker import settle, tidy


def make_up(folder: Path, where: tuple[Where, ...]) -> None:
    """Everything that is owed there, one model at a time; what fails again is told and stays owed."""
    configuration = freeze.read(folder / "config.yaml")
    settle(configuration, folder)
    from models.loading import load_configured, tokenizer_of

    measuring.check(configuration)
    for place, measurements in measuring.owed(configuration, folder, where):
        check_sealed(place.weights)
        model = load_configured(configuration, str(place.weights), read_only=True)[0]
        measuring.measure(configuration, place, measurements, model, tokenizer_of(configuration))
        del model
        if place.step:
            tidy(configuration, folder, place.step)


def main() -> int:
    folder = Path(sys.argv[1])
    where = tuple(one for one in measuring.ANYWHERE if one in sys.argv[2:]) or measuring.ANYWHERE
    return ending(lambda: make_up(folder, where), folder)


if __name__ == "__main__":
    sys.exit(main())
