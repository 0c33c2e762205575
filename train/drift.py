"""How far the policy has come from the base: KL(policy || base), measured, whatever the objective is.

In a state s that a response leads to, KL(pi || base) = E_{y ~ pi(.|s)} [ log pi(y|s) - log base(y|s) ]: `exact` is the
sum over the vocabulary. `k3` is base/pi - 1 - log(base/pi) of the response's own next token (Schulman 2020,
"Approximating KL Divergence"): its mean is the same where that token is the policy's, and another number where it is a
teacher's.
"""

from typing import Any

import torch
from torch.nn.functional import pad

from models.draws import NUMBERS
from models.generation import evaluating
from models.slots import parameters
from train import sharded

EXACT, K3 = "kl_base/exact", "kl_base/k3"


@torch.no_grad()
def divergence(
    policy: Any, base: Any, ids: torch.Tensor, attention: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(exact, k3) [rows, columns] in nats, float32: in each state in which a token of `ids` under `mask` was chosen;
    anything where `mask` is 0. All three are [rows, columns], padded on either side."""
    first = int(mask.any(0).int().argmax()) if mask.any() else ids.shape[1] - 1
    first = max(1, first)  # nothing comes before the first column
    kept = ids.shape[1] - first
    vocabulary = policy.config.get_text_config().vocab_size
    rows = 1 if sharded.spread(policy) else max(1, NUMBERS // (kept * vocabulary))  # equally many passes everywhere
    with evaluating(policy):
        found = [
            _divergence(policy, base, *piece, kept)
            for piece in zip(ids.split(rows), attention.split(rows), strict=True)
        ]
    exact, k3 = (pad(torch.cat(parts), (first, 0)) for parts in zip(*found, strict=True))
    return exact, k3


def _divergence(
    policy: Any, base: Any, ids: torch.Tensor, attention: torch.Tensor, kept: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the last `kept` tokens [rows, kept]."""
    now, before = (_last(one, ids, attention, kept) for one in (policy, base))
    chosen = (before - now).gather(-1, ids[:, -kept:, None])[..., 0]
    return (now.exp() * (now - before)).sum(-1), chosen.exp() - chosen - 1


def _last(model: Any, ids: torch.Tensor, attention: torch.Tensor, kept: int) -> torch.Tensor:
    """Log-probabilities [rows, kept, vocabulary] that the last `kept` tokens were chosen from."""
    some = {"logits_to_keep": kept + 1} if "logits_to_keep" in parameters(model) else {}
    logits = model(input_ids=ids, attention_mask=attention, **some).logits
    return logits[:, -kept - 1 : -1].float().log_softmax(-1)
