"""Models whose parameters ZeRO-3 has spread over the processes of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
