"""How far the policy has come from the base: KL(policy || base), measured, whatever the objective is.

In a state s that a response leads to, KL(pi || base) = E_{y ~ pi(.|s)} [ log pi(y|s) - log base(y|s) ]: `exact` is the
sum over the vocabulary. `k3` is base/pi - 1 - log(base/pi) of the response's own next token (Schulman 2020,
"Approximating KL Divergence"): its mean is the same where that token is the policy's, and another number where it is a
teacher's.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import Linear
from torch.nn.functional import linear, pad

from models.draws import NUMBERS
from models.generation import evaluating
from models.states import Head, bare, head, scales, states
from train import sharded

EXACT, K3 = "kl_base/exact", "kl_base/k3"


@torch.no_grad()
def divergence(
    policy: Any, base: Any, ids: torch.Tensor, attention: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(exact, k3) [rows, columns] in nats, float32: in each state in which a token of `ids` under `mask` was chosen;
    anything where `mask` is 0. All three are [rows, columns], padded on either side. Never are more than NUMBERS
    probabilities of a model there at a time, or those of one state."""
    first = int(mask.any(0).int().argmax()) if mask.any() else ids.shape[1] - 1
    first = max(1, first)  # nothing comes before the first column
    kept = ids.shape[1] - first
    vocabulary = policy.config.get_text_config().vocab_size
    rows = 1 if sharded.spread(policy) else max(1, NUMBERS // (kept * vocabulary))  # equally many passes everywhere
    with evaluating(policy):
        found = [
            _divergence(policy, base, *piece, kept, max(1, NUMBERS // vocabulary))
            for piece in zip(ids.split(rows), attention.split(rows), strict=True)
        ]
    exact, k3 = (pad(torch.cat(parts), (first, 0)) for parts in zip(*found, strict=True))
    return exact, k3


def _divergence(
    policy: Any, base: Any, ids: torch.Tensor, attention: torch.Tensor, kept: int, at_a_time: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the last `kept` tokens [rows, kept], in pieces of so many states at a time."""
    hidden = [states(one, ids, attention)[:, -kept - 1 : -1].flatten(0, 1) for one in (policy, base)]
    chosen = ids[:, -kept:].reshape(-1)
    with ExitStack() as stack:
        heads = [stack.enter_context(_head(one)) for one in (policy, base)]
        found = []
        for begin in range(0, len(chosen), at_a_time):
            here = slice(begin, begin + at_a_time)
            now, before = (one(own[here]).float().log_softmax(-1) for one, own in zip(heads, hidden, strict=True))
            drift = (before - now).gather(-1, chosen[here, None])[:, 0]
            found.append(((now.exp() * (now - before)).sum(-1), drift.exp() - drift - 1))
    exact, k3 = (torch.cat(parts).view(len(ids), kept) for parts in zip(*found, strict=True))
    return exact, k3


@contextmanager
def _head(model: Any) -> Iterator[Head]:
    """What makes logits of `states`, the same in every process."""
    decoder = bare(model)
    own = decoder.get_output_embeddings()
    if type(own) is Linear and sharded.spread(own) and not scales(decoder):
        with sharded.gathered(own):  # a call of the module would take it apart again
            yield lambda hidden: linear(hidden, own.weight, own.bias)
    else:
        yield head(model)
