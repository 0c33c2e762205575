"""The sizes of a model, from its config.json, and how many parameters they make. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from conf.files import read_json
from models.folder import is_hub_id

TABLE = Path(__file__).with_name("sizes.yaml")
# model_type -> matrices of its MLP: 3 where it is gated, 2 where it is not
MLP_MATRICES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3"), 3),
    **dict.fromkeys(("olmo", "olmo2", "olmo3", "granite", "smollm3", "glm", "glm4"), 3),
    **dict.fromkeys(("gpt_neox", "phi", "starcoder2", "nemotron"), 2),
}
HEAD_NORMS = ("qwen3", "gemma3_text")  # queries and keys are normalised a head
TIED = ("gemma", "gemma2", "gemma3_text")  # where config.json does not say so


@dataclass(frozen=True)
class Shape:
    """The sizes that decide a decoder's matrix products; names as in config.json."""

    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    mlp_matrices: int
    vocab_size: int
    lora_rank: int = 0  # of an adapter beside every matrix of the layers, which alone is trained

    @property
    def queries(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys of a token, and of its values."""
        return self.kv_heads * self.head_dim


@dataclass(frozen=True)
class Parameters:
    """How many parameters a decoder has, by part."""

    embedding: int
    layer: int  # of one
    layers: int  # of them
    norm: int  # the last
    head: int  # 0 where the embedding serves

    @property
    def total(self) -> int:
        return self.embedding + self.layers * self.layer + self.norm + self.head


def config(path: str) -> Mapping[str, Any] | None:
    """The config.json of the model at `path`, a folder or a hub id: from the folder, from this machine's cache of the
    hub, else what models/sizes.yaml has of it; None where unknown."""
    file = Path(path) / "config.json"
    if is_hub_id(path):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(path, "config.json")
        file = Path(cached) if isinstance(cached, str) else file
    found: Mapping[str, Any] | None = read_json(file) if file.is_file() else published().get(path)
    return found


def head_norms(config: Mapping[str, Any]) -> bool:
    """Whether queries and keys are normalised a head."""
    return config.get("model_type") in HEAD_NORMS


@cache
def published() -> Mapping[str, Mapping[str, Any]]:
    """Hub id -> what models/sizes.yaml has of it."""
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return found


def shape(config: Mapping[str, Any], lora_rank: int = 0) -> Shape | None:
    """The sizes in a config.json; None for an architecture that is not counted (mixtures of experts among them)."""
    kind = config.get("model_type")
    if kind not in MLP_MATRICES:
        return None
    heads = config["num_attention_heads"]
    return Shape(
        hidden_size=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        intermediate_size=config["intermediate_size"],
        mlp_matrices=MLP_MATRICES[kind],
        vocab_size=config["vocab_size"],
        lora_rank=lora_rank,
    )


def parameters(config: Mapping[str, Any]) -> Parameters | None:
    """The parameters that a config.json makes; None where `shape` is. Exact for qwen2, qwen3, llama and mistral; of
    other architectures some biases and norms are left out, under 0.1% of a model of a billion."""
    sizes = shape(config)
    if sizes is None:
        return None
    hidden, kind = sizes.hidden_size, config["model_type"]
    attention = hidden * (2 * sizes.queries + 2 * sizes.keys)
    biases = sizes.queries + 2 * sizes.keys
    if kind == "qwen2":
        attention += biases
    elif config.get("attention_bias"):
        attention += biases + hidden
    mlp = sizes.mlp_matrices * hidden * sizes.intermediate_size
    if config.get("mlp_bias"):
        mlp += (sizes.mlp_matrices - 1) * sizes.intermediate_size + hidden
    norms = 2 * hidden + (2 * sizes.head_dim if head_norms(config) else 0)
    matrix = sizes.vocab_size * hidden
    return Parameters(
        embedding=matrix,
        layer=attention + mlp + norms,
        layers=sizes.layers,
        norm=hidden,
        head=0 if config.get("tie_word_embeddings", kind in TIED) else matrix,
    )
