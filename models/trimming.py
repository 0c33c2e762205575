"""Rows of unequal length through a model without most of their padding, for log-probabilities and their gradient."""

from collections.abc import Callable

import torch
from torch.nn.functional import pad

Scored = tuple[torch.Tensor | None, ...]
Plain = Callable[[torch.Tensor, torch.Tensor, int], Scored]


def trimmed(
    score: Plain,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    completion_columns: int,
    rows_at_a_time: int,
) -> Scored:
    """What `score(input_ids, attention_mask, completion_columns)` gives, computed on rows of like length together.

    Rows [B, P + C] have their prompts padded on the left and their completions, the last C columns, on the right.
    `score` returns tensors [B, C], or None in their place. Where a row is padding, 0 is returned.
    """
    prompt_columns = input_ids.shape[1] - completion_columns
    prompts, completions = attention_mask[:, :prompt_columns].sum(1), attention_mask[:, prompt_columns:].sum(1)
    order = (prompts + completions).argsort(stable=True)
    parts = []
    for rows in order.split(rows_at_a_time):
        longest = max(1, int(completions[rows].max()))
        columns = slice(prompt_columns - int(prompts[rows].max()), prompt_columns + longest)
        found = score(input_ids[rows, columns], attention_mask[rows, columns], longest)
        parts.append([one if one is None else pad(one, (0, completion_columns - longest)) for one in found])
    back = order.argsort()
    return tuple(None if of_parts[0] is None else torch.cat(of_parts)[back] for of_parts in zip(*parts, strict=True))
