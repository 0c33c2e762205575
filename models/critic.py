"""The critic of PPO: a value for every token's state, from a copy of the base or from the policy's own trunk.

It hangs in the policy as a submodule, so that one wrapped model, one optimizer and one engine (DDP, DeepSpeed) hold
both; it is taken out where weights are written, and no checkpoint's `from_pretrained` ever sees it.
"""

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

NAME = "critic"
INPUTS = ("input_ids", "attention_mask", "position_ids")


class Critic(nn.Module):
    """V(s_t) of every position: a linear head, zero at the start, over hidden states.

    With a `body` (a causal language model's backbone) it reads the tokens itself; without, it reads the policy's last
    hidden states.
    """

    def __init__(self, body: nn.Module | None, device: torch.device, hidden_size: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(hidden_size, 1, dtype=torch.float32, device=device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, hidden: Any = None, **inputs: torch.Tensor) -> torch.Tensor:
        """[rows, tokens], float32. `inputs`: as the policy takes them; `hidden`: what its trunk made of them."""
        if self.body is not None:
            hidden = self.body(**inputs, use_cache=False).last_hidden_state
        values: torch.Tensor = self.head(hidden.to(self.head.weight.dtype)).squeeze(-1)
        return values.float()


def attach(model: Any, body: nn.Module | None) -> None:
    """Hang a critic into `model` (a causal language model, not wrapped): `model(..., values="head")` or `"all"` puts
    `state_values` [rows, tokens] into the output; "head" lets no gradient into the trunk that it shares."""
    width = model.config.get_text_config().hidden_size
    model.add_module(NAME, Critic(body, model.get_output_embeddings().weight.device, width))
    plain = model.forward

    @functools.wraps(plain)
    def forward(*args: Any, values: str = "", **kwargs: Any) -> Any:
        if not values:
            return plain(*args, **kwargs)
        seen: list[torch.Tensor] = []
        critic = getattr(model, NAME)
        hook = model.base_model.register_forward_hook(lambda _, __, out: seen.append(out.last_hidden_state))
        try:
            output = plain(*args, **kwargs)
        finally:
            hook.remove()
        hidden = seen[0].detach() if values == "head" else seen[0]
        output["state_values"] = critic(hidden, **{name: kwargs[name] for name in INPUTS if name in kwargs})
        return output

    model.forward = forward


def split(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the policy's, the critic's) tensors of a state dict; the critic's under its own names."""
    policy, critic = dict[str, Any](), dict[str, Any]()
    for name, tensor in state.items():
        _, found, after = f".{name}".partition(f".{NAME}.")
        (critic if found else policy)[after if found else name] = tensor
    return policy, critic


def of(model: Any) -> Any:
    """The critic that hangs in `model`, wrapped in an adapter or not; None where there is none."""
    return next((module for name, module in model.named_modules() if name.rpartition(".")[2] == NAME), None)


def is_critics(name: str) -> bool:
    """Whether a parameter of this name belongs to a critic."""
    return f".{NAME}." in f".{name}"
