"""Make the embedded base anew: `python -m launch.base ARGUMENTS`, about 25 minutes on one core."""

import subprocess
import sys

from launch import command


def main(arguments: list[str]) -> None:
    """Run the pretraining in the foreground, its progress on this terminal."""
    code = subprocess.run([sys.executable, "-m", "train.pretrain", *arguments], check=False).returncode
    if code:
        raise command.WorkerFailed(f"the pretraining ended with code {code}", code=2 if code == 2 else 1)


if __name__ == "__main__":
    command.run(main, __doc__)
