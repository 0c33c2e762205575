"""Models whose parameters ZeRO-3 has spread over the processes of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model


@contextmanager
def gathered(model: Any, changed: bool = False) -> Iterator[Any]:
    """The module itself with whole parameters in every process; every process must come here.

    `changed`: afterwards the first process's values are everyone's. A model that is not spread is whole already.
    """
    module = getattr(model, "module", model)
    spread = [one for one in module.parameters() if hasattr(one, "ds_id")]
    if not spread:
        yield module
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(spread, modifier_rank=0 if changed else None):
        yield module


def save(model: Any, file: Path, write: bool) -> None:
    """Whole weights into `file`, which the process that is to `write` makes; every process must come here."""
    with gathered(model) as whole:
        if write:
            file.parent.mkdir()
            save_model(whole, str(file))


def load(model: Any, file: Path) -> None:
    """The weights in `file`; every process must come here."""
    with gathered(model, changed=True) as whole:
        load_model(whole, str(file))
