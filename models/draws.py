"""Random tokens, each row's from its own stream."""

from collections.abc import Sequence

import numpy as np
import torch

NUMBERS = 1 << 25  # probabilities held at a time


def uniforms(seeds: Sequence[int], count: int) -> np.ndarray:
    """float32 [rows, count] in [0, 1): one counter-based stream a row."""
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(count, dtype=np.float32) for seed in seeds])


def pick(
    logits: torch.Tensor, temperature: float, uniform: torch.Tensor, top_p: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Invert the cumulative distribution: logits [rows, vocabulary], uniform [rows] -> tokens [rows], and the natural
    log-probability that each had. `top_p`: among the likeliest tokens that together have this probability, and no
    fewer (nucleus sampling, arXiv:1904.09751)."""
    rows = max(1, NUMBERS // logits.shape[-1])
    pieces = zip(logits.split(rows), uniform.split(rows), strict=True)
    tokens, logps = zip(*(_pick(*piece, temperature, top_p) for piece in pieces), strict=True)
    return torch.cat(tokens), torch.cat(logps)


def best(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest token of each row: logits [rows, vocabulary] -> tokens [rows], and the natural log-probability that
    the model gave each."""
    tokens = logits.argmax(-1)
    rows = max(1, NUMBERS // logits.shape[-1])
    whole = torch.cat([piece.float().logsumexp(-1) for piece in logits.split(rows)])
    return tokens, logits.gather(1, tokens[:, None]).squeeze(1).float() - whole


def _pick(
    logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = torch.softmax(logits / temperature, -1)
    if top_p < 1:
        probabilities = _nucleus(probabilities, top_p)
    # float64: in a large vocabulary, rounding would swallow small probabilities once the sum is near 1
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)
    point = uniform[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, point, right=True).clamp(max=logits.shape[-1] - 1)
    chances = probabilities.gather(1, tokens) / cumulative[:, -1:]
    return tokens.squeeze(1), chances.log().float().squeeze(1)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """`probabilities` [rows, vocabulary] with 0 for every token whose likelier ones already have `top_p` together."""
    found, places = probabilities.sort(dim=-1, descending=True, stable=True)
    before = found.cumsum(-1, dtype=torch.float64) - found
    return torch.zeros_like(probabilities).scatter(-1, places, found.masked_fill(before >= top_p, 0.0))
