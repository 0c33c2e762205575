"""The tensors of two models beside each other, one pair at a time from their files; neither model is loaded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from conf.files import read_json
from models.folder import is_hub_id
from models.sizes import TIED

HEADS = ("lm_head.weight", "embed_out.weight")
ADAPTER = "adapter_config.json"
PREFIX = "base_model.model."  # peft's, before the names of the model it is on
PLAIN = {"LORA": {"use_dora": False, "rank_pattern": {}, "alpha_pattern": {}, "bias": "none"}}

Read = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Change:
    """One tensor in base and tuned model as stored, and the second minus the first, in float32 at least."""

    name: str
    base: torch.Tensor
    tuned: torch.Tensor
    update: torch.Tensor


def changes(base: str, tuned: str, device: str = "cpu") -> Iterator[Change]:
    """Every tensor that both have, in the order of their names; tied ones once.

    `base` and `tuned` are folders of safetensors (sharded or not) or hub ids that are on this machine; `tuned` may be a
    LoRA adapter, whose product is the update. ValueError where the two do not have the same tensors in the same shapes,
    or the adapter is of a kind that is not merged here.
    """
    before = _model(_folder(base))
    config = read_json(_folder(base) / "config.json")
    after, updates = _tuned(_folder(tuned), before)
    if config.get("tie_word_embeddings", config.get("model_type") in TIED):
        for head in HEADS:
            before.pop(head, None)
            after.pop(head, None)
    if alone := sorted(before.keys() ^ after.keys()):
        raise ValueError(f"base and tuned model do not have the same tensors: {', '.join(alone[:5])} is in one of them")
    for name in sorted(before):
        one, other = before[name]().to(device), after[name]().to(device)
        if one.shape != other.shape:
            raise ValueError(f"{name} is {list(one.shape)} in the base and {list(other.shape)} in the tuned model")
        kind = torch.promote_types(torch.promote_types(one.dtype, other.dtype), torch.float32)
        update = updates[name]().to(device) if name in updates else other.to(kind) - one.to(kind)
        yield Change(name, one, other, update)


def _folder(path: str) -> Path:
    if not is_hub_id(path):
        return Path(path)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(path, local_files_only=True, allow_patterns=["*.safetensors", "*.json"]))


def _model(folder: Path) -> dict[str, Read]:
    """Readers of a whole model's tensors by name."""
    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    if index.is_file():
        files: dict[str, str] = read_json(index)["weight_map"]
        return {name: partial(_read, folder / file, name) for name, file in files.items()}
    return _file(single if single.is_file() else _only(folder))


def _only(folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise ValueError(f"{folder} has {len(found)} files of weights, and neither model.safetensors nor an index")
    return found[0]


def _file(file: Path) -> dict[str, Read]:
    with safe_open(file, "pt") as opened:
        names = list(opened.keys())
    return {name: partial(_read, file, name) for name in names}


def _read(file: Path, name: str) -> torch.Tensor:
    with safe_open(file, "pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
    return tensor


def _tuned(folder: Path, base: dict[str, Read]) -> tuple[dict[str, Read], dict[str, Read]]:
    """Readers of the tuned model's tensors, and those of updates that are known without a difference."""
    if not (folder / ADAPTER).is_file():
        return _model(folder), {}
    config = read_json(folder / ADAPTER)
    _refuse_other(folder, config)
    found = {name.removeprefix(PREFIX): read for name, read in _file(folder / "adapter_model.safetensors").items()}
    after, updates = dict(base), dict[str, Read]()
    for name, read in found.items():
        module, _, part = name.rpartition(".lora_A.weight")
        if module:
            target = f"{module}.weight"
            updates[target] = partial(_product, config, read, found[f"{module}.lora_B.weight"])
            after[target] = partial(_sum, base[target], updates[target])
        elif not name.endswith(".lora_B.weight"):
            after[name] = read  # peft's modules_to_save, whole
    return after, updates


def _refuse_other(folder: Path, config: dict[str, Any]) -> None:
    plain = PLAIN.get(config.get("peft_type", ""))
    other = ["peft_type"] if plain is None else [key for key, value in plain.items() if config.get(key, value) != value]
    if other:
        told = ", ".join(f"{key}={config.get(key)}" for key in other)
        raise ValueError(f"the adapter in {folder} has {told}, which is not merged here")


def _product(config: dict[str, Any], a: Read, b: Read) -> torch.Tensor:
    """alpha / r times B A (LoRA), over the root of r where the adapter is rank-stabilised."""
    rank = config["r"] ** 0.5 if config.get("use_rslora") else config["r"]
    found = (config["lora_alpha"] / rank) * (b().float() @ a().float())
    return found.T if config.get("fan_in_fan_out") else found


def _sum(base: Read, update: Read) -> torch.Tensor:
    return base().float() + update()
