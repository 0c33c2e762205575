"""The processes of one run, as torchrun and accelerate number them; a run started plainly is one."""

import ctypes
import fcntl
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from conf.errors import UserError
from conf.files import write_json

Value = TypeVar("Value")
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
TIMEOUT_SECONDS = 24 * 3600  # the others wait for the one that measures longest; one that is lost is seen at once
DEEPSPEED = "deepspeed.json"  # in a run's folder, written by the launcher


def rank() -> int:
    """This process's number; 0 writes the run's files."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Its number on this machine, and that of its device."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def count() -> int:
    """How many processes train this run together, one device each."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait() -> None:
    """Return once every process has come here."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def gathered(values: list[int]) -> list[list[int]]:
    """The values of every process, below 2^63 each, in order of their numbers."""
    if count() == 1:
        return [values]
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather

    tensor = torch.tensor([values], dtype=torch.int64, device=PartialState().device)
    rows: list[list[int]] = gather(tensor).tolist()
    return rows


def collected(value: Value) -> list[Value]:
    """The value of every process, in order of their numbers; every process must come here."""
    if count() == 1:
        return [value]
    from torch import distributed

    found: list[Value] = [value] * count()
    distributed.all_gather_object(found, value)
    return found


def together(work: Callable[[], Value]) -> list[Value]:
    """What `work` gives in every process, in order of their numbers; every process must come here.

    Where it fails in one, none waits for ever: that one raises its error, and the others a RuntimeError that names it.
    """
    error: Exception | None = None
    value: Value | None = None
    try:
        value = work()
    except Exception as raised:  # told to the others before it goes on its way
        error = raised
    found = collected((value, "" if error is None else f"{type(error).__name__}: {error}".strip()))
    if error is not None:
        raise error
    failed = [f"process {number}: {said}" for number, (_, said) in enumerate(found) if said]
    if failed:
        raise RuntimeError("; ".join(failed))
    return [one for one, _ in found]  # type: ignore[misc]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of this machine's processes one after another: a whole model that each reads passes through host memory."""
    if count() == 1:
        yield
        return
    name = f"paribus-{os.getuid()}-{os.environ.get('MASTER_PORT', '0')}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # which ends with the process that holds it, however that ends
        yield


def settle(device: str, zero_stage: int) -> None:
    """Before torch.distributed begins: this process's device, and no C++ of DeepSpeed's, which would be compiled."""
    if device == "cuda":
        import torch

        torch.cuda.set_device(local_rank())
    elif zero_stage:
        from deepspeed import ops

        ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if "RANK" in os.environ:
        _join(device, zero_stage)


def _join(device: str, zero_stage: int) -> None:
    """Know the other processes, before a checkpoint is read and before DeepSpeed spreads a model over them."""
    backend, patience = "gloo" if device == "cpu" else "nccl", timedelta(seconds=TIMEOUT_SECONDS)
    if zero_stage:
        from deepspeed import comm

        warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")  # of DeepSpeed's calls
        comm.init_distributed(backend, auto_mpi_discovery=False, verbose=False, timeout=patience)
    elif count() > 1:
        from torch import distributed

        distributed.init_process_group(backend, timeout=patience)


def watched(work: Callable[[], None], folder: Path) -> None:
    """Do `work`, one of the processes of the run in `folder`: leave a note where it fails, and die with the launcher.

    Where one process fails the others fail for the lack of it; the notes tell which was first (launch/ranks.py).
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return work()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    try:
        work()
    except Exception as error:
        mistake = isinstance(error, UserError)
        text = str(error) if mistake else "".join(traceback.format_exception(error)[-8:]).strip()
        note = {"time": time.time(), "rank": rank(), "code": 2 if mistake else 1, "text": text}
        write_json(folder / f"failed-rank-{rank()}.json", note)
        raise
