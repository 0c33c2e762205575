"""Floating-point operations of a decoder, from its config.json: every matrix product, nothing else. No torch here.

One multiply-add is two operations. Attention is the full square of a forward pass, as dense kernels compute it and
torch.utils.flop_counter measures it; a decode step attends to what the cache holds. Real tokens only, no padding, and
logits only where they are used. The embedding's look-up costs nothing, so tied and untied heads cost the same.
docs/budgets.md has the formulas.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conf.files import read_json
from models.folder import is_hub_id

# model_type -> matrices of its MLP: 3 where it is gated, 2 where it is not
MLP_MATRICES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3"), 3),
    **dict.fromkeys(("olmo", "olmo2", "olmo3", "granite", "smollm3", "glm", "glm4"), 3),
    **dict.fromkeys(("gpt_neox", "phi", "starcoder2", "nemotron"), 2),
}

Row = tuple[int, int]  # tokens of a prompt and of one response to it


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


def shape(config: Mapping[str, Any], lora_rank: int = 0) -> Shape | None:
    """The sizes in a config.json; None for an architecture this file cannot count (mixtures of experts among them)."""
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


def read(path: str, lora_rank: int = 0) -> Shape | None:
    """The sizes of the model at `path`, a folder or a hub id that this machine has cached; None where unknown."""
    file = Path(path) / "config.json"
    if is_hub_id(path):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(path, "config.json")
        file = Path(cached) if isinstance(cached, str) else file
    return shape(read_json(file), lora_rank) if file.is_file() else None


def layers(given: Shape, tokens: int, attended: int) -> int:
    """All layers on `tokens` tokens that attend to `attended` positions in sum over the tokens."""
    scores = 4 * given.heads * given.head_dim * attended  # and the weighted sum: 2 each
    return given.layers * (2 * tokens * (matrices(given) + adapter(given)) + scores)


def matrices(given: Shape) -> int:
    """Weights of one layer's matrices."""
    queries, keys = given.heads * given.head_dim, given.kv_heads * given.head_dim
    attention = given.hidden_size * (2 * queries + 2 * keys)  # q and o, k and v
    return attention + given.mlp_matrices * given.hidden_size * given.intermediate_size


def adapter(given: Shape) -> int:
    """Weights that an adapter adds to one layer: rank times the inputs and outputs of each matrix."""
    queries, keys = given.heads * given.head_dim, given.kv_heads * given.head_dim
    attention = 4 * given.hidden_size + 2 * queries + 2 * keys
    return given.lora_rank * (attention + given.mlp_matrices * (given.hidden_size + given.intermediate_size))


def head(given: Shape, positions: int) -> int:
    """The logits of `positions` positions."""
    return 2 * positions * given.hidden_size * given.vocab_size


def forward(given: Shape, tokens: int, logits: int) -> int:
    """One sequence of `tokens` through the model, with logits at `logits` of its positions (prefill: 1)."""
    return layers(given, tokens, tokens * tokens) + head(given, logits)


def decode(given: Shape, cached: int, steps: int) -> int:
    """`steps` forward passes of one token each, the first with `cached` positions before it in the cache."""
    return layers(given, steps, steps * cached + steps * (steps + 1) // 2) + head(given, steps)


def generate(given: Shape, prompts: Sequence[Sequence[int]], responses: Iterable[Sequence[int]]) -> int:
    """Token ids of prompts and of one response to each: every distinct prompt is read once, and gives the first token
    of each of its responses; every further token of a response is a decode step. The last token is never read."""
    reading = sum(forward(given, len(prompt), 1) for prompt in set(map(tuple, prompts)))
    pairs = zip(prompts, responses, strict=True)
    return reading + sum(decode(given, len(prompt), max(0, len(response) - 1)) for prompt, response in pairs)


def score(given: Shape, rows: Iterable[Row]) -> int:
    """Log-probabilities of responses, forward only (old policy, reference)."""
    return sum(forward(given, prompt + response, response) for prompt, response in rows)


def train(given: Shape, rows: Iterable[Row], recomputed: bool = False) -> int:
    """Forward and backward of rows whose loss lies on the response: three times a forward pass; beside an adapter the
    model's own matrices take no gradient, and count twice.

    `recomputed`: with gradient checkpointing the layers run forward once more.
    """
    total = 0
    for prompt, response in rows:
        length = prompt + response
        total += (4 if recomputed else 3) * layers(given, length, length * length) + 3 * head(given, response)
        if given.lora_rank:
            total -= given.layers * 2 * length * matrices(given) + head(given, response)
    return total


def headless(given: Shape) -> Shape:
    """Of a critic on a copy of the model: its head is one column, and not counted."""
    return replace(given, vocab_size=0)


def of_parameters(parameters: float, tokens: int) -> float:
    """A forward pass of `tokens` through a model of which only the size is known, attention scores left out: 2 N D
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)."""
    return 2.0 * parameters * tokens
