"""`python -m train RUN_FOLDER`: what the launcher starts for every arm and seed."""

import sys
from pathlib import Path

from conf.errors import UserError


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m train RUN_FOLDER  (started by `python -m launch`)", file=sys.stderr)
        return 2
    from train.worker import run

    try:
        run(Path(sys.argv[1]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
