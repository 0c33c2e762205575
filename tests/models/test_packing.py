"""Rows that share their prompt, against single rows: values, gradients, who attends to whom, when it is worth it."""

import numpy as np
import pytest
import torch

from models import packing, scoring
from tests.models.test_generation import KINDS, VOCABULARY, made

PROMPTS = [(3, 5, 8, 2)] * 4 + [(7,)] * 3 + [(3, 5, 8, 4, 6, 9, 10)] + [(3, 5, 8, 2)]
RESPONSES = [5, 1, 0, 9, 2, 2, 3, 6, 4]  # tokens


def batch(prompts=PROMPTS, responses=RESPONSES, before=9, columns=11):
    """Ids and mask as TRL pads them."""
    rng = torch.Generator().manual_seed(0)
    ids, mask = (torch.zeros(len(prompts), before + columns).long() for _ in range(2))
    for row, (prompt, size) in enumerate(zip(prompts, responses, strict=True)):
        ids[row, before - len(prompt) : before] = torch.tensor(prompt)
        ids[row, before : before + size] = torch.randint(2, VOCABULARY, (size,), generator=rng)
        mask[row, before - len(prompt) : before + size] = 1
    return ids, mask, columns


def one_by_one(model, ids, mask, columns):
    """Log-probabilities and entropies [B, C] of each response in float64, from a pass over its tokens alone."""
    found = torch.zeros(2, len(ids), columns).double()
    for row in range(len(ids)):
        tokens, size = ids[row][mask[row] == 1], int(mask[row, -columns:].sum())
        logps = model(input_ids=tokens[None]).logits[0].double().log_softmax(-1)[-size - 1 : -1]
        found[0, row, :size] = logps.gather(1, tokens[len(tokens) - size :, None])[:, 0]
        found[1, row, :size] = -(logps.exp() * logps).sum(-1)
    return found


def scorer(model, seen=None):
    def score(ids, allowed, positions, labels):
        if seen is not None:
            seen.append(ids.shape)
        mask = torch.zeros(allowed.shape, dtype=model.dtype).masked_fill(~allowed, torch.finfo(model.dtype).min)
        logps = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits.double().log_softmax(-1)
        return logps.gather(2, labels.clamp(min=0)[..., None])[..., 0], -(logps.exp() * logps).sum(-1)

    return score


@pytest.mark.parametrize("kind", ["qwen3", "qwen3, eager", "gpt2, learned positions"])
@pytest.mark.parametrize("hidden_size", [2, 8, 10**6])
def test_values_and_gradients_are_those_of_single_rows(kind, hidden_size):
    """Whatever attention is said to cost, and so however many responses share a prompt."""
    model, (ids, mask, columns) = made(kind).double(), batch()
    weights = torch.randn(2, len(ids), columns, generator=torch.Generator().manual_seed(1)).double()
    expected = one_by_one(model, ids, mask, columns)
    (expected * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    layout = packing.plan(ids, mask, columns, hidden_size)
    found = torch.stack(packing.packed(scorer(model), ids, columns, layout))
    (found * weights).sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)  # norms run in float32
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-4)


def test_prompts_are_read_once_where_attention_is_cheap_and_nothing_is_packed_where_it_is_dear():
    ids, mask, columns = batch()
    shared, once = packing.plan(ids, mask, columns, 10**6), int((mask[:, -columns:]).sum()) + 3 + 0 + 6
    assert int((shared.tokens >= 0).sum()) == once and shared.tokens.size < int(mask.sum())
    long = batch([(3, 5)] * 4, [500, 510, 520, 505], 2, 520)
    assert packing.plan(*long, hidden_size=8) is None
    assert packing.plan(*batch(responses=[0] * 9), hidden_size=8) is None


def test_some_of_a_group_share_where_all_would_attend_to_too_much():
    ids, mask, columns = batch([(3,) * 40] * 8, [30] * 8, 40, 30)
    sizes = [packing.plan(ids, mask, columns, hidden_size) for hidden_size in (1, 14, 10**6)]
    assert [None if one is None else one.members.max() for one in sizes] == [None, 2, 8]


def test_a_token_attends_to_its_prompt_and_its_own_response_alone():
    ids, mask, columns = batch()
    layout = packing.plan(ids, mask, columns, 10**6)
    seen = packing.allowed(torch.from_numpy(layout.units), torch.from_numpy(layout.members))[:, 0]
    width, before = ids.shape[1], ids.shape[1] - columns
    for row, tokens in enumerate(layout.tokens):
        for q in np.flatnonzero(layout.labels[row] >= 0):  # a token of a response, or the prompt's last
            member, place = divmod(int(layout.labels[row, q]), width)
            keys = ids.reshape(-1)[tokens[seen[row, q].numpy()]].tolist()
            assert keys == ids[member, before - len(PROMPTS[member]) : place].tolist()
            assert layout.positions[row, q] == len(keys) - 1


def test_what_cannot_be_packed_is_known():
    fit = {kind: packing.takes(made(kind)) for kind in KINDS}
    assert [kind for kind, fits in fit.items() if fits] == ["qwen3", "qwen3, eager", "gpt2, learned positions"]


def test_a_model_that_does_not_heed_mask_or_positions_is_found_out():
    model = made("qwen3, eager")

    def plain(ids, mask, columns):
        return (one_by_one(model, ids, mask, columns)[0],)

    score = scorer(model)

    def deaf(ids, allowed, positions, labels):
        return score(ids, torch.ones_like(allowed).tril(), positions, labels)

    def uncounted(ids, allowed, positions, labels):
        return score(ids, allowed, torch.arange(ids.shape[1]).expand_as(ids), labels)

    told = [scoring.agree(plain, way, VOCABULARY, model.device) for way in (score, deaf, uncounted)]
    assert told == [True, False, False]
    rounded = [scoring.agree(plain, way, VOCABULARY, model.device, rounded=True) for way in (score, deaf, uncounted)]
    assert rounded == [True, False, False]


@pytest.mark.parametrize("size", [2, 4, 100])
def test_a_batch_in_parts_is_scored_as_one_row_is(size):
    """In as many passes as parts, packed or not; TRL asks for that where memory is short."""
    model, (ids, mask, columns) = made("qwen3, eager"), batch()
    seen = []

    def plain(ids, mask, columns):
        seen.append(ids.shape)
        return (*one_by_one(model, ids, mask, columns),)

    expected = one_by_one(model, ids, mask, columns)
    for way in (None, scorer(model, seen)):
        found = scoring.scored(plain, way, 10**6, ids, mask, columns, size)
        torch.testing.assert_close(torch.stack(found), expected, rtol=1e-4, atol=1e-4)
    assert len(seen) == 2 * -(-len(ids) // size)
