"""Log-probabilities of a batch's responses with as little reading as its lengths allow, whichever model scores them."""

import numpy as np
import torch

from models import packing
from models.packing import Score
from models.trimming import Plain, Scored, trimmed

PROBE = (3, (1, 4, 2))  # tokens of a prompt, and of the responses to it
ALLOWED = 1e-3  # nats between the two ways; in half precision
ALLOWED_ROUNDED = 0.1


def scored(
    plain: Plain,
    score: Score | None,
    hidden_size: int,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    columns: int,
    rows_at_a_time: int,
) -> Scored:
    """What `plain` gives for rows [B, P + C], prompts padded on the left and responses, the last C columns, on the
    right: tensors [B, C], 0 where a response is padding. One forward pass for every `rows_at_a_time` rows: by `score`
    (models/packing.py) where it is there and that is cheaper."""
    parts = []
    for begin in range(0, len(input_ids), rows_at_a_time):
        ids, mask = input_ids[begin : begin + rows_at_a_time], attention_mask[begin : begin + rows_at_a_time]
        layout = packing.plan(ids, mask, columns, hidden_size) if score else None
        if score and layout:
            parts.append(packing.packed(score, ids, columns, layout))
        else:
            parts.append(trimmed(plain, ids, mask, columns, len(ids)))
    return tuple(None if of_parts[0] is None else torch.cat(of_parts) for of_parts in zip(*parts, strict=True))


@torch.no_grad()
def agree(plain: Plain, score: Score, vocab_size: int, device: torch.device, rounded: bool = False) -> bool:
    """Whether packed rows get the log-probabilities of plain ones: a model may take a mask and positions, and not heed
    them. `rounded`: whether products are in half precision, whatever the type of the log-probabilities."""
    prompt, responses = PROBE
    width = prompt + max(responses)
    ids = (torch.arange(1, 1 + len(responses) * width) % vocab_size).view(-1, width)
    ids[:, :prompt] = ids[0, :prompt]
    mask = (torch.arange(width) < prompt + torch.tensor(responses)[:, None]).long()
    ids, mask = ids.to(device), mask.to(device)
    layout = packing.layout([[(prompt, [0, 1, 2])]], np.array(responses), prompt, width)
    one, other = plain(ids, mask, max(responses))[0], packing.packed(score, ids, max(responses), layout)[0]
    assert one is not None and other is not None
    exact = one.dtype in (torch.float32, torch.float64) and not rounded
    return bool(((one - other) * mask[:, prompt:]).abs().max() < (ALLOWED if exact else ALLOWED_ROUNDED))
