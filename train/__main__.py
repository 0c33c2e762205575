"""`python -m train RUN_FOLDER`: what the launcher starts for every arm and seed."""

import sys
from pathlib import Path

from conf.errors import ending


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m train RUN_FOLDER  (started by `python -m launch`)", file=sys.stderr)
        return 2
    from train import processes, stop

    stop.listen()  # before what takes seconds to import
    from train.worker import run

    folder = Path(sys.argv[1])
    return ending(lambda: processes.watched(lambda: run(folder), folder), folder) or stop.code(folder)


if __name__ == "__main__":
    sys.exit(main())
