"""Models whose parameters ZeRO-3 has spread over the processes of a run."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model

from conf.files import read_json
from train.processes import DEEPSPEED


@contextmanager
def loading(folder: Path, zero_stage: int) -> Iterator[None]:
    """A model that is loaded inside with `spread` is never whole in a process of the run in `folder`."""
    if zero_stage != 3:
        yield
        return
    from transformers.integrations import HfDeepSpeedConfig

    given = read_json(folder / DEEPSPEED)
    zero = {key: value for key, value in given["zero_optimization"].items() if value != "auto"}
    alive = HfDeepSpeedConfig({"train_micro_batch_size_per_gpu": 1, "bf16": given["bf16"], "zero_optimization": zero})
    yield
    del alive  # transformers keeps a weak reference to it


@contextmanager
def gathered(model: Any, changed: bool = False) -> Iterator[Any]:
    """The module itself with whole parameters in every process; every process must come here.

    `changed`: afterwards the first process's values are everyone's. A model that is not spread is whole already.
    """
    with gathered_parameters(model.parameters(), changed):
        yield getattr(model, "module", model)


@contextmanager
def gathered_parameters(parameters: Iterable[Any], changed: bool = False) -> Iterator[None]:
    """The same for some parameters."""
    own = [one for one in parameters if hasattr(one, "ds_id")]
    if not own:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(own, modifier_rank=0 if changed else None):
        yield


def spread(model: Any) -> list[Any]:
    """The parameters that lie in pieces; every process must make as many passes through such a model."""
    return [one for one in model.parameters() if hasattr(one, "ds_id")]


def frozen(model: Any, accelerator: Any, zero_stage: int) -> Any:
    """A model that is not trained beside one that is: in the same precision, and spread as that is."""
    model.requires_grad_(False)
    if not zero_stage:
        return accelerator.prepare_model(model, evaluation_mode=True)
    from trl.models import prepare_deepspeed

    return prepare_deepspeed(model, accelerator)


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
