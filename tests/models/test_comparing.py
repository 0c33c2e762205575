"""Two models on the same tokens, against float64 over the whole vocabulary and ranks by sorting."""

import numpy as np
import pytest
import torch

from models import load, prompt_ids, response_ids
from models.comparing import Compared, compare, compare_logits

BASE = "models/embedded"
TEXTS = (("2+4+18", "2+4=6. so \\boxed{6}"), ("sort 4782", "2478"), ("say black twice", "black black"), ("7-2", ""))


@pytest.fixture(scope="module")
def pair():
    base, tokenizer = load(BASE)
    tuned = load(BASE)[0]
    torch.manual_seed(0)
    for one in tuned.parameters():
        one.data += 0.01 * torch.randn_like(one)
    texts = [(prompt_ids(tokenizer, asked), response_ids(tokenizer, told)) for asked, told in TEXTS]
    return base, tuned, [*texts, (texts[0][0], [])], tokenizer.pad_token_id


def slow(base, tuned, prompt, response):
    """The fields of Compared by loops over the vocabulary, in float64."""
    ids = torch.tensor([[*prompt, *response]])
    with torch.no_grad():
        before, now = (one.double()(input_ids=ids).logits[0].log_softmax(-1).numpy() for one in (base, tuned))
    rows = []
    for place, token in enumerate(response, len(prompt)):
        q, p = before[place - 1], now[place - 1]
        rows.append(
            [
                sum(np.exp(q[y]) * (q[y] - p[y]) for y in range(len(q))),
                sum(np.exp(p[y]) * (p[y] - q[y]) for y in range(len(p))),
                q[token],
                p[token],
                sorted(q, reverse=True).index(q[token]) + 1,
                sorted(p, reverse=True).index(p[token]) + 1,
            ]
        )
    return np.array(rows).reshape(-1, len(Compared._fields)).T


@pytest.mark.parametrize(("numbers", "tokens"), [(1 << 24, 8192), (300, 20)])
def test_it_is_the_sum_over_the_vocabulary_in_every_state(pair, numbers, tokens, monkeypatch):
    monkeypatch.setattr("models.comparing.NUMBERS", numbers)
    monkeypatch.setattr("models.comparing.TOKENS", tokens)
    base, tuned, texts, pad_id = pair
    found = compare(base, tuned, texts, pad_id)
    copies = [load(BASE)[0] for _ in range(2)]
    copies[1].load_state_dict(tuned.state_dict())
    for (prompt, response), one in zip(texts, found, strict=True):
        expected = slow(*copies, prompt, response)
        assert np.array(one).shape == expected.shape
        np.testing.assert_allclose(np.array(one), expected, atol=2e-5)
    assert max(one.forward.max() for one in found[:4]) > 1e-3


def test_a_model_is_at_no_distance_from_itself(pair):
    base, _, texts, pad_id = pair
    for one in compare(base, base, texts, pad_id):
        assert not one.forward.any() and not one.reverse.any() and (one.base_rank == one.tuned_rank).all()


def test_the_modes_of_both_models_stay(pair):
    base, tuned, texts, pad_id = pair
    tuned.train()
    compare(base, tuned, texts[:1], pad_id)
    assert tuned.training and not base.training
    tuned.eval()


def test_equal_logits_share_the_better_rank():
    logits = torch.tensor([[1.0, 3.0, 3.0, 2.0]]).repeat(4, 1)
    found = Compared(*compare_logits(logits, logits, torch.arange(4)).numpy())
    assert found.base_rank.tolist() == [4, 1, 1, 3]


def test_a_token_that_one_model_excludes():
    free, without = torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -torch.inf]])
    found = Compared(*compare_logits(free, without, torch.tensor([0])).numpy())
    assert found.forward[0] == np.inf and found.reverse[0] == pytest.approx(np.log(3 / 2))
    both = Compared(*compare_logits(without, without, torch.tensor([0])).numpy())
    assert both.forward[0] == both.reverse[0] == 0


def test_a_model_that_scales_its_logits_is_compared_by_the_scaled_ones():
    from transformers import CohereConfig, CohereForCausalLM

    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    models = [CohereForCausalLM(CohereConfig(vocab_size=11, logit_scale=0.5, **sizes)).eval() for _ in range(2)]
    found = compare(*models, [([1, 2], [3, 4, 5])], 0)[0]
    np.testing.assert_allclose(np.array(found), slow(*models, [1, 2], [3, 4, 5]), atol=1e-6)
