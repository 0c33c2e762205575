"""Log-probabilities of continuations, their prompt read once, against a pass over each alone in float64."""

import pytest
import torch

from models import likelihood
from models.likelihood import continuation_logps
from tests.models.test_generation import KINDS, PAD, made

PROMPTS = [[3, 5, 8, 2, 6, 9], [7], [3, 5, 8, 4, 6, 9, 10, 11, 4, 5, 3, 8]]
CONTINUATIONS = [[[4, 5], [6], [7, 8, 9, 4]], [[5], []], [[4, 4, 4], [9, 5]]]


def slow(model, prompt, continuation):
    """In float64, without padding, cache or neighbours."""
    if not continuation:
        return []
    with torch.no_grad():
        logits = model(torch.tensor([prompt + continuation]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    return logits.double().log_softmax(-1)[range(len(continuation)), continuation].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_is_as_likely_as_alone(kind):
    model = made(kind)
    found = continuation_logps(model, PAD, PROMPTS, CONTINUATIONS)
    model = model.double()
    for prompt, of_prompt, own in zip(PROMPTS, CONTINUATIONS, found, strict=True):
        for continuation, logps in zip(of_prompt, own, strict=True):
            assert logps == pytest.approx(slow(model, prompt, continuation), abs=1e-4)


@pytest.mark.parametrize(("tokens", "numbers"), [(10, 1 << 27), (16384, 100)])
def test_batches_change_nothing(monkeypatch, tokens, numbers):
    model = made()
    whole = continuation_logps(model, PAD, PROMPTS, CONTINUATIONS)
    monkeypatch.setattr(likelihood, "TOKENS", tokens)
    monkeypatch.setattr(likelihood, "NUMBERS", numbers)
    found = continuation_logps(model, PAD, PROMPTS, CONTINUATIONS)
    for one, other in zip(whole, found, strict=True):
        assert [len(own) for own in one] == [len(own) for own in other]
        assert sum(one, []) == pytest.approx(sum(other, []), abs=1e-5)


def test_a_prompt_is_read_once_for_all_its_choices():
    model, seen = made(), []
    prompt, choices = [[3, 5, 8, 2, 6, 9] * 10], [[[4], [5], [6], [7]]]
    model.register_forward_pre_hook(lambda _m, _a, given: seen.append(given["input_ids"].numel()), with_kwargs=True)
    continuation_logps(model, PAD, prompt, choices)
    assert seen[-1] <= 60 + 2 * 4  # and not four times 61
