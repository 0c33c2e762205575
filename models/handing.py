"""A model's weights as another engine takes them: whole, under their names in the base's own files."""

import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from conf.files import write_json
from models.critic import is_critics
from models.engine import Weights

LORA = ".lora_"  # in the name of every parameter of an adapter
SHARD_BYTES = 4 * 2**30  # of a file of weights

Gathered = Callable[[Iterable[Any]], AbstractContextManager[None]]  # parameters are whole inside


def weights(model: Any, dtype: torch.dtype, gathered: Gathered = lambda _: nullcontext()) -> Weights:
    """(name, value) of every parameter that a base has, in `dtype`, one after the other: adapters are added, and change
    nothing where they are; 4 bits are unpacked. Where a model is `gathered`, every process must go through all."""
    bare = getattr(model, "module", model)
    base = bare.get_base_model() if hasattr(bare, "get_base_model") else bare
    modules = dict(base.named_modules())
    for name, parameter in base.named_parameters():
        if LORA in name or is_critics(name):
            continue
        owner: Any = modules.get(name.rpartition(".")[0].removesuffix(".base_layer"))
        adapted = name.endswith(".base_layer.weight") and hasattr(owner, "get_delta_weight")
        with gathered([parameter, *(owner.parameters() if adapted else ())]):
            value = _unpacked(parameter)
            for adapter in owner.active_adapters if adapted else ():
                value = value.float() + owner.get_delta_weight(adapter).float()
            yield name.replace(".base_layer", ""), value.detach().to(dtype)


def _unpacked(parameter: Any) -> torch.Tensor:
    """The numbers that a parameter of 4 bits stands for; others are what they are."""
    state = getattr(parameter, "quant_state", None)
    if state is None:
        return torch.as_tensor(parameter.data)
    from bitsandbytes.functional import dequantize_4bit

    found: torch.Tensor = dequantize_4bit(parameter.data, state)
    return found


def write_folder(weights: Weights, folder: Path) -> None:
    """Safetensors files of a few GiB each in a new `folder`, named as transformers names them; no more than one of them
    is in memory."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    held: dict[str, torch.Tensor] = {}
    files: dict[str, str] = {}  # tensor -> file
    for name, tensor in weights:
        held[name] = tensor.detach().to("cpu", copy=True).contiguous()
        if sum(one.nbytes for one in held.values()) > SHARD_BYTES:
            _write(held, folder, files)
            held = {}
    _write(held, folder, files)
    if len(set(files.values())) == 1:
        (folder / next(iter(files.values()))).rename(folder / "model.safetensors")
    else:
        write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": files})


def _write(held: dict[str, torch.Tensor], folder: Path, files: dict[str, str]) -> None:
    """One more file, where there is something for it."""
    if held:
        name = f"model-{len(set(files.values())):05d}.safetensors"
        save_file(held, folder / name, metadata={"format": "pt"})
        files |= dict.fromkeys(held, name)


def write_model(model: Any, tokenizer: Any, dtype: torch.dtype, folder: Path) -> None:
    """A plain model that computes what `model` does, in a new `folder`."""
    write_folder(weights(model, dtype), folder)
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    stated = bare.config.to_dict()
    stated.pop("quantization_config", None)
    type(bare.config).from_dict(stated | {"dtype": str(dtype).removeprefix("torch.")}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
