"""Every recipe for real on a tiny model, and the identities that tie the arms together."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from conf.errors import UserError
from conf.files import read_jsonl, write_json
from conf.schema import Configuration
from conf.validate import validate
from data.compile import compile_dataset, read
from models import load, response_ids, response_text
from train import dynamic, responses, surrogates, worker
from train.policy_trainer import PHASES

RECIPES = Path(__file__).parent.parent.parent / "conf/recipe"
POLICY = sorted(path.stem for path in RECIPES.glob("*.yaml") if yaml.safe_load(path.read_text())["trainer"] == "policy")
STEADY = {"train__adam_epsilon": 0.01, "recipe__learning_rate": 0.01}  # updates follow gradients, not their signs
# recipes that are grpo or sft but for a setting: two steps of them are for the slow tests
SETTINGS = ("cispo", "dr_grpo", "gspo", "negative_only", "positive_only", "reinforce_pp", "rloo")
SETTINGS += ("grpo_format_reward", "grpo_random_reward", "sft_format_only")
MOVES = 1e-7  # the least that a weight must change by to have been trained


@pytest.fixture
def answered(tmp_path, base):
    """A folder as `make targets` leaves it: three right and one wrong response to every prompt."""

    def make(configuration, q="teacher"):
        compile_dataset(configuration, tmp_path / "source/data")
        rows, _, _ = read(tmp_path / "source/data")
        columns = ("prompt", "sample", "response", "outcome", "finish_reason", "completion_tokens")
        table = [
            (row["prompt"], k, row["targets"][0] if k else "\\boxed{0.123}", "right" if k else "wrong", "stop", 9)
            for row in rows
            for k in range(4)
        ]
        folder = tmp_path / "targets"
        folder.mkdir()
        pq.write_table(
            pa.table(dict(zip(columns, map(list, zip(*table, strict=True)), strict=True))), folder / "targets.parquet"
        )
        cost = {"tokens_prompted": 1, "tokens_generated": 1, "flops_generate": 1.0, "seconds": 1.0}
        cost |= {"device_seconds": None, "teacher_parameters": None, "responses": 4, "rejected": 1}
        write_json(folder / "manifest.json", {"settings": {"q": q}, "ledger": cost})
        return str(folder)

    return make


def weights(trainer):
    return {name: tensor.detach().clone() for name, tensor in trainer.model.state_dict().items()}


def moved(trainer, configuration):
    start = load(configuration.model.path)[0].state_dict()
    return max((weights(trainer)[name] - tensor).abs().max().item() for name, tensor in start.items())


def same(a, b):
    """They were trained, and to the same weights."""
    assert moved(a, a.configuration) > 1e-3
    for name, tensor in weights(a).items():
        torch.testing.assert_close(tensor, weights(b)[name], rtol=1e-4, atol=1e-5)


def by_length(completion_ids, **_):
    """A reward that a random model earns now and then."""
    return [float(sum(ids) % 3 == 0) for ids in completion_ids]


def undocumented(row):
    """Keys that docs/metrics.md does not name."""
    text = (RECIPES.parent.parent / "docs/metrics.md").read_text()
    names = [re.escape(name).replace("<function>", "[a-z_]+") for name in re.findall(r"`([a-z_/<>0-9]+)`", text)]
    return [key for key in row if not any(re.fullmatch(name, key) for name in names)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SETTINGS else name for name in POLICY]
)
def test_every_recipe_starts_and_takes_two_steps(name, chosen, made, answered):
    changes = {"data__targets_per_prompt": 2}
    if name == "offpolicy_rl":
        changes = {"data__targets": answered(chosen("sft_no_think")), "data__targets_per_prompt": 4}
    configuration = chosen(name, **changes)
    validate(configuration.model_dump())
    trainer, *_ = made(configuration)
    if configuration.samples:
        trainer.reward_funcs = [by_length for _ in trainer.reward_funcs]
    trainer.train()
    updates = configuration.updates_per_step
    log = [row for row in trainer.state.log_history if "grad_norm" in row]
    assert trainer.state.global_step == 2 * updates and len(log) == 2
    assert all(np.isfinite(row["loss"]) and {"entropy", "completions/mean_length"} <= set(row) for row in log)
    assert moved(trainer, configuration) > MOVES
    assert ("kl" in log[0]) == (configuration.recipe.beta > 0)
    assert not undocumented(log[0])


def test_each_recipe_declares_every_key_it_states_and_says_what_it_minimises():
    for path in RECIPES.glob("*.yaml"):
        text, stated = path.read_text(), yaml.safe_load(path.read_text())
        assert stated["name"] == path.stem
        undeclared = {f"recipe.{key}" for key in stated} - set(stated["treatment"]) - {"recipe.treatment"}
        assert not undeclared, path
        assert f"recipe={path.stem} " in text and "(q, w, surrogate, beta) = " in text


@pytest.mark.parametrize(("targets", "micro"), [(1, 8), (2, 3)])
def test_the_policy_trainer_as_sft_agrees_with_the_sft_trainer_step_for_step(
    targets, micro, chosen, configure, made, short
):
    """(teacher, one, log, 0); offpolicy_rl with w=one is the same arm."""
    small = short | {"train__steps": 3, "data__targets_per_prompt": targets, "recipe__micro_batch_size": micro}
    theirs, *_ = made(configure("sft", **small | STEADY), "sft")
    ours, *_ = made(chosen("offpolicy_rl", recipe__w="one", **small | STEADY), "policy")
    theirs.train()
    ours.train()
    losses = [[row["loss"] for row in one.state.log_history if "loss" in row] for one in (theirs, ours)]
    norms = [[row["grad_norm"] for row in one.state.log_history if "grad_norm" in row] for one in (theirs, ours)]
    assert len(losses[0]) == 3 and losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)
    same(ours, theirs)
    counts = [one.ledger.close(3, 3, 0, lambda own: [own]) for one in (theirs, ours)]
    assert counts[1]["tokens_trained"] == counts[0]["tokens_trained"] > 0
    assert counts[1]["completions"] == counts[0]["completions"] == 3 * 2 * targets


def test_rft_is_sft_on_its_right_responses(chosen, configure, made, short):
    small = {"train__steps": 1, "train__save_steps": 1, **STEADY}
    ours, _, rows, order = made(chosen("rft", **small, data__targets_per_prompt=4), "rft")
    ours.reward_funcs, rollout, kept = [by_length], ours.rollout_func, {}
    ours.rollout_func = lambda prompts, trainer: kept.setdefault("out", rollout(prompts, trainer))
    ours.train()
    ids = kept["out"]["completion_ids"]
    right = [one if by_length([one])[0] else [] for one in ids]
    assert 0 < sum(map(bool, right)) < len(ids) == 8
    slots = order.ravel()[: len(ids) // 4].tolist()
    answers = {slot: right[4 * i : 4 * i + 4] for i, slot in enumerate(slots)}
    listed = [row | {"target_ids": answers.get(i, [])} for i, row in enumerate(rows.to_list())]
    theirs, *_ = made(configure("sft", **short | small | {"data__targets_per_prompt": 4}), "sft", Listed(listed))
    theirs.train()
    same(ours, theirs)
    booked = ours.ledger.close(1, 1, 0, lambda own: [own])
    assert booked["tokens_trained"] == sum(map(len, right)) < booked["tokens_generated"]


class Listed(list):
    """Rows as sft.examples reads them."""


@pytest.mark.parametrize(
    "name",
    ["grpo", "luffy", *(pytest.param(one, marks=pytest.mark.slow) for one in ("rloo", "dr_grpo", "gspo", "cispo"))],
)
def test_equal_rewards_train_nothing(name, chosen, made):
    configuration = chosen(name)
    trainer, *_ = made(configuration)
    trainer.reward_funcs = [lambda completion_ids, **_: [1.0] * len(completion_ids)]
    trainer.train()
    log = [row for row in trainer.state.log_history if "grad_norm" in row]
    assert all(row["grad_norm"] == 0 and row["frac_reward_zero_std"] == 1 for row in log)
    assert moved(trainer, configuration) == 0


def test_the_ratio_is_exactly_one_at_the_first_update_of_a_step(chosen, made, monkeypatch):
    seen, ratio = [], surrogates.ratio
    monkeypatch.setattr(surrogates, "ratio", lambda *logps: seen.append(ratio(*logps)) or seen[-1])
    trainer, *_ = made(chosen("luffy"))
    trainer.train()
    assert seen and all(torch.equal(one, torch.ones_like(one)) for one in seen)


@pytest.mark.parametrize(
    "name", ["rft", "luffy", "ppo", *(pytest.param(one, marks=pytest.mark.slow) for one in ("iw_sft", "rloo"))]
)
def test_how_a_step_is_cut_into_micro_batches_does_not_matter(name, chosen, made):
    """1 x 8, 8 x 1, and by three, which does not divide a step's rows of ragged lengths."""
    trainers = []
    for micro in (8, 1, 3):
        changes = {"recipe__micro_batch_size": micro, "train__steps": 1, "data__targets_per_prompt": 4, **STEADY}
        trainer, *_ = made(chosen(name, **changes), f"micro{micro}")
        trainer.reward_funcs = [by_length]
        trainer.train()
        trainers.append(trainer)
    for other in trainers[1:]:
        same(trainers[0], other)


def test_a_frozen_base_answers_whatever_the_policy_has_become(chosen, made):
    configuration = chosen("rft", recipe__learning_rate=1e-2)
    trainer, _, rows, _ = made(configuration)
    trainer.reward_funcs = [by_length]
    before = trainer.sample([rows[0]] * 4, attempt=0)["completion_ids"]
    trainer.train()
    trainer.state.global_step = 0
    assert moved(trainer, configuration) > MOVES
    assert trainer.sample([rows[0]] * 4, attempt=0)["completion_ids"] == before


def test_a_base_may_answer_from_a_folder_and_no_teacher_for_it(chosen, made, answered):
    plain = chosen("sft_no_think")
    own = chosen("rft", data__targets=answered(plain, "base"), data__targets_per_prompt=2)
    trainer, *_ = made(own)
    trainer.train()
    assert not trainer.copies and trainer.ledger.close(2, 2, 0, lambda own: [own])["tokens_generated"] == 0
    assert moved(trainer, own) > MOVES
    manifest = Path(own.data.targets) / "manifest.json"
    write_json(manifest, {"settings": {"q": "teacher"}})
    with pytest.raises(UserError, match="targets.q=teacher"):
        made(own, "other")


def test_off_policy_rl_weighs_wrong_responses_and_refuses_targets_that_are_all_right(chosen, made, answered):
    given = chosen("offpolicy_rl", data__targets=answered(chosen("dft")), data__targets_per_prompt=4)
    trainer, *_ = made(given)
    trainer.train()
    log = [row for row in trainer.state.log_history if "reward" in row]
    assert all(row["reward"] == 0.75 and row["frac_reward_zero_std"] == 0 for row in log)
    with pytest.raises(UserError, match=r"without data\.targets"):
        made(chosen("offpolicy_rl", data__targets_per_prompt=4), "other")


def test_off_policy_rl_weighs_the_worlds_teacher_where_it_makes_mistakes(chosen, configure, made):
    mixed = {"data__targets_per_prompt": 4, "data__teacher_mistakes": 0.5, "data__max_completion_length": 112}
    trainer, _, rows, order = made(chosen("offpolicy_rl", **mixed, **STEADY))
    for slot, example in zip(order.ravel(), trainer.train_dataset, strict=True):
        assert example["taught"] == rows[int(slot)]["attempt_ids"] != rows[int(slot)]["target_ids"]
    trainer.train()
    log = [row for row in trainer.state.log_history if "reward" in row]
    assert all(0 < row["reward"] < 1 and row["grad_norm"] > 0 for row in log)
    for name in ("dft", "sft_format_only", "luffy"):  # what imitates goes on imitating the right ones
        other, *_ = made(chosen(name, **mixed), name)
        right = {tuple(ids) for row in rows for ids in row["target_ids"]}
        assert all(tuple(ids) in right for example in other.train_dataset for ids in example["taught"])


def test_one_of_luffys_group_is_the_teachers(chosen, made):
    trainer, _, rows, order = made(chosen("luffy"))
    first = [trainer.train_dataset[0]] * 4 + [trainer.train_dataset[1]] * 4
    trainer.examples = first
    found = trainer.rollout_func([row["prompt"] for row in first], trainer)["completion_ids"]
    for group, slot in enumerate(order.ravel()[:2]):
        assert found[4 * group] == rows[int(slot)]["target_ids"][0]
    assert trainer.taught == [True, False, False, False] * 2
    assert found[1] not in (found[0], found[2])


def test_sft_then_grpo_is_sft_at_its_own_rate_and_then_samples(chosen, configure, made, short):
    small = {"recipe__teacher_steps": 1, "recipe__teacher_learning_rate": 1e-3, "recipe__num_iterations": 1}
    ours, *_ = made(chosen("sft_then_grpo", **small), "both")
    ours.reward_funcs = [by_length]
    ours.train()
    log = [row for row in ours.state.log_history if "grad_norm" in row]
    assert "reward" in log[1] and log[1]["reward"] is not None and log[0]["reward"] is None
    theirs, *_ = made(configure("sft", **short | {"train__steps": 1, "recipe__learning_rate": 1e-3}), "sft")
    theirs.train()
    assert log[0]["loss"] == pytest.approx(theirs.state.log_history[0]["loss"], rel=1e-3)
    booked = ours.ledger.close(2, 2, 0, lambda own: [own])
    assert booked["completions"] == 2 + 8 and booked["tokens_generated"] > 0
    rates = [group["lr"] for group in ours.optimizer.param_groups]
    assert rates == [ours.configuration.recipe.learning_rate] * len(rates) and log[0]["learning_rate"] == 1e-3


def test_targets_without_thoughts_and_of_another_prompt(chosen, made):
    trainer, tokenizer, rows, order = made(chosen("sft_format_only"))
    slots = order.ravel()
    for place, row in enumerate(trainer.train_dataset):
        assert row["prompt"] == rows[int(slots[place])]["prompt"]
        assert row["taught"] == rows[int(slots[(place + 1) % len(slots)])]["target_ids"]
    thought = response_ids(tokenizer, "<think>1+1</think>\n\\boxed{2}")
    assert response_text(tokenizer, responses._without_thought(tokenizer, thought)) == "\\boxed{2}"
    plain = response_ids(tokenizer, "\\boxed{2}")
    assert responses._without_thought(tokenizer, plain) == plain


def test_a_random_reward_is_a_fair_coin_that_the_seed_tosses(chosen, made):
    trainer, tokenizer, *_ = made(chosen("grpo_random_reward"))
    ids = [response_ids(tokenizer, "\\boxed{2}")] * 400

    def toss(one, step):
        state = type("State", (), {"global_step": step})
        columns = {"kind": ["math"] * 400, "reference": ["2"] * 400, "prompts": ["1+1"] * 400}
        return one.reward_funcs[0](list(ids), **columns, trainer_state=state, log_metric=lambda *_: None)

    again, *_ = made(chosen("grpo_random_reward"), "again")
    assert toss(trainer, 0) == toss(again, 0) != toss(trainer, 1)
    assert set(toss(trainer, 0)) == {0.0, 1.0} and 150 < sum(toss(trainer, 0)) < 250


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("grpo", {"temperature": 0.7}, "allow_biased_ratio"),
        ("rft", {"loss_type": "cispo"}, "clipped surrogate"),
        ("rft", {"surrogate": "iw_sft"}, "another model"),
        ("luffy", {"q": "policy"}, "another model"),
        ("grpo", {"num_generations": 1}, "group of one"),
        ("sft_then_grpo", {"num_generations": 2}, "would not be imitated"),
        ("rft", {"dynamic_sampling": 2}, "samples from the policy"),
    ],
)
def test_parts_that_make_no_objective_are_refused(name, change, message, chosen):
    given = chosen(name, data__targets_per_prompt=4, **{f"recipe__{key}": value for key, value in change.items()})
    with pytest.raises(UserError) as caught:
        validate(given.model_dump())
    assert message in str(caught.value)


def test_another_temperature_passes_where_it_is_asked_for_or_nothing_is_sampled(chosen):
    allowed = {"recipe__temperature": 0.7, "recipe__allow_biased_ratio": True}
    for given in (chosen("grpo", **allowed), chosen("dft", recipe__temperature=0.7)):
        assert isinstance(validate(given.model_dump()), Configuration)


@pytest.mark.slow
def test_a_run_cut_between_two_snapshots_goes_on_with_the_one_it_had(chosen, run_folder, monkeypatch):
    steps = {"train__steps": 4, "recipe__resample_steps": 3, "recipe__learning_rate": 1e-2}
    given = chosen("iterative_rft", recipe__reward_funcs=["random"], **steps)
    whole, cut = run_folder(given, "whole"), run_folder(given, "cut")
    worker.run(whole)
    evaluate = worker.evaluate_checkpoint

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "evaluate_checkpoint", dies)
    with pytest.raises(KeyboardInterrupt):
        worker.run(cut)
    monkeypatch.setattr(worker, "evaluate_checkpoint", evaluate)
    worker.run(cut)
    keys = ("tokens_generated", "tokens_trained")
    found = [[[row[key] for key in keys] for row in read_jsonl(run / "ledger.jsonl")] for run in (whole, cut)]
    assert found[0] == found[1] and len(found[0]) == 4


def test_dynamic_sampling_replaces_groups_of_one_verdict_and_books_what_was_in_vain(chosen, made, monkeypatch):
    """By a verdict that a random model earns: the first tries leave some groups equal, and fewer after them."""

    def by_ids(configuration, tokenizer, rows, completion_ids):
        return [bool(one) for one in by_length(completion_ids)]

    monkeypatch.setattr(dynamic.rewarding, "right", by_ids)
    left, booked = [], []
    for times in (0, 4):
        changes = {"recipe__dynamic_sampling": times, "recipe__num_generations": 2, "train__prompts_per_step": 4}
        trainer, *_ = made(chosen("dapo", train__steps=1, **changes), f"times{times}")
        trainer.reward_funcs = [by_length, by_length]
        trainer.train()
        left.append(trainer.state.log_history[0]["frac_reward_zero_std"])
        booked.append(trainer.ledger.close(1, 1, 0, lambda own: [own]))
    assert left[1] < left[0]
    assert booked[0]["prompts_shown"] == 4 < booked[1]["prompts_shown"]
    assert booked[1]["completions"] == 2 * booked[1]["prompts_shown"]
    assert booked[1]["tokens_generated"] > booked[1]["tokens_trained"]


@pytest.mark.parametrize(
    ("name", "busy"),
    [
        ("grpo_kl", {"generate", "logps", "measure"}),
        ("iterative_rft", {"generate", "sync", "measure"}),
        ("ppo", {"values"}),
        ("sft", {"measure"}),
    ],
)
def test_the_seconds_of_a_step_are_told_by_phase(name, busy, chosen, made):
    trainer, *_ = made(chosen(name, train__kl_rows=2))
    trainer.train()
    for row in trainer.state.log_history[:2]:
        phases = {key.removeprefix("seconds/"): took for key, took in row.items() if key.startswith("seconds/")}
        assert all(took >= 0 for took in phases.values()) and phases["update"] > 0
        assert sum(phases.values()) >= row.get("step_time", 0)  # TRL's leaves the optimizer out
        assert busy <= set(phases) == set(PHASES if name != "sft" else ("measure",)) | {"update"}
    first = trainer.state.log_history[0]
    assert all(first[f"seconds/{phase}"] > 0 for phase in busy)
    assert not undocumented(first)


def test_prompts_that_all_get_right_or_wrong_are_counted_apart(chosen, made):
    """One all right, one all wrong, one mixed; a fourth that cannot be judged is neither."""
    trainer, *_ = made(chosen("grpo", train__prompts_per_step=4, train__steps=1, train__save_steps=1))
    verdicts = [1.0] * 3 + [None] + [0.0] * 4 + [1.0, 0.0, 0.0, 0.0] + [None] * 4
    trainer.reward_funcs, trainer.reward_func_names = [lambda completion_ids, **_: verdicts], ["accuracy"]
    trainer.train()
    row = trainer.state.log_history[0]
    assert (row["frac_prompts_all_right"], row["frac_prompts_all_wrong"]) == (0.25, 0.25)
    assert row["reward"] == pytest.approx(4 / 11)
