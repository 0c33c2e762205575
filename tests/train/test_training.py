"""Both trainers, run for real on a tiny model: labels, order, resume, ledger, and agreement with stock TRL."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conf.files import read_jsonl
from data import order as orders
from data.compile import compile_dataset, read
from models import load, prompt_ids
from train import policy, sft, worker
from train.records import Records


def weights(folder, step):
    found = load_file(folder / "checkpoints" / f"step-{step:06d}" / "model.safetensors")
    return {name: tensor.clone() for name, tensor in found.items()}  # the file is mapped, and a test cuts it


def prepared(configuration, folder):
    compile_dataset(configuration, folder / "data")
    rows, order, _ = read(folder / "data")
    return (*load(configuration.model.path), rows, order, folder, Records(folder, 0))


def test_labels_cover_exactly_the_response_and_its_end_token(configure, tmp_path):
    _, tokenizer, rows, order, *_ = prepared(configure(), tmp_path)
    for slot, example in zip(order.ravel(), sft.examples(rows, order, 1), strict=True):
        row = rows[int(slot)]
        learned = [i for i, label in zip(example["input_ids"], example["labels"], strict=True) if label != -100]
        assert tokenizer.decode(learned) == row["targets"][0] + "<|end|>"
        assert example["input_ids"][: -len(learned)] == prompt_ids(tokenizer, row["prompt"])


def test_both_arms_see_the_same_prompt_ids_in_the_same_order(configure, tmp_path):
    model, tokenizer, rows, order, folder, records = prepared(configure(), tmp_path)
    sft_trainer = sft.build(configure(), model, tokenizer, rows, order, folder, records)
    seen = []
    for batch in sft_trainer.get_train_dataloader():
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            seen.append(ids[: int((labels != -100).nonzero()[0])].tolist())
    policy_trainer = policy.build(configure("grpo"), model, tokenizer, rows, order, folder, records)
    sampled = []
    for batch in policy_trainer.get_train_dataloader():
        sampled += [prompt_ids(tokenizer, row["prompt"]) for row in batch]
    once = policy_trainer.args.steps_per_generation * 1
    per_step = 4 * 4
    firsts = [sampled[i : i + per_step : 4] for i in range(0, len(sampled), per_step * once)]
    assert [ids for step in firsts for ids in step] == seen == [list(rows[int(i)]["prompt_ids"]) for i in order.ravel()]


@pytest.mark.parametrize("recipe", ["sft", "grpo"])
@pytest.mark.slow
def test_a_run_cut_after_a_checkpoint_goes_on_as_if_it_had_not_been(configure, run_folder, recipe, monkeypatch):
    whole = run_folder(configure(recipe), "whole")
    worker.run(whole)
    cut = run_folder(configure(recipe), "cut")
    evaluate = worker.evaluate_checkpoint

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "evaluate_checkpoint", crash)
    with pytest.raises(KeyboardInterrupt):
        worker.run(cut)
    assert not (cut / "done.json").exists() and (cut / "checkpoints/step-000002").exists()
    monkeypatch.setattr(worker, "evaluate_checkpoint", evaluate)
    worker.run(cut)
    for name, tensor in weights(whole, 4).items():
        torch.testing.assert_close(weights(cut, 4)[name], tensor, rtol=1e-4, atol=1e-6)
    for file in ("metrics.jsonl", "ledger.jsonl"):
        assert [row["step"] for row in read_jsonl(cut / file)] == [1, 2, 3, 4]
    keys = (
        "prompts_shown",
        "completions",
        "tokens_prompted",
        "tokens_generated",
        "tokens_trained",
        "optimizer_updates",
    )
    ends = [{key: read_jsonl(folder / "ledger.jsonl")[-1][key] for key in keys} for folder in (whole, cut)]
    assert ends[0] == ends[1]
    assert (cut / "evaluation/step-000002/scores.json").exists() and (cut / "done.json").exists()


def test_a_checkpoint_cut_short_is_set_aside_and_the_one_before_is_used(configure, run_folder, capsys):
    folder = run_folder(configure())
    worker.run(folder)
    expected = weights(folder, 4)
    file = folder / "checkpoints/step-000004/model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    (folder / "done.json").unlink()
    worker.run(folder)
    assert "damaged" in capsys.readouterr().out
    assert (folder / "checkpoints/damaged-step-000004").exists()
    for name, tensor in weights(folder, 4).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)


def test_the_ledger_counts_what_was_shown_generated_and_trained(configure, run_folder):
    for recipe, per_prompt in (("sft", 1), ("grpo", 4)):
        folder = run_folder(configure(recipe), recipe)
        worker.run(folder)
        rows, order, _ = read(folder.parents[2] / "data")
        order = orders.of_run(order, len(rows), 0)
        last = read_jsonl(folder / "ledger.jsonl")[-1]
        assert last["prompts_shown"] == order.size
        assert last["completions"] == order.size * per_prompt
        assert last["tokens_prompted"] == per_prompt * sum(len(rows[int(i)]["prompt_ids"]) for i in order.ravel())
        if recipe == "sft":
            assert last["tokens_generated"] == 0
            assert last["tokens_trained"] == sum(len(rows[int(i)]["target_ids"][0]) for i in order.ravel())
        else:
            assert last["tokens_generated"] == last["tokens_trained"] > 0
            samples = read_jsonl(folder / "samples.jsonl")
            assert {row["step"] for row in samples} == {1, 2, 3, 4}


def test_sft_loss_is_the_mean_over_response_tokens(configure, tmp_path):
    """Against a plain float64 computation of the first step."""
    configuration = configure(train__steps=1, train__save_steps=1)
    model, tokenizer, rows, order, folder, records = prepared(configuration, tmp_path)
    total, count = 0.0, 0
    exact = load(configuration.model.path)[0].double()
    for example in sft.examples(rows, order, 1):
        ids, labels = torch.tensor([example["input_ids"]]), np.array(example["labels"])
        with torch.no_grad():
            logs = torch.log_softmax(exact(input_ids=ids).logits[0], -1)
        for t in np.flatnonzero(labels != -100):
            total, count = total - logs[t - 1, labels[t]].item(), count + 1
    trainer = sft.build(configuration, model, tokenizer, rows, order, folder, records)
    assert trainer.train().training_loss == pytest.approx(total / count, rel=1e-4)


def test_grpo_update_equals_stock_trl_on_the_same_rollouts(configure, tmp_path):
    """Stock GRPOTrainer fed our rollouts and rewards takes the same step."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from train.arguments import shared

    configuration = configure("grpo", train__steps=1, train__save_steps=1)
    model, tokenizer, rows, order, folder, records = prepared(configuration, tmp_path)
    kept = {}

    def length_reward(completion_ids, **_):
        return [float(len(ids) % 3 == 0) for ids in completion_ids]

    ours = policy.build(configuration, model, tokenizer, rows, order, folder, records)
    ours.reward_funcs = [length_reward]
    rollout = ours.rollout_func
    ours.rollout_func = lambda prompts, trainer: kept.setdefault("out", rollout(prompts, trainer))
    ours.train()

    common = shared(configuration, folder, 16)
    arguments = GRPOConfig(
        **common,
        num_generations=4,
        steps_per_generation=common["gradient_accumulation_steps"],
        max_completion_length=112,
        loss_type="grpo",
        shuffle_dataset=False,
    )
    stock = GRPOTrainer(
        model=load(configuration.model.path)[0],
        reward_funcs=[length_reward],
        args=arguments,
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [rows[int(i)]["prompt"] for i in order.ravel()]}),
        rollout_func=lambda prompts, trainer: kept["out"],
    )
    stock.train()
    start = load(configuration.model.path)[0].state_dict()
    moved = 0.0
    for name, tensor in stock.model.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)
        moved = max(moved, (tensor - start[name]).abs().max().item())
    assert moved > 1e-5


def test_two_run_seeds_sample_differently_from_equal_weights(configure, tmp_path):
    """On the same prompts; members of a group differ too."""
    _, _, rows, order, *_ = prepared(configure("grpo"), tmp_path)
    group = [rows[int(order[0, 0])]] * 4
    found = []
    for seed in (0, 1):
        configuration = configure("grpo", seed=seed)
        model, tokenizer = load(configuration.model.path)
        trainer = policy.build(configuration, model, tokenizer, rows, order, tmp_path, Records(tmp_path, 0))
        found.append(trainer.sample(group, attempt=0)["completion_ids"])
    assert found[0] != found[1]
    assert len(set(map(tuple, found[0]))) > 1


def test_two_run_seeds_of_an_arm_that_samples_nothing_are_two_runs(configure, run_folder):
    """They see other prompts; else the second would be the first one again, and its error bar a fake."""
    ends = []
    for seed in (0, 1):
        folder = run_folder(configure("sft", seed=seed, train__steps=2), f"seed{seed}")
        worker.run(folder)
        ends.append(weights(folder, 2))
    assert any(not torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
