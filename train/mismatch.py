"""Whether responses come from the model that is trained: its log-probabilities of their tokens against the sampler's.

Two ways to compute one model never round alike, so the two differ a little (in bfloat16 by some hundredths of a nat). A
sampler with other weights, or another temperature, template or mask, differs by more.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from conf.errors import UserError
from models.generation import evaluating
from train import sharded

PROBE = "What is 12 + 30 * 4? Think step by step, then write the answer: 0123456789."
NOTHING = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, -torch.inf], dtype=torch.float64)  # the `gap` of no tokens
ROUNDING = 256  # machine epsilons by which two passes through equal weights may differ a token, in nats


class Probe(NamedTuple):
    """Log-probabilities [tokens] of one text by both models."""

    trained: torch.Tensor
    sampling: torch.Tensor


def gap(trained: torch.Tensor, sampled: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[6]: tokens, sum of |d|, sum of exp(d), maxima of |d|, exp(d) and -exp(d), where d is `trained - sampled` [rows,
    tokens], `mask` is 1, and the sampler's log-probability is known (not NaN)."""
    known = mask.bool() & ~sampled.isnan()
    d = torch.where(known, trained.detach() - sampled, 0.0).double()
    size, ratio = d.abs(), torch.where(known, d.exp(), 0.0)
    highest = torch.where(known, -ratio, -torch.inf).max()
    return torch.stack([known.sum().double(), size.sum(), ratio.sum(), size.max(), ratio.max(), highest])


def together(gaps: Iterable[torch.Tensor]) -> torch.Tensor:
    """One `gap` [6] of several."""
    rows = torch.stack(list(gaps))
    return torch.cat([rows[:, :3].sum(0), rows[:, 3:].amax(0)])


def summary(gap: torch.Tensor) -> dict[str, float]:
    """By TRL's names; empty where no token was sampled."""
    tokens, size, ratio, largest, high, low = gap.tolist()
    if not tokens:
        return {}
    return {
        "sampling/sampling_logp_difference/mean": size / tokens,
        "sampling/sampling_logp_difference/max": largest,
        "sampling/importance_sampling_ratio/min": -low,
        "sampling/importance_sampling_ratio/mean": ratio / tokens,
        "sampling/importance_sampling_ratio/max": high,
    }


def forget_theirs(metrics: dict[str, list[float]]) -> None:
    """Drop what TRL has just logged of the sampler under the same names: its ratios are the truncated ones."""
    for name in [name for name in metrics if name.startswith("sampling/")]:
        metrics[name].pop()


def check_step(found: dict[str, float], limit: float) -> None:
    """UserError where the mean difference of a step is above `limit` nats a token; 0 is no limit."""
    mean = found.get("sampling/sampling_logp_difference/mean", 0.0)
    if limit and mean > limit:
        given = f"the sampler's and the trainer's log-probabilities of the same tokens differ by {mean:.3g} on average"
        why = f"train.mismatch_limit={limit:g}: the responses are another model's, and the ratio to it is taken for 1"
        change = "make both compute alike (model.dtype, model.attn_implementation), or raise train.mismatch_limit"
        raise UserError(given, why, change)


def give_weights(policy: Any, sampler: Any, text: list[int], before: Probe | None, limit: float) -> Probe:
    """Load the policy's weights into a model of the same kind; what both make of `text` then, for the next time.

    UserError where the sampler has other weights afterwards: see `check_sync`.
    """
    with sharded.gathered(policy), sharded.gathered(sampler, changed=True) as copy:
        copy.load_state_dict(policy.state_dict())
    now = Probe(*(log_probabilities(model, text) for model in (policy, sampler)))
    check_sync(now, before, torch.finfo(sampler.dtype).eps, limit)
    return now


@torch.no_grad()
def log_probabilities(model: Any, ids: list[int]) -> torch.Tensor:
    """Of every token of one text but the first [tokens - 1]."""
    text = torch.tensor([ids], device=model.device)
    with evaluating(model):
        logits = model(input_ids=text, attention_mask=torch.ones_like(text)).logits[0, :-1].float()
    return logits.log_softmax(-1).gather(1, text[0, 1:, None])[:, 0].cpu()


def check_sync(now: Probe, before: Probe | None, epsilon: float, limit: float) -> None:
    """UserError where the sampler does not have the trainer's weights after it was given them.

    `before`: the probe of the last time. `epsilon`: of the type that the sampler computes in. `limit` as for
    `check_step`; 0 leaves the test that the sampler's weights changed when the trainer's did.
    """
    mean = (now.trained - now.sampling).abs().mean().item()
    fault = ""
    if before and torch.equal(now.sampling, before.sampling) and not torch.equal(now.trained, before.trained):
        fault = "the sampler's log-probabilities of a probe are the old ones, and the trainer's are not"
    elif limit and mean > min(limit, ROUNDING * epsilon):
        fault = f"after the sampler was given the trainer's weights, log-probabilities of a probe differ by {mean:.3g}"
    if fault:
        why = "responses would come from other weights than is said, and the ratio to them would be false"
        change = "report how model.path is loaded and trained; recipe.q=policy without rollouts.use_vllm needs no copy"
        raise UserError(fault, why, change)
