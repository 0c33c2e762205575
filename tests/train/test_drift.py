"""KL to the base against a plain float64 computation, in both trainers; and that measuring changes nothing."""

import pytest
import torch

from data.compile import compile_dataset, read
from models import load
from train import policy, sft
from train.drift import EXACT, K3, divergence
from train.records import Records

SMALL = {"data__max_completion_length": 40, "train__prompts_per_step": 4, "recipe__learning_rate": 3e-3}


@pytest.fixture
def trained(configure, tmp_path):
    """The rows logged by a short run, its trainer, and the batches that it was shown."""

    def train(recipe, name, **changes):
        configuration = configure(recipe, **SMALL | {"train__steps": 3, "train__save_steps": 3} | changes)
        folder = tmp_path / name
        compile_dataset(configuration, folder / "data")
        rows, order, _ = read(folder / "data")
        model, tokenizer = load(configuration.model.path)
        build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
        trainer = build(configuration, model, tokenizer, rows, order, folder, Records(folder, 0))
        if recipe != "sft":
            trainer.reward_funcs = [lambda completion_ids, **_: [float(sum(ids) % 3 == 0) for ids in completion_ids]]
        trainer.train()
        return [row for row in trainer.state.log_history if "grad_norm" in row], trainer, rows, order

    return train


def slow(policy_model, base, ids, answered):
    """(exact, k3) [answered] of the last tokens of one text."""
    text = torch.tensor([ids])
    with torch.no_grad():
        now, before = (one.double()(input_ids=text).logits[0].log_softmax(-1) for one in (policy_model, base))
    exact, k3 = [], []
    for t in range(len(ids) - answered, len(ids)):
        p, q = now[t - 1], before[t - 1]
        exact.append(sum(float(p[y].exp() * (p[y] - q[y])) for y in range(len(p))))
        d = float(q[ids[t]] - p[ids[t]])
        k3.append(torch.tensor(d).double().exp().item() - d - 1)
    return exact, k3


@pytest.mark.parametrize("numbers", [3000, 300])  # in pieces of rows, and of a row's states
@pytest.mark.parametrize("side", ["left", "right"])
def test_it_is_the_sum_over_the_vocabulary_in_every_state_of_a_response(side, numbers, base, monkeypatch):
    monkeypatch.setattr("train.drift.NUMBERS", numbers)
    model, before = (load(str(base))[0] for _ in range(2))
    torch.manual_seed(0)
    for one in model.parameters():
        one.data += 0.02 * torch.randn_like(one)
    rng, texts, answered = torch.Generator().manual_seed(1), [], (3, 1, 9, 0)
    for extra in (4, 9, 2, 5):
        texts.append(torch.randint(3, 40, (extra + answered[len(texts)],), generator=rng).tolist())
    width = max(map(len, texts))
    ids, attention, mask = (torch.zeros(4, width, dtype=torch.long) for _ in range(3))
    for row, (text, count) in enumerate(zip(texts, answered, strict=True)):
        begin = width - len(text) if side == "left" else 0
        here = slice(begin, begin + len(text))
        ids[row, here], attention[row, here] = torch.tensor(text), 1
        mask[row, begin + len(text) - count : begin + len(text)] = 1
    found = divergence(model.train(), before, ids, attention, mask)
    assert model.training
    for row, (text, count) in enumerate(zip(texts, answered, strict=True)):
        expected = slow(load_like(model, base), load(str(base))[0], text, count)
        for one, own in zip(found, expected, strict=True):
            assert one[row][mask[row].bool()].tolist() == pytest.approx(own, abs=1e-5)
    assert found[0][mask.bool()].min() > 1e-4


def load_like(model, base):
    copy = load(str(base))[0]
    copy.load_state_dict(model.state_dict())
    return copy


def test_nothing_answered_nothing_measured(base):
    model, ids = load(str(base))[0], torch.tensor([[5, 6, 7]])
    for one in divergence(model, model, ids, torch.ones_like(ids), torch.zeros_like(ids)):
        assert one.shape == ids.shape and not one.any()


@pytest.mark.parametrize("micro", [8, 2])
def test_sft_measures_it_on_its_targets_before_each_update(micro, trained, base):
    """At the second step the policy is what one step made of the base; the rows are the first of the step's."""
    once, one, *_ = trained("sft", "once", train__steps=1, train__save_steps=1, recipe__micro_batch_size=micro)
    log, _, rows, order = trained("sft", "run", train__kl_rows=3, recipe__micro_batch_size=micro)
    assert log[0][EXACT] == pytest.approx(0, abs=1e-6) and log[0][K3] == pytest.approx(0, abs=1e-6)
    exact, k3 = [], []
    for slot in order[1][:3]:
        row = rows[int(slot)]
        found = slow(
            load_like(one.model, base),
            load(str(base))[0],
            row["prompt_ids"] + row["target_ids"][0],
            len(row["target_ids"][0]),
        )
        exact, k3 = exact + found[0], k3 + found[1]
    assert log[1][EXACT] == pytest.approx(sum(exact) / len(exact), rel=1e-3)
    assert log[1][K3] == pytest.approx(sum(k3) / len(k3), rel=1e-3)
    assert EXACT not in once[0]


@pytest.mark.parametrize("recipe", ["sft", "grpo"])
def test_measuring_changes_neither_the_run_nor_what_it_is_said_to_cost(recipe, trained):
    ends = []
    for rows in (0, 8):
        log, trainer, *_ = trained(recipe, f"rows{rows}", train__kl_rows=rows)
        counts = trainer.ledger.close(3, 3, 0, lambda own: [own])
        ends.append((trainer.model.state_dict(), {key: counts[key] for key in counts if "flops" in key}))
    assert all(torch.equal(ends[0][0][name], ends[1][0][name]) for name in ends[0][0]) and ends[0][1] == ends[1][1]
    assert log[2][EXACT] > 1e-4 and log[2][K3] > 0


def test_k3_is_an_estimate_where_the_responses_are_the_policys(trained):
    log, *_ = trained("grpo", "grpo", train__kl_rows=16, train__adam_epsilon=0.01, recipe__learning_rate=0.01)
    assert log[2][K3] == pytest.approx(log[2][EXACT], rel=0.7)
