"""What a response weighs (`w`): plain functions of a step's rewards.

`rewards`: float [groups, num_generations], a group being the responses to one prompt; NaN where no verifier could
score the row. They return weights of the same shape, 0 for such rows.
"""

from typing import Literal

import torch

EPSILON = 1e-4  # beside a standard deviation, as in TRL

Scale = Literal["group", "batch", "none"]


def one(rewards: torch.Tensor) -> torch.Tensor:
    """1, whatever the reward (SFT)."""
    return torch.ones_like(rewards)


def right(rewards: torch.Tensor) -> torch.Tensor:
    """1 where the reward is positive, else 0 (rejection sampling)."""
    return (rewards > 0).to(rewards.dtype)


def group(rewards: torch.Tensor, scale: Scale) -> torch.Tensor:
    """The reward less its group's mean, over the standard deviation of the group or of the batch, as TRL's GRPO.

    Shao et al. 2024 (arXiv:2402.03300), section 4.1.2; without scale Liu et al. 2025 (arXiv:2503.20783).
    """
    centred = rewards - rewards.nanmean(1, keepdim=True)
    if scale == "group":
        centred = centred / (deviation(rewards, 1) + EPSILON)
    elif scale == "batch":
        centred = centred / (deviation(rewards.reshape(1, -1), 1) + EPSILON)
    return centred.nan_to_num(nan=0.0)


def leave_one_out(rewards: torch.Tensor) -> torch.Tensor:
    """The reward less the mean of the group's others (RLOO; Ahmadian et al. 2024, arXiv:2402.14740, eq. 8)."""
    others = (~rewards.isnan()).sum(1, keepdim=True) - 1
    baseline = (rewards.nansum(1, keepdim=True) - rewards) / others
    return torch.where(others > 0, rewards - baseline, 0.0).nan_to_num(nan=0.0)


def batch(rewards: torch.Tensor) -> torch.Tensor:
    """The reward less the batch's mean over the batch's standard deviation (REINFORCE++; arXiv:2501.03262, eq. 9)."""
    flat = rewards.reshape(1, -1)
    return ((rewards - flat.nanmean()) / (deviation(flat, 1) + EPSILON)).nan_to_num(nan=0.0)


def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(advantages, returns) [rows, tokens] of a critic's `values`, by generalized advantage estimation.

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = sum_l (gamma lam)^l delta_{t+l}, with V = 0 after a row's last token
    (Schulman et al. 2016, arXiv:1506.02438, eq. 11, 16); returns are A + V. All of one shape; `mask` is 1 on a row's
    tokens, which come first, and 0 behind them; both results are 0 there.
    """
    values = values * mask
    advantages = torch.zeros_like(values)
    ahead = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.size(1))):
        following = values[:, t + 1] if t + 1 < values.size(1) else torch.zeros_like(ahead)
        delta = rewards[:, t] + gamma * following - values[:, t]
        ahead = (delta + gamma * lam * ahead) * mask[:, t]
        advantages[:, t] = ahead
    return advantages, (advantages + values) * mask


def unanimous(scores: torch.Tensor) -> dict[str, float]:
    """Shares of the groups whose responses are all `right` (1) and all `wrong` (0), those without a score (NaN) aside;
    NaN where there is no score at all."""
    judged, right = (~scores.isnan()).sum(1), scores.nansum(1)
    found = {"right": (right == judged) & (judged > 0), "wrong": (right == 0) & (judged > 0)}
    return {name: own.float().mean().item() if judged.any() else torch.nan for name, own in found.items()}


def deviation(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Unbiased standard deviation along `dim`, kept; NaN left out, and the result where fewer than two are left."""
    count = (~values.isnan()).sum(dim, keepdim=True)
    squares = (values - values.nanmean(dim, keepdim=True)) ** 2
    return (squares.nansum(dim, keepdim=True) / torch.where(count > 1, count - 1, torch.nan)).sqrt()


def of(w: str, rewards: torch.Tensor, scale: Scale) -> torch.Tensor:
    """The weights that `recipe.w` names."""
    if w in ("group_advantage", "positive", "negative"):
        advantages = group(rewards, scale)
        return {"positive": advantages.clamp(min=0), "negative": advantages.clamp(max=0)}.get(w, advantages)
    return {"one": one, "right": right, "leave_one_out": leave_one_out, "batch_advantage": batch}[w](rewards)
