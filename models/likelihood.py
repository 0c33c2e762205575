"""How likely a model holds given continuations of a prompt; the prompt is read once for all of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from models import packing, scoring
from models.engine import Engine
from models.generation import evaluating
from models.slots import padded, parameters

TOKENS = 16384  # of prompts and continuations in a forward pass
NUMBERS = 1 << 27  # logits held at a time

Ids = Sequence[int]


def continuation_logps(
    model: Any, pad_id: int, prompts: Sequence[Ids], continuations: Sequence[Sequence[Ids]]
) -> list[list[list[float]]]:
    """The natural log-probability of every token of each continuation of each prompt, at temperature 1.

    No end token is added. A continuation without tokens has none. `model` may be an engine (models/engine.py).
    """
    if isinstance(model, Engine):
        both = zip(prompts, continuations, strict=True)
        return [[_by_engine(model, prompt, own) for own in of_prompt] for prompt, of_prompt in both]
    found: list[list[list[float]]] = [[[] for _ in of_prompt] for of_prompt in continuations]
    with evaluating(model), torch.inference_mode():
        ways = _ways(model)
        for rows in _batches(prompts, continuations, model.config.get_text_config().vocab_size):
            asked = [(prompts[i], continuations[i][j]) for i, j in rows]
            for (i, j), own in zip(rows, _scored(model, pad_id, asked, *ways), strict=True):
                found[i][j] = own
    return found


def _by_engine(engine: Engine, prompt: Ids, continuation: Ids) -> list[float]:
    return engine.score([*prompt, *continuation])[-len(continuation) :] if continuation else []


def _ways(model: Any) -> tuple[packing.Score | None, Any]:
    """How rows that share their prompt are read, None where this model cannot; and how single rows are."""

    def plain(ids: torch.Tensor, mask: torch.Tensor, columns: int) -> tuple[torch.Tensor]:
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = _logits(model, columns + 1, input_ids=ids, attention_mask=mask, position_ids=positions)
        return (_picked(logits[:, -columns - 1 : -1], ids[:, -columns:]),)

    def packed(
        ids: torch.Tensor, allowed: torch.Tensor, positions: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor]:
        kept = (labels >= 0).any(0).nonzero()[:, 0]  # only these columns predict a token
        mask = torch.zeros(allowed.shape, dtype=model.dtype, device=ids.device)
        mask.masked_fill_(~allowed, torch.finfo(model.dtype).min)
        logits = _logits(model, kept, input_ids=ids, attention_mask=mask, position_ids=positions)
        logits = logits if logits.shape[1] == len(kept) else logits[:, kept]
        found = logits.new_zeros(ids.shape, dtype=torch.float32)
        found[:, kept] = _picked(logits, labels[:, kept].clamp(min=0))
        return (found,)

    vocabulary = model.config.get_text_config().vocab_size
    shares = packing.takes(model) and scoring.agree(plain, packed, vocabulary, model.device)
    return packed if shares else None, plain


def _logits(model: Any, keep: Any, **given: Any) -> torch.Tensor:
    """Logits, of the columns to `keep` alone where the model can leave the others out."""
    takes = parameters(model)
    more = {"logits_to_keep": keep} if "logits_to_keep" in takes else {}
    out = model(**{name: value for name, value in given.items() if name in takes}, **more)
    logits: torch.Tensor = out.logits
    return logits


def _picked(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [B, C] of `tokens`, row by row: the whole in float32 would be large."""
    rows = zip(logits, tokens, strict=True)
    found = [one.float().log_softmax(-1).gather(1, own[:, None])[:, 0] for one, own in rows]
    return torch.stack(found)


def _batches(
    prompts: Sequence[Ids], continuations: Sequence[Sequence[Ids]], vocabulary: int
) -> Iterator[list[tuple[int, int]]]:
    """(prompt, continuation) pairs that are read together: long ones first, those of one prompt side by side."""
    batch: list[tuple[int, int]] = []
    tokens = numbers = 0
    for i in sorted(range(len(prompts)), key=lambda i: -len(prompts[i])):
        own = [(i, j) for j, ids in enumerate(continuations[i]) if ids]
        sizes = [len(continuations[i][j]) + 1 for _, j in own]
        more = sum(len(prompts[i]) + size for size in sizes)
        if batch and (tokens + more > TOKENS or numbers + sum(sizes) * vocabulary > NUMBERS):
            yield batch
            batch, tokens, numbers = [], 0, 0
        batch, tokens, numbers = batch + own, tokens + more, numbers + sum(sizes) * vocabulary
    if batch:
        yield batch


def _scored(
    model: Any, pad_id: int, asked: Sequence[tuple[Ids, Ids]], packed: packing.Score | None, plain: Any
) -> list[list[float]]:
    """Of each prompt's continuation, its tokens' log-probabilities."""
    columns = max(len(own) for _, own in asked)
    before, mask = padded([prompt for prompt, _ in asked], pad_id, model.device)
    after, behind = (part.flip(1) for part in padded([own[::-1] for _, own in asked], pad_id, model.device))
    ids, whole = torch.cat([before, after], 1), torch.cat([mask, behind], 1)
    size = model.config.get_text_config().hidden_size
    logps = scoring.scored(plain, packed, size, ids, whole, columns, len(asked))[0]
    assert logps is not None
    return [row[: len(own)] for row, (_, own) in zip(logps.tolist(), asked, strict=True)]
