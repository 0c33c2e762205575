"""Every surrogate and its gradient against slow float64 loops over ragged rows, and how micro-batches add up."""

import math

import pytest
import torch

from train import surrogates

LENGTHS = [5, 1, 3, 4]
EPSILON, HIGH, MOST, GAMMA = 0.2, 0.28, 1.3, 0.1
NAMES = ("log", "dft", "iw_sft", "clipped", "luffy")


@pytest.fixture
def case():
    """Ragged rows; what stands in the padding is wild, and must not matter."""
    generator = torch.Generator().manual_seed(3)
    draw = lambda: -3 * torch.rand(len(LENGTHS), max(LENGTHS), generator=generator, dtype=torch.float64)  # noqa: E731
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).double()
    logps, old, base = (draw() - 4 * (1 - mask) for _ in range(3))
    return {
        "logps": logps.requires_grad_(),
        "old": logps.detach() + 0.3 * (old - old.mean()),
        "base": base,
        "mask": mask,
        "weights": torch.tensor([0.7, -1.2, 0.4, 1.5], dtype=torch.float64),
        "taught": torch.tensor([True, False, False, True]),
    }


def fast(name, case):
    """The weighted surrogate [rows, tokens]."""
    logps, weights = case["logps"], case["weights"][:, None]
    if name == "clipped":
        return surrogates.clipped(logps, case["old"], weights, EPSILON, HIGH)
    if name == "luffy":
        return weights * surrogates.luffy(logps, case["old"], case["taught"], GAMMA)
    if name == "iw_sft":
        return weights * surrogates.iw_sft(logps, case["base"], case["mask"], MOST)
    return weights * getattr(surrogates, name)(logps)


def slow(name, case, row, t):
    """(value, derivative) of one token, by hand."""
    log, old, weight = (case[key][row, t].item() for key in ("logps", "old", "mask"))
    weight, p = case["weights"][row].item(), math.exp(log)
    if name == "log":
        return weight * log, weight
    if name == "dft":
        return weight * p * log, weight * p
    if name == "iw_sft":
        drift = [case["logps"][row, i].item() - case["base"][row, i].item() for i in range(LENGTHS[row])]
        constant = min(math.exp(sum(drift) / len(drift)), MOST)
        return weight * constant * log, weight * constant
    ratio = math.exp(log - old)
    if name == "luffy":
        shaped = (p / (p + GAMMA), p * GAMMA / (p + GAMMA) ** 2) if case["taught"][row] else (ratio, ratio)
        return weight * shaped[0], weight * shaped[1]
    cut = min(max(ratio, 1 - EPSILON), 1 + HIGH)
    if ratio * weight <= cut * weight:
        return ratio * weight, ratio * weight
    return cut * weight, 0.0


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_those_of_a_plain_loop(name, loss_type, case):
    total, value, longest = sum(LENGTHS), 0.0, 7
    expected = torch.zeros_like(case["logps"])
    for row, length in enumerate(LENGTHS):
        share = {"dapo": total, "grpo": length * len(LENGTHS), "dr_grpo": longest * len(LENGTHS)}[loss_type]
        for t in range(length):
            one, slope = slow(name, case, row, t)
            value -= one / share
            expected[row, t] = -slope / share
    loss = surrogates.aggregate(-fast(name, case), case["mask"], loss_type, 1, torch.tensor(total), longest)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-12)
    torch.testing.assert_close(case["logps"].grad, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("size", [1, 2])
def test_micro_batches_add_up_to_the_whole(loss_type, size, case):
    losses, mask, tokens = -fast("log", case), case["mask"], torch.tensor(sum(LENGTHS))
    whole = surrogates.aggregate(losses, mask, loss_type, 1, tokens, 7)
    pieces = zip(losses.split(size), mask.split(size), strict=True)
    found = sum(surrogates.aggregate(one, kept, loss_type, 4 // size, tokens, 7) for one, kept in pieces)
    torch.testing.assert_close(found, whole)


def test_the_ratio_is_one_and_the_gradient_that_of_the_log_where_the_policy_has_not_moved(case):
    now = surrogates.ratio(case["logps"], case["logps"].detach())
    assert torch.equal(now, torch.ones_like(now))
    gradients = []
    for one in (now, surrogates.log(case["logps"])):
        gradients.append(torch.autograd.grad((one * case["weights"][:, None]).sum(), case["logps"])[0])
    assert torch.equal(*gradients)


def test_a_step_without_a_token_to_learn_from_has_no_gradient(case):
    for loss_type in ("dapo", "grpo", "dr_grpo"):
        mask = torch.zeros_like(case["mask"])
        surrogates.aggregate(-fast("log", case), mask, loss_type, 1, mask.sum(), 7).backward()
    assert not case["logps"].grad.any()


def test_iw_sft_weighs_one_while_the_model_is_the_base_and_at_most_its_limit(case):
    logps, mask = case["logps"].detach(), case["mask"]
    assert torch.equal(surrogates.importance(logps, logps, mask, MOST), torch.ones(4, dtype=torch.float64))
    assert surrogates.importance(logps, logps - 9, mask, MOST).tolist() == [MOST] * 4
