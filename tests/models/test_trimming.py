"""Log-probabilities of rows of like length together, against one pass over all their padding."""

import pytest
import torch
import transformers

from models.trimming import trimmed


def batch(prompts=(3, 9, 1, 5, 5, 2), completions=(4, 1, 7, 0, 7, 2)):
    """Ids and mask as TRL pads them, and how many columns the completions take."""
    rng = torch.Generator().manual_seed(0)
    ids, mask = torch.zeros(len(prompts), 12 + 9).long(), torch.zeros(len(prompts), 12 + 9).long()
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        used = slice(12 - prompt, 12 + completion)
        ids[row, used] = torch.randint(1, 23, (prompt + completion,), generator=rng)
        mask[row, used] = 1
    return ids, mask, 9


def scorer(model, seen):
    def score(ids, mask, keep):
        seen.append(ids.shape)
        logits = model(input_ids=ids, attention_mask=mask).logits[:, -keep - 1 : -1].double()
        logps = torch.log_softmax(logits, -1).gather(2, ids[:, -keep:, None]).squeeze(2) * mask[:, -keep:]
        return logps, None, logits.exp().sum(-1) * mask[:, -keep:]

    return score


@pytest.fixture
def model():
    torch.manual_seed(0)
    sizes = dict(vocab_size=23, hidden_size=16, intermediate_size=24, num_hidden_layers=2, head_dim=8)
    heads = dict(num_attention_heads=2, num_key_value_heads=1)
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**sizes, **heads)).double()


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 4, 6, 100])
def test_values_and_gradients_are_those_of_one_pass(model, rows_at_a_time):
    ids, mask, keep = batch()
    weights = torch.randn(6, 9, generator=torch.Generator().manual_seed(1)).double()
    plain, seen = [], []
    expected, none, other = scorer(model, plain)(ids, mask, keep)
    (expected * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    found, nothing, others = trimmed(scorer(model, seen), ids, mask, keep, rows_at_a_time)
    (found * weights).sum().backward()
    assert none is None and nothing is None
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(others, other, rtol=1e-5, atol=1e-6)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)  # norms run in float32
    assert len(seen) == -(-6 // rows_at_a_time)
    assert sum(rows * columns for rows, columns in seen) < 6 * 21


def test_a_batch_of_empty_completions_is_scored_as_nothing(model):
    ids, mask, keep = batch((3, 4), (0, 0))
    found, _, _ = trimmed(scorer(model, []), ids, mask, keep, 2)
    assert found.shape == (2, 9) and not found.any()
