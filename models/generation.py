"""The one generator: SFT targets, rollouts and evaluation sample through it, with one random stream a row."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

Progress = Callable[[int, int], None]


@torch.inference_mode()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    end_id: int,
    pad_id: int,
    max_new_tokens: int,
    temperature: float,
    seeds: Sequence[int] | None = None,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Responses in the order of `prompts`, each ending in `end_id` unless cut at `max_new_tokens`.

    Temperature 0 is greedy. Otherwise row i samples from its own stream `seeds[i]`, so what it draws does not depend on
    its neighbours in the batch. Equal prompts are read once; finished rows leave the batch.
    """
    if temperature > 0 and (seeds is None or len(seeds) != len(prompts)):
        raise ValueError(
            f"sampling needs one seed a row: {len(prompts)} prompts, {0 if seeds is None else len(seeds)} seeds"
        )
    training = model.training
    model.eval()
    rows = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), tuple(prompts[i])))
    responses: list[list[int]] = [[] for _ in prompts]
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        draws = uniforms([seeds[i] for i in batch], max_new_tokens) if temperature > 0 and seeds is not None else None
        found = _generate_batch(model, [prompts[i] for i in batch], draws, temperature, max_new_tokens, end_id, pad_id)
        for i, response in zip(batch, found, strict=True):
            responses[i] = response
        if progress:
            progress(start + len(batch), len(rows))
    model.train(training)
    return responses


def uniforms(seeds: Sequence[int], count: int) -> np.ndarray:
    """float32 [rows, count] in [0, 1): one counter-based stream a row."""
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(count, dtype=np.float32) for seed in seeds])


def _generate_batch(model, prompts, draws, temperature, limit, end_id, pad_id) -> list[list[int]]:
    """One batch: read each distinct prompt once, then a token a step for the rows that still write."""
    logits, cache, mask = _prefill(model, prompts, pad_id)
    alive = torch.arange(len(prompts), device=logits.device)
    position = mask.sum(1)
    tokens = torch.full((len(prompts), limit), pad_id, dtype=torch.long, device=logits.device)
    lengths = torch.full((len(prompts),), limit, device=logits.device)
    randoms = None if draws is None else torch.from_numpy(draws).to(logits.device)
    for step in range(limit):
        chosen = logits.argmax(-1) if randoms is None else pick(logits, temperature, randoms[alive, step])
        tokens[alive, step] = chosen
        going = chosen != end_id
        lengths[alive[~going]] = step + 1
        if not going.any() or step == limit - 1:
            break
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        if not going.all():
            kept = going.nonzero().squeeze(1)
            alive, chosen, mask, position = alive[kept], chosen[kept], mask[kept], position[kept]
            cache.batch_select_indices(kept)
        out = model(
            input_ids=chosen[:, None], attention_mask=mask, position_ids=position[:, None], past_key_values=cache
        )
        logits, position = out.logits[:, -1].float(), position + 1
    return [row[:length] for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]


def _prefill(model, prompts, pad_id):
    """(next-token logits [rows, vocabulary], cache, attention mask [rows, length]); prompts come sorted."""
    distinct = [p for i, p in enumerate(prompts) if i == 0 or p != prompts[i - 1]]
    which = np.cumsum([i > 0 and p != prompts[i - 1] for i, p in enumerate(prompts)])
    width = max(map(len, distinct))
    ids = torch.tensor([[pad_id] * (width - len(p)) + list(p) for p in distinct], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in distinct], device=model.device)
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1)
    rows = torch.from_numpy(which).to(model.device)
    cache.batch_select_indices(rows)
    return out.logits[:, -1].float()[rows], cache, mask[rows]


def pick(logits: torch.Tensor, temperature: float, uniform: torch.Tensor) -> torch.Tensor:
    """Invert the cumulative distribution: logits [rows, vocabulary], uniform [rows] -> tokens [rows]."""
    cumulative = torch.softmax(logits / temperature, -1).cumsum(-1)
    point = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, point, right=True).squeeze(1).clamp(max=logits.shape[-1] - 1)
