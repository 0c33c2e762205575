"""The one generator against transformers' own, and its random streams."""

import numpy as np
import pytest
import torch

from models.generation import generate, pick, uniforms
from models.render import prompt_ids, response_ids, response_text
from models.seeds import stream
from models.tiny import make_model, make_tokenizer


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    return make_model(tokenizer, seed=3).eval(), tokenizer


def run(tiny, prompts, **options):
    model, tokenizer = tiny
    settings = {"max_new_tokens": 24, "temperature": 0.0} | options
    return generate(model, prompts, end_id=tokenizer.eos_token_id, pad_id=tokenizer.pad_token_id, **settings)


def test_greedy_equals_transformers_row_by_row(tiny):
    model, tokenizer = tiny
    prompts = [prompt_ids(tokenizer, text) for text in ("1+2", "12+13+4", "a longer question, with words", "1+2")]
    for prompt, ours in zip(prompts, run(tiny, prompts, batch_size=3), strict=True):
        theirs = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=24)[0, len(prompt) :].tolist()
        assert ours == theirs


def test_a_row_draws_the_same_whatever_its_neighbours(tiny):
    prompts = [prompt_ids(tiny[1], f"{i}+{i}") for i in range(8)]
    seeds = [stream(0, "sampling", 1, i) for i in range(8)]
    together = run(tiny, prompts, temperature=1.0, seeds=seeds)
    alone = [run(tiny, [p], temperature=1.0, seeds=[s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert together == alone


def test_members_of_a_group_differ_and_so_do_run_seeds(tiny):
    prompt = prompt_ids(tiny[1], "1+2")
    groups = [
        run(tiny, [prompt] * 16, temperature=1.0, seeds=[stream(s, "sampling", 0, i) for i in range(16)])
        for s in (0, 1)
    ]
    assert len({tuple(row) for row in groups[0]}) == 16
    assert groups[0] != groups[1]


def test_sampling_follows_the_distribution():
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0]]).repeat(40_000, 1)
    draws = torch.from_numpy(uniforms(range(40_000), 1)[:, 0])
    for temperature in (1.0, 0.5):
        expected = torch.softmax(logits[0].double() / temperature, -1).numpy()
        found = np.bincount(pick(logits, temperature, draws).numpy(), minlength=4) / 40_000
        assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 40_000)


def test_sampling_without_a_seed_a_row_is_refused(tiny):
    with pytest.raises(ValueError, match="one seed a row"):
        run(tiny, [prompt_ids(tiny[1], "1+2")], temperature=1.0)


def test_the_generator_leaves_the_mode_of_the_model_alone(tiny):
    model, tokenizer = tiny
    model.train()
    run(tiny, [prompt_ids(tokenizer, "1+2")])
    assert model.training
    model.eval()


def test_rendering_round_trips_and_special_tokens_in_a_response_are_plain_characters():
    tokenizer = make_tokenizer()
    text = "12+7=19,\\boxed{19} <|end|>"
    ids = response_ids(tokenizer, text)
    assert ids.count(tokenizer.eos_token_id) == 1 and ids[-1] == tokenizer.eos_token_id
    assert response_text(tokenizer, ids) == text
