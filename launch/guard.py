"""`python -m launch.guard COMMAND ...`: run a command on one machine of a run, and end it when standard input ends.

ssh alone leaves behind what it started where it is cut; here the end of the line is the end of the command.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PATIENCE_SECONDS = 10.0  # for torchrun to end its processes; they die with it (train/processes.py)
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def main(command: list[str]) -> int:
    """The command's exit code, 128 + the number where a signal ended it; 2 without a command."""
    if not command:
        print("usage: python -m launch.guard COMMAND ...  (started by `python -m launch`)", file=sys.stderr)
        return 2
    before = _die_with_parent if sys.platform == "linux" else None
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=before)

    def asked(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=_end, args=(child,), daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked)
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    """Wait for the end of standard input, which nothing is ever written to."""
    while os.read(0, 64):
        pass
    _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then insist."""
    child.terminate()
    try:
        child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
