"""Through what a response is learned (`s`): plain functions of log-probabilities [rows, tokens], to be maximised.

`logps`: log pi(y_t | x, y_<t) of the response's tokens, with gradient. `mask`: 1 where a token bears a loss. Clipped
ratios are TRL's own (GRPOTrainer._compute_loss), with `clipped` as what tests hold it against.
"""

import torch


def log(logps: torch.Tensor) -> torch.Tensor:
    """The log-probability (SFT)."""
    return logps


def dft(logps: torch.Tensor) -> torch.Tensor:
    """The log-probability times the token's own probability, held constant (Wu et al. 2025, arXiv:2508.05629)."""
    return logps.detach().exp() * logps


def iw_sft(logps: torch.Tensor, base: torch.Tensor, mask: torch.Tensor, highest: float) -> torch.Tensor:
    """The log-probability times the response's importance weight, held constant: the geometric mean over its tokens of
    pi / base, at most `highest` (Qin and Springenberg 2025, arXiv:2507.12856, as in its code)."""
    return importance(logps, base, mask, highest)[:, None] * logps


def importance(logps: torch.Tensor, base: torch.Tensor, mask: torch.Tensor, highest: float) -> torch.Tensor:
    """The weights [rows] of `iw_sft`."""
    mean = ((logps.detach() - base) * mask).sum(1) / mask.sum(1).clamp(min=1)
    return mean.exp().clamp(max=highest)


def ratio(logps: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """pi / pi_old a token."""
    return (logps - old).exp()


def clipped(
    logps: torch.Tensor, old: torch.Tensor, weights: torch.Tensor, epsilon: float, epsilon_high: float
) -> torch.Tensor:
    """The weighted surrogate of PPO: the lesser of the ratio and the clipped ratio, times `weights` [rows, 1 or tokens]
    (Schulman et al. 2017, arXiv:1707.06347, eq. 7)."""
    now = ratio(logps, old)
    return torch.min(now * weights, now.clamp(1 - epsilon, 1 + epsilon_high) * weights)


def value_loss(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, cliprange: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, whether it was clipped) a token of PPO's critic: half the greater of the squared errors of the value and
    of the value held within `cliprange` of the rollout's `old` (Engstrom et al. 2020, arXiv:2005.12729, section 3)."""
    held = old + (values - old).clamp(-cliprange, cliprange)
    free, clipped = (values - returns) ** 2, (held - returns) ** 2
    return 0.5 * torch.max(free, clipped), clipped > free


def luffy(logps: torch.Tensor, old: torch.Tensor, taught: torch.Tensor, gamma: float) -> torch.Tensor:
    """pi / pi_old of the policy's own rows; pi / (pi + gamma) of those that `taught` [rows] marks as the teacher's
    (Yan et al. 2025, arXiv:2504.14945, section 3.2)."""
    now = logps.exp()
    return torch.where(taught[:, None], now / (now + gamma), ratio(logps, old))


def aggregate(
    losses: torch.Tensor, mask: torch.Tensor, loss_type: str, parts: int, tokens: torch.Tensor, longest: int
) -> torch.Tensor:
    """One micro-batch's share of the step's loss, so that the `parts` micro-batches of the step add up to it.

    `losses` [rows, tokens]. loss_type as in TRL: `dapo` the mean over all `tokens` of the step, `grpo` over each row's
    and then over rows, `dr_grpo` the sum over a row's, divided by `longest`, its mean over rows.
    """
    kept = losses * mask
    if loss_type == "dapo":
        return kept.sum() / tokens.clamp(min=1)
    if loss_type == "dr_grpo":
        return kept.sum() / (len(kept) * longest) / parts
    return (kept.sum(1) / mask.sum(1).clamp(min=1)).mean() / parts
