"""`python -m train.prepare RUNS/EXPERIMENT/config.yaml`: compile the data, write the lock, evaluate the base."""

import sys
from pathlib import Path
from typing import Any

from conf import freeze
from conf.errors import ending
from conf.files import write_json
from conf.schema import Configuration
from train import lock, measuring, processes
from train.worker import settle


def prepare(file: Path) -> None:
    """Compile, lock, measure the base; each is kept where it is done and still valid.

    Where several processes come here, the first compiles and locks, and all measure.
    """
    configuration = freeze.read(file)
    settle(configuration, file.parent, training=False)
    folder = file.parent
    measuring.check(configuration)
    if processes.rank() == 0:
        _compile(configuration, folder)
    processes.wait()
    place = measuring.of_base(configuration, folder)
    if measurements := measuring.wanted(configuration, place):
        from models.loading import load_configured, tokenizer_of

        def base() -> Any:
            with processes.one_at_a_time():
                return load_configured(configuration, read_only=True)[0]

        measuring.measure(configuration, place, measurements, base, tokenizer_of(configuration))
    if processes.rank() == 0:
        freeze.mark(folder, "prepared.json")
    processes.wait()


def _compile(configuration: Configuration, folder: Path) -> None:
    from data.compile import compile_dataset
    from data.suitefile import compile_all
    from models.adapter import adapted
    from models.loading import load_configured

    compile_all(configuration, folder)
    manifest = compile_dataset(configuration, folder / "data", folder)
    model, tokenizer = load_configured(configuration)
    shared = lock.measure(configuration, manifest, adapted(configuration, model), tokenizer, folder)
    write_json(folder / "lock.json", shared)


def main() -> int:
    file = Path(sys.argv[1])
    return ending(lambda: processes.watched(lambda: prepare(file), file.parent), file.parent)


if __name__ == "__main__":
    sys.exit(main())
