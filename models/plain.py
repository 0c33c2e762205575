"""Generation for models whose forward pass takes no cache of keys and values (Mamba, RWKV): transformers' own loop."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from models.draws import best, pick
from models.slots import padded


class Drawn(LogitsProcessor):
    """Leaves one token to each row: the one its own stream draws, or the likeliest where there are no streams."""

    def __init__(self, draws: np.ndarray | None, temperature: float, top_p: float, columns: int) -> None:
        self.draws = None if draws is None else torch.from_numpy(draws)
        self.temperature, self.top_p, self.columns = temperature, top_p, columns
        self.logps: list[torch.Tensor] = []  # of each step [rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.draws is None:
            tokens, logps = best(scores)
        else:
            uniform = self.draws[:, input_ids.shape[1] - self.columns].to(scores.device)
            tokens, logps = pick(scores.float(), self.temperature, uniform, self.top_p)
        self.logps.append(logps)
        return torch.full_like(scores, -torch.inf).scatter(1, tokens[:, None], 0.0)


def write(
    model: Any,
    prompts: Sequence[Sequence[int]],
    draws: np.ndarray | None,
    temperature: float,
    top_p: float,
    end_id: int,
    pad_id: int,
    max_new_tokens: int,
) -> tuple[list[list[int]], list[torch.Tensor]]:
    """One response a prompt, all in one batch, and the log-probabilities [prompts] that the tokens of each step had,
    rows that had ended among them; `draws` [prompts, max_new_tokens] where temperature is not 0."""
    ids, mask = padded(prompts, pad_id, model.device)
    wanted = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end_id, pad_token_id=pad_id, use_cache=True
    )
    drawn = Drawn(draws, temperature, top_p, ids.shape[1])
    with _without_own_settings(model):
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=wanted,
            logits_processor=LogitsProcessorList([drawn]),
        )
    found = out[:, ids.shape[1] :].tolist()
    return [row[: row.index(end_id) + 1] if end_id in row else row for row in found], drawn.logps


@contextmanager
def _without_own_settings(model: Any) -> Iterator[None]:
    """transformers fills what is not asked for from the model's own settings, a repetition penalty say."""
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
