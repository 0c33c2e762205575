"""The states that a model's head makes logits of, so that logits can be made of a few positions at a time."""

from collections.abc import Callable
from typing import Any

import torch

from models.slots import parameters

SCALED = ("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier", "lm_head_multiplier")

Head = Callable[[torch.Tensor], torch.Tensor]  # states [..., hidden size] -> logits [..., vocabulary]


def states(model: Any, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """What the head makes logits of, [rows, columns, hidden size], in one whole pass over `ids` [rows, columns]; the
    logits themselves [rows, columns, vocabulary] where the model scales them on the way (`scales`)."""
    decoder, given = bare(model), {"input_ids": ids, "attention_mask": attention}
    takes = parameters(decoder)
    more: dict[str, Any] = {"use_cache": False} if "use_cache" in takes else {}
    if scales(decoder):
        logits: torch.Tensor = model(**given, **more).logits
        return logits
    seen: list[torch.Tensor] = []
    hook = decoder.base_model.register_forward_hook(lambda *call: seen.append(call[2][0]))
    more |= {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
    try:
        model(**given, **more)
    finally:
        hook.remove()
    return seen[0]


def head(model: Any) -> Head:
    """What makes logits of `states`, of a model that is whole in this process."""
    decoder = bare(model)
    if scales(decoder):
        return lambda logits: logits
    found: Head = decoder.get_output_embeddings()
    return found


def scales(decoder: Any) -> bool:
    """Whether logits are more than the head makes of states."""
    config = decoder.config.get_text_config()
    return any(getattr(config, name, None) not in (None, 1.0) for name in SCALED)


def bare(model: Any) -> Any:
    """The model itself, out of DeepSpeed's engine and of an adapter."""
    own = getattr(model, "module", model)
    return own.get_base_model() if hasattr(own, "get_base_model") else own
