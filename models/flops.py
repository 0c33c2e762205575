"""Floating-point operations of a decoder, from its config.json: every matrix product, nothing else. No torch here.

One multiply-add is two operations. Attention is the full square of a forward pass, as dense kernels compute it and
torch.utils.flop_counter measures it; a decode step attends to what the cache holds. Real tokens only, no padding, and
logits only where they are used. The embedding's look-up costs nothing, so tied and untied heads cost the same.
docs/budgets.md has the formulas.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from models import sizes
from models.sizes import Shape, shape

Row = tuple[int, int]  # tokens of a prompt and of one response to it


def read(path: str, lora_rank: int = 0) -> Shape | None:
    """The sizes of the model at `path`, a folder or a hub id; None where unknown."""
    config = sizes.config(path)
    return shape(config, lora_rank) if config else None


def layers(given: Shape, tokens: int, attended: int) -> int:
    """All layers on `tokens` tokens that attend to `attended` positions in sum over the tokens."""
    scores = 4 * given.queries * attended  # and the weighted sum: 2 each
    return given.layers * (2 * tokens * (matrices(given) + adapter(given)) + scores)


def matrices(given: Shape) -> int:
    """Weights of one layer's matrices."""
    attention = given.hidden_size * (2 * given.queries + 2 * given.keys)  # q and o, k and v
    return attention + given.mlp_matrices * given.hidden_size * given.intermediate_size


def adapter(given: Shape) -> int:
    """Weights that an adapter adds to one layer: rank times the inputs and outputs of each matrix."""
    attention = 4 * given.hidden_size + 2 * given.queries + 2 * given.keys
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
