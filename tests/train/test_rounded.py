"""Products in bfloat16 over float32 weights, on a processor: what samples, what is packed, what is scored."""

import numpy as np
import pytest
import torch
from trl.kernels import chunked_logprob
from trl.trainer import utils

from models import load

ROUNDED = {"hardware__mixed_precision": "bf16"}


@pytest.fixture
def trainer(chosen, made):
    return lambda recipe, **changes: made(chosen(recipe, **changes))[0]


def test_the_policy_samples_from_its_weights_in_bfloat16(trainer):
    own = trainer("grpo", recipe__num_generations=4, recipe__learning_rate=1e-2, **ROUNDED)
    for _ in range(2):
        with own.sampler("policy") as sampler:
            weights = dict(own.policy.named_parameters())
            assert sampler is not own.policy and sampler.dtype == torch.bfloat16
            assert all(torch.equal(one, weights[name].bfloat16()) for name, one in sampler.named_parameters())
        with torch.no_grad():
            for one in own.policy.parameters():
                one.mul_(1.25)
    assert own.policy.dtype == torch.float32


@pytest.mark.parametrize("critic", ["copy", "shared"])
def test_a_critic_is_none_of_what_samples(critic, trainer):
    own = trainer("ppo", recipe__critic=critic, recipe__num_generations=4, **ROUNDED)
    own.train()
    with own.sampler("policy") as sampler:
        assert not any("critic" in name for name, _ in sampler.named_parameters())
        weights = own.policy.state_dict()
        assert all(torch.equal(one, weights[name].bfloat16()) for name, one in sampler.named_parameters())
    assert own.state.global_step == own.state.max_steps


def test_an_arm_that_samples_the_base_rounds_it_once(trainer):
    own = trainer("rft", recipe__num_generations=4, **ROUNDED)
    with torch.no_grad():
        for one in own.policy.parameters():
            one.mul_(1.25)
    base = load(own.configuration.model.path, dtype="bfloat16")[0]
    with own.sampler("base") as sampler:
        for one, other in zip(sampler.parameters(), base.parameters(), strict=True):
            assert torch.equal(one, other)
    assert list(own.copies) == ["light"]


def test_without_rounding_the_policy_itself_samples(trainer):
    own = trainer("grpo", recipe__num_generations=4)
    with own.sampler("policy") as sampler:
        assert sampler is own.policy


def test_rounded_products_are_packed(trainer):
    """The two ways differ by the rounding, which is no reason to read a prompt once a response."""
    own = trainer("grpo", recipe__num_generations=4, **ROUNDED)
    own.train()
    assert own.packs is True
    losses = [row["loss"] for row in own.state.log_history if "grad_norm" in row]
    assert len(losses) == own.configuration.train.steps and np.isfinite(losses).all()


def test_positions_without_a_label_are_left_out(trainer, monkeypatch):
    """And the losses and gradients are those of scoring every position."""
    own = trainer("sft")
    seen, apply = [], utils._ChunkedLogProbFunction.apply

    def spied(hidden, *rest):
        seen.append(len(hidden))
        return apply(hidden, *rest)

    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", spied)
    batch = next(iter(own.get_train_dataloader()))
    labelled = int((batch["labels"][:, 1:] != -100).sum())

    def passed():
        own.model.zero_grad()
        loss = own.compute_loss(own.model, dict(batch))
        loss.backward()
        return loss.detach(), [one.grad.clone() for one in own.model.parameters()]

    loss, gradients = passed()
    assert seen.pop() == labelled < batch["labels"].numel()
    monkeypatch.setattr(utils, "_use_triton", chunked_logprob._use_triton)
    expected, theirs = passed()
    assert seen.pop() == batch["labels"][:, 1:].numel()
    torch.testing.assert_close(loss, expected)
    for one, other in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
