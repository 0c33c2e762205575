"""The ledger: every count against a plain recount, equal definitions in both arms, across a cut and over processes."""

from pathlib import Path

import pytest

from conf.errors import UserError
from conf.files import read_json, read_jsonl, write_json
from data import order as orders
from data.compile import read
from models import flops
from train import ledger, policy, worker
from train.ledger import Ledger

ROOT = Path(__file__).parent.parent.parent
TIMINGS = ("seconds", "seconds_generate", "seconds_reward", "device_seconds", "peak_memory_bytes")
SHAPE = flops.Shape(8, 2, 4, 2, 3, 16, 3, 50)


def counts(entry):
    return {key: value for key, value in entry.items() if key not in TIMINGS}


def entries(folder):
    return read_jsonl(folder / "ledger.jsonl")


def slow_forward(given, tokens, logits):
    """Operations of one sequence, product by product."""
    total, query, key = 0, given.heads * given.head_dim, given.kv_heads * given.head_dim
    for _ in range(given.layers):
        for _ in range(tokens):
            for rows, columns in [(given.hidden_size, query), (given.hidden_size, key), (given.hidden_size, key)]:
                total += 2 * rows * columns
            total += 2 * query * given.hidden_size
            total += given.mlp_matrices * 2 * given.hidden_size * given.intermediate_size
        for _ in range(given.heads):
            total += 2 * tokens * given.head_dim * tokens + 2 * tokens * tokens * given.head_dim
    return total + logits * 2 * given.hidden_size * given.vocab_size


def slow_generate(given, prompt, response):
    """One response, its prompt apart: each token but the last goes through the model, seeing all before it."""
    total = 0
    for place in range(1, response):
        whole, before = (slow_forward(given, n, 0) for n in (prompt + place, prompt + place - 1))
        triangle = 4 * given.layers * given.heads * given.head_dim * (prompt + place - 1)
        total += whole - before - triangle + 2 * given.hidden_size * given.vocab_size
    return total


@pytest.fixture
def sampled(monkeypatch):
    """Prompts and responses of every call of the generator."""
    seen, generate = [], policy.generate

    def watched(model, prompts, **kwargs):
        responses = generate(model, prompts, **kwargs)
        seen.append((prompts, responses))
        return responses

    monkeypatch.setattr(policy, "generate", watched)
    return seen


def test_sft_counts_are_those_of_the_compiled_rows(configure, run_folder, base):
    folder = run_folder(configure(data__targets_per_prompt=2))
    worker.run(folder)
    rows, order, _ = read(folder.parents[2] / "data")
    given, found = flops.read(str(base)), entries(folder)
    for step, batch in enumerate(orders.of_run(order, len(rows), 0), 1):
        before = found[step - 2] if step > 1 else dict.fromkeys(found[0], 0)
        one = {key: found[step - 1][key] - before[key] for key in counts(found[0])}
        pairs = [(len(rows[int(i)]["prompt_ids"]), len(t)) for i in batch for t in rows[int(i)]["target_ids"]]
        assert (one["prompts_shown"], one["completions"], one["tokens_generated"]) == (4, 8, 0)
        assert one["tokens_prompted"] == sum(prompt for prompt, _ in pairs)
        assert one["tokens_trained"] == sum(target for _, target in pairs)
        assert one["flops_train"] == one["flops"] == sum(3 * slow_forward(given, p + t, t) for p, t in pairs)
        assert one["flops_generate"] == one["flops_score"] == one["targets_flops"] == 0


def test_policy_counts_are_those_of_its_rollouts(configure, run_folder, base, sampled):
    """Two passes and a reference: old and reference log-probabilities are scored, every row is trained on twice."""
    folder = run_folder(
        configure("grpo", train__steps=2, data__max_completion_length=48, recipe__num_iterations=2, recipe__beta=0.1)
    )
    worker.run(folder)
    given, last = flops.read(str(base)), entries(folder)[-1]
    pairs = [(len(p), len(r)) for prompts, responses in sampled for p, r in zip(prompts, responses, strict=True)]
    assert last["prompts_shown"] == 8 and last["completions"] == len(pairs) == 32 and last["optimizer_updates"] == 4
    assert last["tokens_prompted"] == sum(prompt for prompt, _ in pairs)
    assert last["tokens_generated"] == sum(response for _, response in pairs)
    assert last["tokens_trained"] == 2 * last["tokens_generated"]
    assert last["flops_train"] == sum(2 * 3 * slow_forward(given, p + r, r) for p, r in pairs)
    assert last["flops_score"] == sum(2 * slow_forward(given, p + r, r) for p, r in pairs)
    read_once = sum(slow_forward(given, len(p), 1) for prompts, _ in sampled for p in set(map(tuple, prompts)))
    assert last["flops_generate"] == read_once + sum(slow_generate(given, p, r) for p, r in pairs)
    assert last["flops"] == last["flops_generate"] + last["flops_score"] + last["flops_train"]
    assert 0 < last["seconds_generate"] + last["seconds_reward"] < last["seconds"] == last["device_seconds"]


def test_responses_cut_off_are_not_trained_where_they_are_masked(configure, run_folder, sampled):
    folder = run_folder(
        configure("grpo", train__steps=2, data__max_completion_length=48, recipe__mask_truncated_completions=True)
    )
    worker.run(folder)
    lengths = [len(response) for _, responses in sampled for response in responses]
    ended = [len(response) for _, responses in sampled for response in responses if response[-1] == 3]
    assert 0 < len(ended) < len(lengths)
    last = entries(folder)[-1]
    assert (last["tokens_generated"], last["tokens_trained"]) == (sum(lengths), sum(ended))


@pytest.mark.parametrize("recipe", ["sft", "grpo"])
@pytest.mark.slow
def test_a_run_killed_between_checkpoints_counts_like_one_that_was_not(configure, run_folder, recipe, monkeypatch):
    configuration = configure(recipe, data__max_completion_length=48, train__steps=3)
    whole, cut = run_folder(configuration, "whole"), run_folder(configuration, "cut")
    worker.run(whole)
    step = worker.Records.step

    def dies(records, number, updates, metrics):
        entry = step(records, number, updates, metrics)
        if number == 3:
            raise KeyboardInterrupt
        return entry

    monkeypatch.setattr(worker.Records, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        worker.run(cut)
    assert [entry["step"] for entry in entries(cut)] == [1, 2, 3]
    monkeypatch.setattr(worker.Records, "step", step)
    worker.run(cut)
    assert [counts(entry) for entry in entries(cut)] == [counts(entry) for entry in entries(whole)]
    for key in (*TIMINGS, *counts(entries(cut)[0])):
        values = [entry[key] for entry in entries(cut)]
        assert values == sorted(values), f"{key} falls"
    for number in (2, 3):
        assert read_json(cut / f"checkpoints/step-{number:06d}/ledger.json") == entries(cut)[number - 1]


def test_micro_batches_change_no_count(configure, run_folder):
    ends = []
    for size in (1, 3, 16):
        folder = run_folder(configure(recipe__micro_batch_size=size, train__steps=1), f"size{size}")
        worker.run(folder)
        ends.append(counts(entries(folder)[-1]))
    assert ends[0] == ends[1] == ends[2]


def test_processes_are_added_up_and_the_slowest_gives_the_time():
    books = [Ledger({}, SHAPE) for _ in range(2)]
    for number, book in enumerate(books):
        book.show(4 if number == 0 else 0, [(5, 3)] * (number + 1))
        book.generate([[1, 2]] * (number + 1), [[7, 8, 9]] * (number + 1))
        book.train([(5, 3)] * (number + 1), passes=2, learned=3 * (number + 1))
        book.score([(5, 3)])
    sent = []
    books[1].close(1, 1, 500, lambda values: [sent.append(values) or values])
    times = len(ledger.TIMES)
    sent[0][-1 - times :] = [2_000_000, 1_500_000, 250_000, 500]
    entry = books[0].close(
        1, 1, 900, lambda values: [[*values[: -1 - times], 1_000_000, 700_000, 750_000, 900], sent[0]]
    )
    assert (entry["prompts_shown"], entry["completions"], entry["tokens_trained"]) == (4, 3, 18)
    assert entry["flops_train"] == 3 * 2 * 3 * slow_forward(SHAPE, 8, 3) and entry["tokens_generated"] == 9
    assert entry["flops_score"] == 2 * slow_forward(SHAPE, 8, 3)
    assert (entry["seconds"], entry["device_seconds"]) == (2.0, 4.0)
    assert (entry["seconds_generate"], entry["seconds_reward"], entry["peak_memory_bytes"]) == (1.5, 0.75, 900)


def test_an_unknown_architecture_counts_all_but_flops():
    book = Ledger({}, None)
    book.show(1, [(5, 3)])
    book.train([(5, 3)], passes=1, learned=3)
    entry = book.close(1, 1, 0, lambda values: [values])
    assert entry["tokens_trained"] == 3 and entry["flops_train"] is None and entry["flops"] is None


def made(folder, **changes):
    cost = {"tokens_prompted": 100, "tokens_generated": 300, "flops_generate": 5.0e6, "seconds": 20.0}
    cost |= {"device_seconds": 20.0, "teacher_parameters": None, "responses": 12, "rejected": 4}
    write_json(folder / "manifest.json", {"ledger": cost | changes})


def test_targets_are_booked_apart_for_the_arm_that_imitates_them(configure, tmp_path):
    with pytest.raises(UserError, match="no manifest.json"):
        ledger.targets_cost(configure(data__targets=str(tmp_path)))
    made(tmp_path)
    cost = ledger.targets_cost(configure(data__targets=str(tmp_path)))
    assert cost["targets_flops"] == 5.0e6 and cost["targets_device_seconds"] == 20.0
    assert (cost["targets_responses"], cost["targets_rejected"], cost["targets_tokens_generated"]) == (12, 4, 300)
    assert ledger.targets_cost(configure("grpo", data__targets=str(tmp_path))) == ledger.NO_TARGETS
    assert ledger.targets_cost(configure()) == ledger.NO_TARGETS
    made(tmp_path, flops_generate=None, teacher_parameters=1000)
    assert ledger.targets_cost(configure(data__targets=str(tmp_path)))["targets_flops"] == 2 * 1000 * 400
    made(tmp_path, flops_generate=None, device_seconds=None)
    unknown = ledger.targets_cost(configure(data__targets=str(tmp_path)))
    assert unknown["targets_flops"] is None and unknown["targets_device_seconds"] is None


def test_an_evaluation_is_booked_beside_its_scores_and_in_no_ledger(configure, run_folder, base):
    folder = run_folder(configure(suite__samples=2, train__steps=2))
    worker.run(folder)
    cost = read_json(folder / "evaluation/step-000002/ledger.json")
    assert cost["responses"] == 2 * 3 and 0 < cost["tokens_generated"] <= 6 * 8 and cost["flops_generate"] > 0
    assert entries(folder)[-1]["tokens_generated"] == 0
