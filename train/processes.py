"""The processes of one run, as torchrun and accelerate number them; a run started plainly is one."""

import os


def rank() -> int:
    """This process's number; 0 writes the run's files."""
    return int(os.environ.get("RANK", "0"))


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
