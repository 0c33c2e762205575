"""Logits of 151,936 columns are never there whole: in SFT, in the policy's log-probabilities, in the KL to the base."""

from itertools import accumulate

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import Qwen3Config, Qwen3ForCausalLM
from trl.trainer.utils import add_fused_lm_head

from train.drift import divergence

VOCABULARY, TOKENS = 151936, 2048
WHOLE = VOCABULARY * TOKENS * 4  # bytes of all logits once, in float32


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": TOKENS}
    config = Qwen3Config(vocab_size=VOCABULARY, tie_word_embeddings=False, attn_implementation="sdpa", **sizes, **heads)
    made = Qwen3ForCausalLM(config)
    add_fused_lm_head(made, outputs=("log_probs", "entropy"))
    return made


def peak(work):
    """Most bytes that were there at a time beside what was before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


@pytest.mark.slow
def test_neither_sft_nor_the_policy_holds_them_while_it_learns(model, monkeypatch):
    """Both trainers compute log-probabilities and entropies by this head; a plain pass holds several such tensors."""
    monkeypatch.setattr("trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE", 4096)  # columns, so that few tokens show it
    ids = torch.randint(VOCABULARY, (1, TOKENS))

    def work():
        out = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True)
        out.loss.backward()

    assert peak(work) < WHOLE / 2


@pytest.mark.slow
def test_the_kl_to_the_base_holds_less_than_one_models(model):
    ids = torch.randint(VOCABULARY, (1, TOKENS))
    mask = torch.ones_like(ids)
    assert peak(lambda: divergence(model, model, ids, mask, mask)) < WHOLE
