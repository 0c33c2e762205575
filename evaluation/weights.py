"""What training did to the weights: how many it left as they were, how far it moved the rest, in how many directions.

docs/method.md has the definitions. The files of both models are read tensor by tensor.
"""

import re
from collections.abc import Iterator
from typing import Any

import torch

from conf.files import write_json
from evaluation.drift import Pair
from evaluation.spectra import ranks
from models.tensors import Change, changes

TOLERANCE = 1e-3  # as published
CHUNK = 1 << 24  # weights compared at a time
DETAILS = "modules.json"
# what of a tensor's name says where it belongs; the first that is found counts
KINDS = {
    "norm": r"norm|ln_|\.ln",
    "embedding": r"embed_tokens|embed_in|\.wte|\.wpe|word_embeddings",
    "head": r"lm_head|embed_out",
    "qkv": r"qkv|c_attn|query_key_value",
    "q": r"q_proj",
    "k": r"k_proj",
    "v": r"v_proj",
    "o": r"o_proj|out_proj|attn\.c_proj|attention\.dense",
    "mlp": r"mlp|feed_forward|fc1|fc2|experts",
    "other": r"",
}
COUNTED = ("bf16", "float32", "relative", "of_largest")


def measure(pair: Pair) -> dict[str, Any]:
    """`total`, `kinds` and `layers`, each a cell as `summed` makes it; every tensor's own goes into modules.json."""
    device = pair.configuration.hardware.device
    stored: list[set[str]] = [set(), set()]
    modules = []
    for change in changes(pair.base.weights, pair.tuned.weights, device):
        for kinds, tensor in zip(stored, (change.base, change.tuned), strict=True):
            kinds.add(str(tensor.dtype).removeprefix("torch."))
        modules.append(compared(change))
    write_json(pair.out / DETAILS, [{**one, **summed([one])} for one in modules])
    layers = sorted({one["layer"] for one in modules if one["layer"] is not None})
    by_kind = {kind: [one for one in modules if one["kind"] == kind] for kind in KINDS}
    return {
        "stored": {name: " and ".join(sorted(kinds)) for name, kinds in zip(("base", "tuned"), stored, strict=True)},
        "total": summed(modules),
        "kinds": {kind: summed(own) for kind, own in by_kind.items() if own},
        "layers": {str(layer): summed([one for one in modules if one["layer"] == layer]) for layer in layers},
    }


def compared(change: Change) -> dict[str, Any]:
    """Counts and sums of squares of one tensor, and the ranks of its update where it is a matrix.

    Counts of weights unchanged: `bf16` and `float32` to the bit after rounding to that type (float32 is None where the
    tuned weights are stored in less, and so cannot tell), `relative` |dw| <= 1e-3 max(|w|, |w'|) weight by weight,
    `of_largest` |dw| <= 1e-3 max |w| over the tensor.
    """
    found = dict.fromkeys((*COUNTED, "update_square", "base_square"), 0.0)
    largest = float(change.base.abs().max())
    for base, tuned, update in _chunks(change):
        size = update.abs()
        found["bf16"] += _equal_bits(base, tuned, torch.bfloat16, torch.int16)
        found["float32"] += _equal_bits(base, tuned, torch.float32, torch.int32)
        both = torch.maximum(base.to(size.dtype).abs(), tuned.to(size.dtype).abs())
        found["relative"] += int((size <= TOLERANCE * both).sum())
        found["of_largest"] += int((size <= TOLERANCE * largest).sum())
        found["update_square"] += float(update.double().square().sum())
        found["base_square"] += float(base.double().square().sum())
    rank = ranks(change.update, change.name) if change.update.dim() == 2 and min(change.update.shape) > 1 else None
    about: dict[str, Any] = {"name": change.name, "kind": kind_of(change.name), "layer": layer_of(change.name)}
    about |= {"shape": list(change.update.shape), "parameters": change.update.numel()}
    about |= {"tells_float32": change.tuned.dtype.itemsize >= 4, "counts": found}
    return about | {"effective_rank": rank and rank[0], "stable_rank": rank and rank[1]}


def _chunks(change: Change) -> Iterator[tuple[torch.Tensor, ...]]:
    flat = (tensor.reshape(-1).split(CHUNK) for tensor in (change.base, change.tuned, change.update))
    yield from zip(*flat, strict=True)


def _equal_bits(one: torch.Tensor, other: torch.Tensor, kind: torch.dtype, bits: torch.dtype) -> int:
    return int((one.to(kind).view(bits) == other.to(kind).view(bits)).sum())


def summed(modules: list[dict[str, Any]]) -> dict[str, Any]:
    """Tensors together: `parameters`, `unchanged` shares by criterion (0..1), `norm` of the update (Frobenius),
    `relative_norm` (over the base's), and the means over its matrices of `effective_rank`, `rank_share` (effective rank
    over the smaller side) and `stable_rank`; None where no matrix has changed."""
    count = sum(one["parameters"] for one in modules)
    unchanged: dict[str, float | None] = {key: _sum(modules, key) / count for key in COUNTED}
    if not all(one["tells_float32"] for one in modules):
        unchanged["float32"] = None
    norm, base = (_sum(modules, f"{which}_square") ** 0.5 for which in ("update", "base"))
    ranked = [one for one in modules if one["effective_rank"] is not None]
    return {
        "parameters": count,
        "unchanged": unchanged,
        "norm": norm,
        "relative_norm": norm / base if base else None,
        "effective_rank": _mean([one["effective_rank"] for one in ranked]),
        "rank_share": _mean([one["effective_rank"] / min(one["shape"]) for one in ranked]),
        "stable_rank": _mean([one["stable_rank"] for one in ranked]),
    }


def _sum(modules: list[dict[str, Any]], key: str) -> float:
    return float(sum(one["counts"][key] for one in modules))


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def kind_of(name: str) -> str:
    """What part of a decoder a tensor belongs to, of KINDS."""
    return next(kind for kind, pattern in KINDS.items() if re.search(pattern, name))


def layer_of(name: str) -> int | None:
    """The number of its layer; None for what is in none."""
    found = re.search(r"\.(?:layers|h|blocks)\.(\d+)\.", name)
    return int(found[1]) if found else None
