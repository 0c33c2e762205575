"""`python -m train.prepare RUNS/EXPERIMENT/config.yaml`: compile the data, write the lock, evaluate the base."""

import sys
from pathlib import Path

from conf import freeze
from conf.errors import ending
from conf.files import write_json
from train import lock, measuring
from train.worker import settle


def prepare(file: Path) -> None:
    """Compile, lock, measure the base; each is kept where it is done and still valid."""
    configuration = freeze.read(file)
    settle(configuration, file.parent)
    from data.compile import compile_dataset
    from models.adapter import adapted
    from models.loading import load_configured

    folder = file.parent
    measuring.check(configuration)
    manifest = compile_dataset(configuration, folder / "data")
    model, tokenizer = load_configured(configuration)
    write_json(folder / "lock.json", lock.measure(configuration, manifest, adapted(configuration, model), tokenizer))
    del model  # a large one is not held twice
    place = measuring.of_base(configuration, folder)
    if measurements := measuring.wanted(configuration, place):
        as_read = load_configured(configuration, read_only=True)[0]
        measuring.measure(configuration, place, measurements, as_read, tokenizer)
    freeze.mark(folder, "prepared.json")


def main() -> int:
    file = Path(sys.argv[1])
    return ending(lambda: prepare(file), file.parent)


if __name__ == "__main__":
    sys.exit(main())
