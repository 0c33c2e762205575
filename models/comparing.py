"""What two models say of the same tokens, token by token, over the whole vocabulary; logits in pieces."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.generation import evaluating
from models.states import Head, head, states

NUMBERS = 1 << 24  # logits of a model held at a time: 64 MiB in float32, of which there are six at most
TOKENS = 8192  # read in a forward pass, padding included; a text alone may be longer

Ids = Sequence[int]
Array = NDArray[np.float64]


class Compared(NamedTuple):
    """Of each token of a response [tokens], in the state that it was chosen in; nats, temperature 1.

    A rank is 1 + the number of tokens with a higher logit: equals share the better one.
    """

    forward: Array  # KL(base || tuned), the sum over the vocabulary
    reverse: Array  # KL(tuned || base)
    base_logp: Array
    tuned_logp: Array
    base_rank: Array
    tuned_rank: Array


@torch.no_grad()
def compare(base: Any, tuned: Any, texts: Sequence[tuple[Ids, Ids]], pad_id: int) -> list[Compared]:
    """Of the response of each (prompt, response), token ids; a prompt has one token at least.

    Both models read a batch whole and the head's logits are made of NUMBERS at a time (those of one state at least), in
    the type of its weights, and go on in float32. A model that scales its logits on the way makes all those of a
    batch.
    """
    found: list[Compared | None] = [None] * len(texts)
    with evaluating(base), evaluating(tuned):
        for rows in _batches(texts):
            for row, own in zip(rows, _batch(base, tuned, [texts[row] for row in rows], pad_id), strict=True):
                found[row] = own
    return [one for one in found if one is not None]


def compare_logits(base: torch.Tensor, tuned: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The fields of `Compared` [6, tokens], float64, of logits [tokens, vocabulary] and the tokens [tokens] chosen."""
    ranks = [(one > one.gather(1, chosen[:, None])).sum(1) + 1 for one in (base, tuned)]
    before, now = base.float().log_softmax(-1), tuned.float().log_softmax(-1)
    del base, tuned
    logps = [one.gather(1, chosen[:, None])[:, 0] for one in (before, now)]
    gap = now - before
    forward = -_expected(gap, before.exp_())
    reverse = _expected(gap, now.exp_())
    return torch.stack([one.double() for one in (forward, reverse, *logps, *ranks)])


def _expected(gap: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """The mean of `gap` [tokens, vocabulary] under `probabilities`, which are used up; 0 * infinity is 0."""
    nothing = probabilities == 0
    return probabilities.mul_(gap).masked_fill_(nothing, 0.0).sum(-1, dtype=torch.float64)


def _batches(texts: Sequence[tuple[Ids, Ids]]) -> Iterator[list[int]]:
    """Rows that are read together, of like length."""
    lengths = [len(prompt) + len(response) for prompt, response in texts]
    rows: list[int] = []
    for row in sorted(range(len(texts)), key=lambda row: -lengths[row]):
        if rows and (len(rows) + 1) * lengths[rows[0]] > TOKENS:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _batch(base: Any, tuned: Any, texts: Sequence[tuple[Ids, Ids]], pad_id: int) -> list[Compared]:
    ids, mask, spans = _laid_out(texts, pad_id, base.device)
    chosen = torch.cat([ids[row, span] for row, span in spans])
    before, now = (_picked(one, ids, mask, spans) for one in (base, tuned))
    numbers = compare_states(before, now, head(base), head(tuned), chosen).cpu().numpy()
    ends = np.cumsum([len(response) for _, response in texts])[:-1]
    return [Compared(*part) for part in np.split(numbers, ends, axis=1)]


def _laid_out(
    texts: Sequence[tuple[Ids, Ids]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, slice]]]:
    """Token ids and mask [rows, columns], and where each response stands. Padded on the right: what comes later is not
    read, and positions count from the first token."""
    whole = [[*prompt, *response] for prompt, response in texts]
    width = max(map(len, whole))
    ids = torch.tensor([own + [pad_id] * (width - len(own)) for own in whole], device=device)
    mask = torch.tensor([[1] * len(own) + [0] * (width - len(own)) for own in whole], device=device)
    return ids, mask, [(row, slice(len(prompt), len(prompt) + len(own))) for row, (prompt, own) in enumerate(texts)]


def _picked(model: Any, ids: torch.Tensor, mask: torch.Tensor, spans: Sequence[tuple[int, slice]]) -> torch.Tensor:
    """The states [tokens, hidden size] that the tokens of `spans` were chosen in."""
    found = states(model, ids, mask)
    return torch.cat([found[row, span.start - 1 : span.stop - 1] for row, span in spans])


def compare_states(
    base: torch.Tensor, tuned: torch.Tensor, base_head: Head, tuned_head: Head, chosen: torch.Tensor
) -> torch.Tensor:
    """`compare_logits` of states [tokens, hidden size] and their heads, NUMBERS logits at a time."""
    if not len(chosen):
        return torch.zeros(len(Compared._fields), 0, dtype=torch.float64)
    at_a_time = max(1, NUMBERS // base_head(base[:1]).shape[-1])
    pieces = zip(base.split(at_a_time), tuned.split(at_a_time), chosen.split(at_a_time), strict=True)
    return torch.cat([compare_logits(base_head(b), tuned_head(t), c) for b, t, c in pieces], 1)


@torch.no_grad()
def entropies(model: Any, texts: Sequence[tuple[Ids, Ids]], pad_id: int, temperature: float) -> list[Array]:
    """The exact entropy, in nats, of what each token of the response of each (prompt, response) was chosen from at
    `temperature`: over the whole vocabulary, before any cut by top_p."""
    found: list[Array] = [np.zeros(0)] * len(texts)
    with evaluating(model):
        for rows in _batches(texts):
            own = [texts[row] for row in rows]
            read = _picked(model, *_laid_out(own, pad_id, model.device))
            numbers = _entropies(read, head(model), temperature).cpu().numpy()
            ends = np.cumsum([len(response) for _, response in own])[:-1]
            for row, part in zip(rows, np.split(numbers, ends), strict=True):
                found[row] = part
    return found


def _entropies(read: torch.Tensor, own_head: Head, temperature: float) -> torch.Tensor:
    """Of states [tokens, hidden size], NUMBERS logits at a time; float64 [tokens]."""
    if not len(read):
        return torch.zeros(0, dtype=torch.float64)
    at_a_time = max(1, NUMBERS // own_head(read[:1]).shape[-1])
    logps = ((own_head(piece).float() / temperature).log_softmax(-1) for piece in read.split(at_a_time))
    return torch.cat([-_expected(one, one.exp()) for one in logps])
