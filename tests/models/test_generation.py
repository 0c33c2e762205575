"""The one generator against a loop that reads everything anew for every token, and its random streams."""

from itertools import accumulate

import numpy as np
import pytest
import torch
import transformers

from conf.errors import UserError
from models.draws import pick, uniforms
from models.generation import generate
from models.render import prompt_ids, response_ids, response_text
from models.seeds import stream
from models.tiny import make_model, make_tokenizer

VOCABULARY, PAD, END, LIMIT = 23, 0, 1, 20
SIZES = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    pad_token_id=PAD,
    eos_token_id=END,
    bos_token_id=None,
    initializer_range=0.5,  # peaked distributions: rounding turns no choice
)
HEADS = SIZES | {"head_dim": 8}
KINDS = {  # what they remember: all keys, those of a window, both, a recurrent state; where they learn positions
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**HEADS)),
    "qwen3, eager": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(**HEADS, attn_implementation="eager")
    ),
    "mistral, window": lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**HEADS, sliding_window=8)),
    "gemma3, some windows": lambda: transformers.Gemma3ForCausalLM(
        transformers.Gemma3TextConfig(
            **HEADS,
            sliding_window=8,
            query_pre_attn_scalar=8,
            layer_types=["sliding_attention", "full_attention"],
        )
    ),
    "lfm2, convolutions": lambda: transformers.Lfm2ForCausalLM(
        transformers.Lfm2Config(**SIZES, layer_types=["conv", "full_attention"])
    ),
    "gpt2, learned positions": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=128,
            bos_token_id=None,
            initializer_range=0.5,
        )
    ),
    "bloom, no positions": lambda: transformers.BloomForCausalLM(
        transformers.BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3)
    ),
    "mamba, no keys": lambda: transformers.MambaForCausalLM(
        transformers.MambaConfig(
            vocab_size=VOCABULARY, hidden_size=32, state_size=4, num_hidden_layers=2, initializer_range=0.5
        )
    ),
}


def made(kind="qwen3"):
    torch.manual_seed(0)
    return KINDS[kind]().eval()


@torch.no_grad()
def slow(model, prompt, limit=LIMIT, draws=None, temperature=1.0):
    """One response, every token from a forward pass over all before it; sampled where its draws are given."""
    ids = list(prompt)
    while len(ids) < len(prompt) + limit and END not in ids[len(prompt) :]:
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1].double()
        if draws is None:
            ids.append(int(logits.argmax()))
        else:
            cumulative = list(accumulate(torch.softmax(logits / temperature, -1).tolist()))
            point = draws[len(ids) - len(prompt)] * cumulative[-1]
            ids.append(next(token for token, total in enumerate(cumulative) if total > point))
    return ids[len(prompt) :]


def prompts(lengths, copies=1):
    """Prompts of these lengths, each so many times, in an order that is nobody's."""
    rng = np.random.default_rng(3)
    found = [rng.integers(2, VOCABULARY, length).tolist() for length in lengths]
    return [found[i % len(found)] for i in rng.permutation(len(found) * copies)]


def write(model, asked, **options):
    settings = {"end_id": END, "pad_id": PAD, "max_new_tokens": LIMIT, "temperature": 0.0} | options
    return generate(model, asked, **settings)


class Watch:
    """What goes through a model: the rows and columns of every forward pass, and what it remembers before."""

    def __init__(self, model):
        self.passes = []
        model.register_forward_pre_hook(self.see, with_kwargs=True)

    def see(self, _model, _args, given):
        self.passes.append((*given["input_ids"].shape, given["attention_mask"].shape[1]))

    @property
    def read(self):
        return [(rows, columns) for rows, columns, whole in self.passes if columns == whole]

    @property
    def steps(self):
        return [(rows, whole) for rows, columns, whole in self.passes if columns < whole]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_writes_what_it_writes_alone_and_without_a_cache(kind):
    model, asked = made(kind), prompts((3, 5, 12, 13, 24), copies=3)
    draws = uniforms(range(100, 115), LIMIT)
    greedy = {tuple(prompt): slow(model, prompt) for prompt in asked}
    sampled = [slow(model, prompt, draws=own, temperature=3.0) for prompt, own in zip(asked, draws, strict=True)]
    assert len({len(response) for response in sampled}) > 1
    for batch in ({}, {"batch_size": 4}, {"batch_size": 6, "batch_tokens": 100}):
        assert write(model, asked, **batch) == [greedy[tuple(prompt)] for prompt in asked]
        assert write(model, asked, temperature=3.0, seeds=range(100, 115), **batch) == sampled


@pytest.mark.parametrize("kind", KINDS)
def test_each_token_comes_with_the_log_probability_it_was_drawn_with(kind):
    """Against one pass over prompt and response, without a cache; greedy ones as the model has them."""
    model, asked = made(kind), prompts((3, 5, 12), copies=3)
    for temperature in (3.0, 0.0):
        logps = [[9.0]]
        found = write(model, asked, temperature=temperature, seeds=range(9), batch_size=4, logps=logps)
        assert temperature == 0 or len({len(response) for response in found}) > 1
        check_logps(model, asked, found, logps, temperature or 1.0)


def check_logps(model, asked, found, logps, temperature):
    for prompt, response, own in zip(asked, found, logps, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + response]), use_cache=False).logits[0, len(prompt) - 1 : -1].double()
        expected = (logits / temperature).log_softmax(-1)[range(len(response)), response]
        assert own == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_row_draws_the_same_whatever_its_neighbours():
    model, asked = made(), prompts(range(3, 11))
    seeds = [stream(0, "sampling", 1, i) for i in range(8)]
    together = write(model, asked, temperature=1.0, seeds=seeds)
    alone = [write(model, [p], temperature=1.0, seeds=[s])[0] for p, s in zip(asked, seeds, strict=True)]
    backwards = write(model, asked[::-1], temperature=1.0, seeds=seeds[::-1], batch_size=3)[::-1]
    assert together == alone == backwards


def test_members_of_a_group_differ_and_so_do_run_seeds():
    model = made()
    groups = [
        write(model, [[5, 6]] * 16, temperature=2.0, seeds=[stream(s, "sampling", 0, i) for i in range(16)])
        for s in (0, 1)
    ]
    assert len({tuple(row) for row in groups[0]}) > 8
    assert groups[0] != groups[1]


def test_a_prompt_is_read_once_for_all_its_samples():
    model, asked = made(), prompts((6, 6, 6, 6), copies=8)
    watch = Watch(model)
    write(model, asked, temperature=1.0, seeds=range(32), batch_size=64)
    assert watch.read == [(4, 6)]


def test_prompts_of_unlike_length_are_not_padded_to_the_longest():
    model, asked = made(), prompts([100] * 2 + [4] * 60)
    watch = Watch(model)
    write(model, asked, max_new_tokens=2)
    assert sum(rows * columns for rows, columns in watch.read) < 1.5 * sum(map(len, asked))


@pytest.mark.parametrize("kind", ["qwen3", "gemma3, some windows"])
def test_nothing_is_computed_for_rows_that_are_done(kind):
    model, asked = made(kind), prompts((3, 5, 9), copies=10)
    watch = Watch(model)
    found = write(model, asked, temperature=1.5, seeds=range(30))
    assert sum(rows for rows, _ in watch.steps) == sum(map(len, found)) - len(found)


def test_rows_that_wait_take_the_places_of_those_that_are_done():
    model, asked = made(), prompts((3, 5, 9), copies=40)
    watch = Watch(model)
    found = write(model, asked, temperature=1.5, seeds=range(120), batch_size=16)
    work, rows = sum(map(len, found)) - len(found), [rows for rows, _ in watch.steps]
    assert max(rows) == 16 and sum(rows) == work
    assert len(rows) < work / 16 * 1.5 + LIMIT  # the batch is nearly full until nothing waits


def test_a_batch_keeps_within_its_tokens_and_one_row_is_always_written():
    model, asked = made(), prompts((40, 20, 3, 3, 3), copies=6)
    expected = write(model, asked, temperature=1.0, seeds=range(30))
    watch = Watch(model)
    assert write(model, asked, temperature=1.0, seeds=range(30), batch_tokens=200) == expected
    assert 100 < max(rows * columns for rows, columns in watch.steps) <= 200
    assert max(rows for rows, _ in watch.steps) > 200 // (40 + LIMIT)  # more of the short ones
    assert write(model, asked, temperature=1.0, seeds=range(30), batch_tokens=1) == expected


def test_sampling_follows_the_distribution():
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0]]).repeat(40_000, 1)
    draws = torch.from_numpy(uniforms(range(40_000), 1)[:, 0])
    for temperature in (1.0, 0.5):
        expected = torch.softmax(logits[0].double() / temperature, -1).numpy()
        found = np.bincount(pick(logits, temperature, draws)[0].numpy(), minlength=4) / 40_000
        assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 40_000)


def test_top_p_samples_among_the_likeliest_tokens_alone():
    logits = torch.log(torch.tensor([[0.1, 0.45, 0.05, 0.25, 0.15]]))
    draws = torch.from_numpy(uniforms(range(20_000), 1)[:, 0])
    for top_p, kept in ((0.4, [1]), (0.45, [1]), (0.5, [1, 3]), (0.8, [1, 3, 4]), (0.99, [0, 1, 2, 3, 4])):
        left = np.where(np.isin(np.arange(5), kept), np.exp(logits[0].double().numpy()), 0.0)
        tokens, logps = pick(logits.expand(20_000, -1), 1.0, draws, top_p)
        found = np.bincount(tokens.numpy(), minlength=5) / 20_000
        assert np.abs(found - left / left.sum()).max() < 4 * np.sqrt(0.25 / 20_000)
        assert logps.numpy() == pytest.approx(np.log(left / left.sum())[tokens.numpy()], abs=1e-5)


@pytest.mark.parametrize("kind", ["qwen3", "mamba, no keys"])
def test_the_smallest_top_p_is_greedy(kind):
    model, prompts = made(kind), [[2, 3, 4], [5, 6], [7]]
    assert write(model, prompts, temperature=1.0, seeds=[1, 2, 3], top_p=1e-6) == write(model, prompts, temperature=0.0)


def test_a_large_vocabulary_loses_no_small_probability(monkeypatch):
    """A token of probability 2^-20 after 150,000 others, where float32 sums have lost count; in pieces of rows too."""
    logits = torch.full((3, 150_000), -20.0)
    logits[:, 0], logits[:, -1] = 0.0, -20 * np.log(2)
    total = torch.softmax(logits[0].double(), -1).numpy()
    draws = torch.tensor([0.0, 1 - 2**-21, float(total[:75_000].sum())])
    expected = [int(np.searchsorted(total.cumsum(0), float(u) * float(total.sum()), side="right")) for u in draws]
    monkeypatch.setattr("models.draws.NUMBERS", 200_000)
    tokens, logps = pick(logits, 1.0, draws)
    found = tokens.tolist()
    assert logps.numpy() == pytest.approx(np.log(total[found]), abs=1e-5)
    assert found[:2] == expected[:2] == [0, 149_999] and abs(found[2] - expected[2]) <= 50


def test_sampling_without_a_seed_a_row_is_refused():
    with pytest.raises(ValueError, match="one seed a row"):
        write(made(), [[2, 3]], temperature=1.0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_gives_no_numbers_is_refused(temperature):
    model = made()
    model.lm_head.weight.data[3, 0] = torch.nan
    with pytest.raises(UserError, match="learning_rate"):
        write(model, [[2, 3]], temperature=temperature, seeds=[0])


def test_nothing_asked_nothing_written():
    assert write(made(), []) == []


def test_progress_counts_every_row_that_ended():
    seen = []
    write(made(), prompts((3, 5), copies=6), batch_size=4, progress=lambda *given: seen.append(given))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (12, 12) and {total for _, total in seen} == {12}


def test_an_interruption_gives_what_has_ended():
    asked = prompts((3, 5), copies=6)
    expected, told = write(made(), asked, batch_size=4), {}

    def interrupt(done, total):
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(made(), asked, batch_size=4, progress=interrupt, ended=told.update)
    assert 5 <= len(told) < len(asked)
    assert all(expected[row] == response and len(logps) == len(response) for row, (response, logps) in told.items())


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    model = made("qwen3")
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    model.model.layers[0].eval()  # a frozen part
    model.generation_config.repetition_penalty = 1.3
    modes = [module.training for module in model.modules()]
    expected = model(torch.tensor([[5, 6, 7]])).logits
    if fails:
        with pytest.raises(IndexError):
            write(model, [[5, VOCABULARY]])
    else:
        assert write(model, [[5, 6, 7]]) == [slow(made("qwen3"), [5, 6, 7])]
    assert [module.training for module in model.modules()] == modes
    assert model.is_gradient_checkpointing and model.generation_config.repetition_penalty == 1.3
    found = model(torch.tensor([[5, 6, 7]])).logits
    torch.testing.assert_close(found, expected)
    found.sum().backward()


def test_a_penalty_of_the_models_own_settings_changes_nothing():
    model = made("mamba, no keys")
    asked = prompts((3, 5))
    expected = write(model, asked)
    model.generation_config.repetition_penalty = 5.0
    assert write(model, asked) == expected == [slow(model, prompt) for prompt in asked]
    assert model.generation_config.repetition_penalty == 5.0


def test_positions_that_grow_while_writing_do_not_hinder_training():
    """Dynamic rotary positions write a buffer within the forward pass; autograd must be able to use it afterwards."""
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**HEADS | {"max_position_embeddings": 16}, rope_parameters=rope)
    )
    write(model, prompts((24, 30)))
    model.train()
    model(torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert not any(buffer.is_inference() for buffer in model.buffers())


def test_bfloat16_writes_what_it_writes_alone():
    model, asked = made().to(torch.bfloat16), prompts((3, 5, 12), copies=2)
    found = write(model, asked)
    assert found == [write(model, [prompt])[0] for prompt in asked]
    first = [int(model(torch.tensor([prompt])).logits[0, -1].argmax()) for prompt in asked]
    assert [response[0] for response in found] == first


def test_an_adapter_writes_as_its_merged_model():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model = get_peft_model(made(), LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)).eval()
    asked = prompts((3, 5, 12), copies=2)
    found = write(model, asked)
    merged = model.merge_and_unload()
    assert found == [slow(merged, prompt) for prompt in asked] != write(made(), asked)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_device_writes_what_the_processor_writes():
    asked, seeds = prompts((3, 5, 12), copies=4), range(12)
    expected = write(made(), asked, temperature=1.0, seeds=seeds)
    assert write(made().cuda(), asked, temperature=1.0, seeds=seeds, batch_size=5) == expected


def test_rendering_round_trips_and_special_tokens_in_a_response_are_plain_characters():
    tokenizer = make_tokenizer()
    text = "12+7=19,\\boxed{19} <|end|>"
    ids = response_ids(tokenizer, text)
    assert ids.count(tokenizer.eos_token_id) == 1 and ids[-1] == tokenizer.eos_token_id
    assert response_text(tokenizer, ids) == text


def test_greedy_equals_transformers_row_by_row():
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, seed=3).eval()
    asked = [prompt_ids(tokenizer, text) for text in ("1+2", "12+13+4", "a longer question, with words", "1+2")]
    found = write(model, asked, end_id=tokenizer.eos_token_id, pad_id=tokenizer.pad_token_id, batch_size=3)
    for prompt, ours in zip(asked, found, strict=True):
        theirs = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=LIMIT)[0, len(prompt) :]
        assert ours == theirs.tolist()
