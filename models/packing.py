"""Rows that answer the same prompt through a model together: the prompt is read once, and there is little padding.

A unit is a prompt and some responses to it, laid out as

    prompt without its last token | last token, response 1 | last token, response 2 | ...

each response without its last token, which predicts nothing. Every token attends to the prompt and to its own response,
and has the position it would have alone, so log-probabilities and gradients are those of single rows up to rounding.
Units stand side by side in rows of equal length.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from models.slots import parameters

MASKED = ("eager", "sdpa")  # attention that takes a mask of its own for every pair of tokens
SQUARE = 6.0  # times the hidden size: positions that cost as much to attend to as to read a token; 24 h^2 FLOPs to 4 h
WORTH = 0.9  # of the plain cost, what packing may cost

Unit = tuple[int, list[int]]  # tokens of the prompt, rows of the batch
Score = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor | None, ...]]


class Layout(NamedTuple):
    """Units in rows [R, L]; `tokens` and `labels` are flat indices into the batch [B, P + C], -1 for none."""

    tokens: np.ndarray
    labels: np.ndarray  # the token that each predicts
    positions: np.ndarray
    units: np.ndarray  # -1 for padding
    members: np.ndarray  # 0 for the prompt, n for the unit's n-th response


def takes(model: Any) -> bool:
    """Whether the attention of this model can be told who attends to whom, and positions are given, not counted."""
    config = model.config.get_text_config()
    layers = DynamicCache(config=config).layers
    attends = config._attn_implementation in MASKED and all(type(layer) is DynamicLayer for layer in layers)
    return attends and {"position_ids", "past_key_values"} <= parameters(model)


def plan(input_ids: torch.Tensor, attention_mask: torch.Tensor, columns: int, hidden_size: int) -> Layout | None:
    """The cheapest layout of rows [B, P + C], prompts padded on the left and the last `columns` on the right; None
    where that saves little over the rows as they are, without columns that are padding in all."""
    ids, mask = input_ids.cpu().numpy(), attention_mask.cpu().numpy()
    before = ids.shape[1] - columns
    prompts, responses = mask[:, :before].sum(1), mask[:, before:].sum(1)
    groups: dict[bytes, list[int]] = {}
    for row, tokens in enumerate(prompts):
        groups.setdefault(ids[row, before - tokens : before].tobytes(), []).append(row)
    if not prompts.all() or not responses.any():
        return None
    best, cost = None, WORTH * _cost(len(ids), int(prompts.max() + responses.max()), hidden_size)
    share = max(map(len, groups.values()))
    while share:
        units = [(int(prompts[rows[0]]), part) for rows in groups.values() for part in _parts(rows, share)]
        rows = _fit(units, responses)
        found = _cost(len(rows), max(_length(row, responses) for row in rows), hidden_size)
        if found < cost:
            best, cost = rows, found
        share //= 2
    return None if best is None else layout(best, responses, before, ids.shape[1])


def layout(rows: Sequence[Sequence[Unit]], responses: np.ndarray, before: int, width: int) -> Layout:
    """`responses` [B]: their tokens; `before`: columns of prompts; `width`: of prompts and responses."""
    length = max(_length(row, responses) for row in rows)
    made = Layout(*(np.full((len(rows), length), fill) for fill in (-1, -1, 0, -1, 0)))
    for r, row in enumerate(rows):
        end = 0
        for u, (prompt, members) in enumerate(row):
            for n, member in enumerate([members[0], *members]):
                begin, size = end, int(responses[member]) if n else prompt - 1
                end, first = begin + size, member * width + before - (1 if n else prompt)
                here = (r, slice(begin, end))
                made.tokens[here] = np.arange(first, first + size)
                made.labels[here] = np.arange(first + 1, first + 1 + size) if n else -1
                made.positions[here] = np.arange(size) + (prompt - 1 if n else 0)
                made.units[here], made.members[here] = u, n
    return made


def packed(score: Score, input_ids: torch.Tensor, columns: int, made: Layout) -> tuple[torch.Tensor | None, ...]:
    """What `score(input_ids, allowed, positions, labels)` gives for each response token, as [B, C]; elsewhere 0.

    `score` gets [R, L], `allowed` bool [R, 1, L, L]: whether a token attends to another; labels are -100 where nothing
    is predicted. It returns tensors [R, L], or None in their place.
    """
    tokens, labels, positions, units, members = (torch.from_numpy(one).to(input_ids.device) for one in made)
    flat = input_ids.reshape(-1)
    predicted = flat[labels.clamp(min=0)].masked_fill(labels < 0, -100)
    found = score(flat[tokens.clamp(min=0)], allowed(units, members), positions, predicted)
    places = labels[labels >= 0]
    return tuple(None if one is None else _back(one[labels >= 0], places, input_ids.shape, columns) for one in found)


def allowed(units: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """[R, 1, L, L]: a token attends to those before it of its prompt and its response, padding to itself."""
    same = units[:, :, None] == units[:, None, :]
    seen = (members[:, None, :] == 0) | (members[:, None, :] == members[:, :, None])
    return (same & seen).tril()[:, None]


def _parts(rows: Sequence[int], size: int) -> list[list[int]]:
    return [list(rows[i : i + size]) for i in range(0, len(rows), size)]


def _length(units: Sequence[Unit], responses: np.ndarray) -> int:
    return sum(prompt - 1 + int(responses[rows].sum()) for prompt, rows in units)


def _cost(rows: int, length: int, hidden_size: int) -> float:
    """Of a forward pass, in tokens."""
    return rows * length * (1 + length / (SQUARE * hidden_size))


def _fit(units: Sequence[Unit], responses: np.ndarray) -> list[list[Unit]]:
    """Rows no longer than the longest unit, each unit in the first that has room, long ones first."""
    lengths = [_length([unit], responses) for unit in units]
    rows: list[list[Unit]] = []
    room: list[int] = []
    for i in sorted(range(len(units)), key=lambda i: -lengths[i]):
        place = next((n for n, free in enumerate(room) if free >= lengths[i]), len(rows))
        if place == len(rows):
            rows.append([])
            room.append(max(lengths))
        rows[place].append(units[i])
        room[place] -= lengths[i]
    return rows


def _back(values: torch.Tensor, places: torch.Tensor, shape: torch.Size, columns: int) -> torch.Tensor:
    """Values of the tokens at flat `places` of the batch, in the columns of the responses."""
    whole = values.new_zeros(shape.numel()).index_put((places,), values)
    return whole.view(shape)[:, -columns:]
