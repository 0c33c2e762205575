"""Mean hidden states of texts: each layer's are reduced on the device as they come, and no others are kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from models.generation import evaluating
from models.slots import padded, parameters
from models.states import bare

TOKENS = 8192  # of texts and padding in a forward pass

Ids = Sequence[int]
States = NDArray[np.float32]


def mean_states(
    model: Any, texts: Sequence[Ids], pad_id: int, tokens: int = TOKENS
) -> Iterator[tuple[list[int], States]]:
    """(places in `texts`, their means [texts, layers, width]), a batch at a time, long texts first.

    The mean is over a text's own tokens but the first, of the output of every layer, the last one after the final norm,
    as transformers' `hidden_states` from its second entry on. The first token attends to itself alone and is the same
    in every rendered prompt: it says nothing of the text, and its state is often hundreds of times larger than others'.
    """
    for places in _batches([len(text) for text in texts], tokens):
        ids, mask = padded([texts[place] for place in places], pad_id, model.device)
        counted = mask * ((mask.cumsum(1) > 1) | (mask.sum(1, keepdim=True) == 1))
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        means = _means(model, counted, input_ids=ids, attention_mask=mask, position_ids=positions)
        yield places, np.ascontiguousarray(means[:, 1:])


def mean_states_as_published(
    model: Any, texts: Sequence[Ids], pad_id: int, tokens: int = TOKENS
) -> Iterator[tuple[list[int], States]]:
    """The same as the code of Huan et al. 2025 (arXiv 2507.00432) has it: [texts, 1 + layers, width], the embedding's
    output first; all texts padded on the left to the longest, and the mean over padding too."""
    width = max(map(len, texts))
    for places in _batches([width] * len(texts), tokens):
        ids, mask = padded([[], *(texts[place] for place in places)], pad_id, model.device)
        more = width - ids.shape[1]
        ids, mask = (pad(one[1:], (more, 0), value=fill) for one, fill in ((ids, pad_id), (mask, 0)))
        yield places, _means(model, torch.ones_like(mask), input_ids=ids, attention_mask=mask)


def _batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Places of texts that are read together, long ones first."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _means(model: Any, counted: torch.Tensor, **given: torch.Tensor) -> States:
    """Means over the positions `counted` [B, T] of the embedding's output and every layer's: [B, 1 + layers, width]."""
    body = bare(model).base_model
    weights = counted / counted.sum(1, keepdim=True)
    with evaluating(model), torch.inference_mode(), _read(body, model, weights) as found:
        takes = parameters(body)
        out = body(**{name: value for name, value in given.items() if name in takes}, use_cache=False)
        found.append(_mean(out.last_hidden_state, weights))
        means: States = torch.stack(found, 1).cpu().numpy()
    return means


@contextmanager
def _read(body: Any, model: Any, weights: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """A list to which every layer adds the mean of what it is given."""
    count = model.config.get_text_config().num_hidden_layers
    layers = next((m for m in body.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count), None)
    if layers is None:
        raise ValueError(f"{type(body).__name__} has no list of its {count} layers, so their states cannot be read")
    found: list[torch.Tensor] = []

    def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.append(_mean(args[0] if args else kwargs["hidden_states"], weights))

    hooks = [layer.register_forward_pre_hook(before, with_kwargs=True) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _mean(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """[B, T, width], weights [B, T] -> [B, width] in float32."""
    return torch.bmm(weights[:, None].float(), states.float())[:, 0]
