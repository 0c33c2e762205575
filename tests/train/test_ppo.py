"""PPO: the critic's advantages and losses against slow references, what it learns, and that both models go on."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, TrainerCallback

from conf.errors import UserError
from conf.files import read_jsonl
from conf.validate import validate
from models import critic, load
from train import surrogates, weights, worker

GENERATOR = torch.Generator().manual_seed(3)


def ragged(rows=7, tokens=6):
    """Random rewards and values in float64, and a mask of rows of 0 to `tokens` tokens."""
    lengths = torch.tensor([0, 1, tokens] + torch.randint(1, tokens + 1, (rows - 3,), generator=GENERATOR).tolist())
    mask = (torch.arange(tokens) < lengths[:, None]).double()
    draw = torch.randn(2, rows, tokens, generator=GENERATOR, dtype=torch.float64)
    return draw[0] * mask, draw[1], mask


@pytest.mark.parametrize("gamma, lam", [(1.0, 1.0), (0.9, 0.95), (0.99, 0.0), (1.0, 0.5)])
def test_gae_is_the_discounted_sum_of_its_errors(gamma, lam):
    rewards, values, mask = ragged()
    advantages, returns = weights.gae(rewards, values, mask, gamma, lam)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        known = [*values[row, :length].tolist(), 0.0]
        errors = [rewards[row, t].item() + gamma * known[t + 1] - known[t] for t in range(length)]
        for t in range(rewards.size(1)):
            slow = math.fsum((gamma * lam) ** (k - t) * errors[k] for k in range(t, length)) if t < length else 0.0
            assert advantages[row, t].item() == pytest.approx(slow, abs=1e-12)
            assert returns[row, t].item() == pytest.approx(slow + known[t] if t < length else 0.0, abs=1e-12)


def test_gae_with_lambda_one_is_what_came_less_what_was_expected():
    rewards, values, mask = ragged()
    advantages, returns = weights.gae(rewards, values, mask, 1.0, 1.0)
    to_come = rewards.flip(1).cumsum(1).flip(1) * mask
    torch.testing.assert_close(returns, to_come)
    torch.testing.assert_close(advantages, (to_come - values) * mask)


def test_the_value_loss_is_the_greater_of_two_squares():
    values, old, returns = torch.randn(3, 5, 4, generator=GENERATOR, dtype=torch.float64)
    loss, clipped = surrogates.value_loss(values, old, returns, 0.2)
    for value, before, goal, got, held in torch.stack([values, old, returns, loss, clipped.double()], -1).view(-1, 5):
        near = min(max(value, before - 0.2), before + 0.2)
        assert got == pytest.approx(max((value - goal) ** 2, (near - goal) ** 2) / 2)
        assert bool(held) == ((near - goal) ** 2 > (value - goal) ** 2)


@pytest.fixture
def ppo(chosen, made):
    """A small PPO trainer; `reward` gives one a response."""

    def make(reward=lambda completion_ids, **_: [float(sum(ids) % 3 == 0) for ids in completion_ids], **changes):
        configuration = chosen("ppo", **changes)
        trainer, *_ = made(configuration, f"run{len(changes)}{hash(str(changes))}")
        trainer.reward_funcs = [reward]
        return trainer

    return make


def rollout(trainer):
    """One generated, scored and weighed batch, whole."""
    trainer.model.train()
    inputs = next(iter(trainer.get_train_dataloader()))
    return trainer._generate_and_score_completions(inputs)


def slow_parts(trainer, output):
    """Log-probabilities and values of every response token in float64, row by row without padding."""
    model = trainer.model.double()
    own = critic.of(model)
    for row in range(len(output["prompt_ids"])):
        prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()]
        response = output["completion_ids"][row][output["completion_mask"][row].bool()]
        ids = torch.cat([prompt, response])[None]
        logs = model(input_ids=ids).logits[0].log_softmax(-1)
        if own.body is None:
            hidden = model.base_model(input_ids=ids).last_hidden_state
        else:
            hidden = own.body(input_ids=ids).last_hidden_state
        values = (hidden @ own.head.weight.T + own.head.bias)[0, :, 0]
        states = torch.arange(len(prompt) - 1, len(prompt) + len(response) - 1)
        yield logs[states, response], values[states]


@pytest.mark.parametrize("kind", ["copy", "shared"])
def test_the_loss_is_the_equation_in_float64(kind, ppo):
    changes = {"recipe__critic": kind, "recipe__num_mini_batches": 1, "recipe__epsilon": 0.05}
    trainer = ppo(**changes, recipe__cliprange_value=0.1, recipe__vf_coef=0.3)
    torch.nn.init.normal_(critic.of(trainer.model).head.weight, std=0.1)
    output = rollout(trainer)
    output["old_per_token_logps"] = output["old_per_token_logps"] + 0.1 * torch.randn(output["advantages"].shape)
    output["values"] = output["values"] + 0.3 * torch.randn(output["advantages"].shape)
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = 1
    fast = trainer._compute_loss(trainer.model, output)
    total = count = 0.0
    for row, (logps, values) in enumerate(slow_parts(trainer, output)):
        for t in range(len(logps)):
            ratio = math.exp(logps[t].item() - output["old_per_token_logps"][row, t].item())
            advantage, goal = output["advantages"][row, t].item(), output["returns"][row, t].item()
            before, value = output["values"][row, t].item(), values[t].item()
            near = min(max(value, before - 0.1), before + 0.1)
            total -= min(ratio * advantage, min(max(ratio, 0.95), 1.2) * advantage)
            total += 0.3 * max((value - goal) ** 2, (near - goal) ** 2) / 2
            count += 1
    assert fast.item() == pytest.approx(total / count, rel=1e-4)


def test_advantages_are_white_over_the_tokens_of_a_step_and_values_start_at_zero(ppo):
    output = rollout(ppo())
    tokens = output["tool_mask"].bool()
    found = output["advantages"][tokens].double()
    assert abs(found.mean().item()) < 1e-5 and found.std(correction=0).item() == pytest.approx(1, abs=1e-3)
    assert not output["values"].any() and not output["advantages"][~tokens].any()


def test_a_response_without_a_reward_bears_no_loss(ppo):
    output = rollout(ppo(lambda completion_ids, **_: [None] + [1.0] * (len(completion_ids) - 1)))
    assert not output["tool_mask"][0].any() and output["tool_mask"][1:].any(1).all()
    assert not output["advantages"][0].any() and not output["returns"][0].any()


def test_drifting_from_the_base_costs_reward_at_every_token(ppo):
    trainer = ppo(lambda completion_ids, **_: [0.0] * len(completion_ids), recipe__kl_coef=0.5, recipe__lam=1.0)
    with torch.no_grad():
        for parameter in trainer.model.model.layers.parameters():
            parameter.mul_(1.05)
    output = rollout(trainer)
    base = load(trainer.configuration.model.path)[0].double()
    drifts = []
    for row, (logps, _) in enumerate(slow_parts(trainer, output)):
        prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()]
        response = output["completion_ids"][row][output["completion_mask"][row].bool()]
        logs = base(input_ids=torch.cat([prompt, response])[None]).logits[0].log_softmax(-1)
        theirs = logs[torch.arange(len(prompt) - 1, len(prompt) + len(response) - 1), response]
        drifts.append((logps - theirs).detach())
        expected = -0.5 * drifts[-1].flip(0).cumsum(0).flip(0)
        torch.testing.assert_close(output["returns"][row, : len(response)].double(), expected, rtol=1e-3, atol=1e-4)
    mean = torch.cat(drifts).mean().item()
    assert trainer._metrics["train"]["kl_in_reward"] == [pytest.approx(mean, rel=1e-3)] and mean != 0


@pytest.mark.parametrize("kind", ["copy", "shared"])
def test_in_the_warm_up_the_critic_alone_learns(kind, ppo):
    trainer = ppo(recipe__critic=kind, recipe__value_warmup_steps=1, train__steps=2)
    start = {name: one.detach().clone() for name, one in trainer.model.named_parameters()}
    moved = []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            now = {name: one.detach() for name, one in model.named_parameters()}
            moved.append({critic.is_critics(name) for name in start if not torch.equal(now[name], start[name])})

    trainer.add_callback(Watch())
    trainer.train()
    updates = trainer.configuration.updates_per_step
    assert len(moved) == 2 * updates
    assert all(one <= {True} for one in moved[:updates])  # an update without a reward moves nothing
    assert moved[updates - 1] == {True} and moved[-1] == {True, False}


def test_the_critic_learns_at_its_own_rate(ppo):
    trainer = ppo(recipe__learning_rate=1e-3, recipe__value_learning_rate=5e-3)
    theirs = {id(one) for one in critic.of(trainer.model).parameters()}
    trainer.create_optimizer()
    rates = {(group["lr"], id(one) in theirs) for group in trainer.optimizer.param_groups for one in group["params"]}
    assert rates == {(1e-3, False), (5e-3, True)}
    count = sum(len(group["params"]) for group in trainer.optimizer.param_groups)
    assert count == len(list(trainer.model.parameters()))


def test_every_step_tells_how_well_the_critic_knew(ppo):
    trainer = ppo()
    trainer.train()
    log = [row for row in trainer.state.log_history if "grad_norm" in row]
    names = {"value_loss", "policy_loss", "value_error", "explained_variance", "value_clip_ratio", "entropy"}
    names |= {"clip_ratio/region_mean", "returns/mean", "values/mean", "seconds/values"}
    assert len(log) == 2 and all(names <= set(row) and math.isfinite(row["value_error"]) for row in log)
    assert log[0]["explained_variance"] == pytest.approx(0, abs=1e-6)  # a critic that says 0 everywhere


@pytest.mark.slow
def test_where_the_best_policy_is_known_it_is_found_and_its_value_too(chosen, made, tmp_path):
    """The first token's class must be the prompt's: right at 25% by chance, and always by the best policy."""
    changes = {"data__max_completion_length": 2, "train__steps": 25, "train__prompts_per_step": 8}
    changes |= {"recipe__num_generations": 8, "recipe__micro_batch_size": 64, "recipe__learning_rate": 2e-3}
    changes |= {"recipe__value_learning_rate": 1e-3, "recipe__value_warmup_steps": 2, "train__save_steps": 25}
    rows = [{"problem": f"{i}" + 8 * "abcd"[i % 4], "answer": "1"} for i in range(48)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes |= {"data__source": str(tmp_path / "rows.jsonl"), "data__solution": ""}
    trainer, *_ = made(chosen("ppo", **changes))

    def right(prompts, completion_ids, **_):
        return [float(ids[0] % 4 == ord(prompt[-1]) % 4) for prompt, ids in zip(prompts, completion_ids, strict=True)]

    trainer.reward_funcs = [right]
    trainer.train()
    log = [row for row in trainer.state.log_history if "grad_norm" in row]
    assert log[0]["reward"] < 0.6
    assert sum(row["reward"] for row in log[-5:]) / 5 > 0.95
    assert log[-1]["values/mean"] == pytest.approx(1, abs=0.15)
    assert log[-1]["value_error"] < log[0]["value_error"]


@pytest.mark.parametrize("kind", ["copy", "shared"])
@pytest.mark.slow
def test_a_cut_run_goes_on_with_both_models_and_the_policy_loads_alone(kind, chosen, run_folder, monkeypatch):
    changes = {"train__steps": 4, "recipe__critic": kind, "recipe__value_warmup_steps": 1}
    whole = run_folder(chosen("ppo", **changes), "whole")
    worker.run(whole)
    cut = run_folder(chosen("ppo", **changes), "cut")
    evaluate = worker.evaluate_checkpoint

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "evaluate_checkpoint", crash)
    with pytest.raises(KeyboardInterrupt):
        worker.run(cut)
    monkeypatch.setattr(worker, "evaluate_checkpoint", evaluate)
    worker.run(cut)
    for file in ("model.safetensors", "critic/model.safetensors"):
        ends = [load_file(folder / "checkpoints/step-000004" / file) for folder in (whole, cut)]
        assert set(ends[0]) == set(ends[1]) and ends[0]
        for name, tensor in ends[0].items():
            torch.testing.assert_close(ends[1][name], tensor, rtol=1e-4, atol=1e-6)
    assert [row["step"] for row in read_jsonl(cut / "ledger.jsonl")] == [1, 2, 3, 4]
    _, told = AutoModelForCausalLM.from_pretrained(whole / "checkpoints/step-000004", output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"recipe__q": "base"}, "states"),
        ({"recipe__loss_type": "bnpo"}, "mean over tokens"),
        ({"recipe__importance_sampling_level": "sequence"}, "token by token"),
        ({"recipe__dynamic_sampling": 1}, "needs no group"),
    ],
)
def test_what_a_critic_cannot_value_is_refused(change, message, chosen):
    with pytest.raises(UserError, match=message):
        validate(chosen("ppo", **change).model_dump())


def test_mini_batches_that_do_not_divide_a_step_are_refused(ppo):
    with pytest.raises(UserError, match="num_mini_batches=3"):
        ppo(recipe__num_mini_batches=3)


@pytest.mark.slow
def test_with_an_adapter_neither_trunk_is_trained_and_a_cut_run_goes_on(chosen, run_folder, monkeypatch):
    changes = {"train__steps": 2, "train__save_steps": 1, "model__lora_rank": 4}
    whole = run_folder(chosen("ppo", **changes), "whole")
    worker.run(whole)
    for file in ("adapter_model.safetensors", "critic/model.safetensors"):
        names = set(load_file(whole / "checkpoints/step-000002" / file))
        assert names and all("lora_" in name or name.startswith("head.") for name in names)
    cut = run_folder(chosen("ppo", **changes), "cut")
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr(worker, "evaluate_checkpoint", lambda *_: 1 / 0)
        worker.run(cut)
    worker.run(cut)
    for file in ("adapter_model.safetensors", "critic/model.safetensors"):
        ends = [load_file(folder / "checkpoints/step-000002" / file) for folder in (whole, cut)]
        for name, tensor in ends[0].items():
            torch.testing.assert_close(ends[1][name], tensor, rtol=1e-4, atol=1e-6)
    policy = AutoModelForCausalLM.from_pretrained(whole / "checkpoints/step-000002")
    assert critic.of(policy) is None
