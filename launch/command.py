"""How every command ends: a user's mistake is a message and 2, a failed worker 1, Ctrl-C 130, SIGUSR1 75."""

import sys
from collections.abc import Callable

from conf.errors import INTERRUPTED, UserError
from train import stop


class WorkerFailed(Exception):
    """A worker ended badly; `code` is what this command should exit with."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Submitted(Exception):
    """What is to be done is queued; `jobs` are those that a following command waits for, `new` whether any is."""

    def __init__(self, jobs: list[int], new: bool) -> None:
        super().__init__("the same command says how far the jobs are, and submits again what was cut short")
        self.jobs, self.new = jobs, new


class Stopped(Exception):
    """The runs were asked to stop and did, each with a checkpoint of its last step."""

    def __init__(self) -> None:
        super().__init__("stopped as asked: the same command goes on from the step that was saved")


def run(command: Callable[[list[str]], None], usage: str | None = None) -> None:
    """Call `command` with the arguments, and leave the process with the exit code that its outcome deserves.

    Where `usage` is given, -h and --help print it.
    """
    if usage and {"-h", "--help"} & set(sys.argv[1:]):
        print(f"{usage}\nKeys, groups and their options: python -m launch")
        return
    try:
        command(sys.argv[1:])
    except UserError as error:
        _stop(f"error: {error}", 2)
    except WorkerFailed as error:
        _stop(f"error: {error}", error.code)
    except Submitted as error:
        print(error, flush=True)
    except Stopped as error:
        _stop(str(error), stop.CODE)
    except KeyboardInterrupt:
        _stop(INTERRUPTED, 130)


def _stop(message: str, code: int) -> None:
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(code)
