"""`python -m train.owed FOLDER [WHERE ...]`: measure what an experiment's base or a run still owes, failed or asked for
later; of what was asked for at WHERE (training, after, slurm) alone, where that is given."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from conf import freeze
from conf.errors import ending
from conf.schema import Where
from models.folder import check_sealed
from train import measuring, processes, trackers
from train.worker import settle, tidy


def make_up(folder: Path, where: tuple[Where, ...]) -> None:
    """Everything that is owed there, one model at a time; what fails again is told and stays owed."""
    configuration = freeze.read(folder / "config.yaml")
    settle(configuration, folder, training=False)
    from models.loading import load_configured, tokenizer_of

    def saved(weights: Path) -> Any:
        check_sealed(weights)
        with processes.one_at_a_time():
            return load_configured(configuration, str(weights), read_only=True)[0]

    measuring.check(configuration)
    with trackers.late(configuration, folder):
        for place, measurements in processes.collected(measuring.owed(configuration, folder, where))[0]:
            model = partial(saved, place.weights)
            measuring.measure(configuration, place, measurements, model, tokenizer_of(configuration))
            if place.step:
                tidy(configuration, folder, place.step)


def main() -> int:
    folder = Path(sys.argv[1])
    where = tuple(one for one in measuring.ANYWHERE if one in sys.argv[2:]) or measuring.ANYWHERE
    return ending(lambda: processes.watched(lambda: make_up(folder, where), folder), folder)


if __name__ == "__main__":
    sys.exit(main())
