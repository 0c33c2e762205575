"""Log-probabilities of the policy trainer, packed, against TRL's own rows, and what training makes of them."""

from functools import partial

import pytest
import torch
from torch.nn.functional import pad
from trl import GRPOTrainer

from data.compile import compile_dataset, read
from models import load
from train import policy
from train.records import Records


@pytest.fixture
def made(configure, tmp_path):
    """A policy trainer, small; its reward is one that a random model earns now and then."""

    def make(where, **changes):
        settings = {"train__steps": 2, "data__max_completion_length": 40, "recipe__learning_rate": 0.01}
        given = configure("grpo", **settings | {"train__adam_epsilon": 0.01} | changes)
        compile_dataset(given, tmp_path / where / "data")
        rows, order, _ = read(tmp_path / where / "data")
        records = Records(tmp_path / where, 0)
        trainer = policy.build(given, *load(given.model.path), rows, order, tmp_path / where, records)
        trainer.reward_funcs = [lambda completion_ids, **_: [float(sum(ids) % 3 == 0) for ids in completion_ids]]
        return trainer

    return make


def prepared(trainer):
    """The first micro-batch, with a gradient to come."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    return trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))


def row_by_row(trainer, model, ids, mask, columns, batch_size=None, compute_entropy=False, **_):
    """TRL's forward pass, in float64 on no padding: it would make numbers of padding that are none."""
    of_rows = []
    for row, used in zip(ids, mask, strict=True):
        size = int(used[-columns:].sum())
        one = row[None, used == 1]
        found = GRPOTrainer._get_per_token_logps_and_entropies(
            trainer, model, one, torch.ones_like(one), size, compute_entropy=compute_entropy
        )
        of_rows.append([None if part is None else pad(part, (0, columns - size)) for part in found])
    return tuple(None if parts[0] is None else torch.cat(parts) for parts in zip(*of_rows, strict=True))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_loss_and_gradient_are_trls_in_float64(made, attention):
    """On rows of ragged lengths: what TRL's trainer makes of each row with its own forward pass, without padding."""
    trainer = made("run", model__attn_implementation=attention, recipe__micro_batch_size=16)
    inputs = prepared(trainer)
    trainer.model.double()
    found = trainer._logps(trainer.model, inputs, compute_entropy=True)
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    assert trainer.packs
    gradients = {name: one.grad.clone() for name, one in trainer.model.named_parameters()}
    trainer.model.zero_grad()
    trainer._scored = partial(row_by_row, trainer)
    expected = trainer._logps(trainer.model, inputs, compute_entropy=True)
    theirs = trainer._compute_loss(trainer.model, inputs)
    theirs.backward()
    mask = inputs["completion_mask"]
    assert mask.sum(1).unique().numel() > 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one * mask, other * mask, rtol=1e-4, atol=1e-5)  # norms run in float32
    assert loss.item() == pytest.approx(theirs.item(), abs=1e-6)
    for name, one in trainer.model.named_parameters():
        torch.testing.assert_close(one.grad, gradients[name], rtol=1e-3, atol=1e-6)


def test_two_steps_end_at_the_weights_of_plain_rows_that_are_shuffled(made, monkeypatch):
    ends = {}
    for name, micro in (("packed", 4), ("plain", 4)):
        trainer = made(name, recipe__micro_batch_size=micro)
        if name == "plain":
            trainer.packs = False
            monkeypatch.setattr(type(trainer), "_prepare_inputs", GRPOTrainer._prepare_inputs)
        trainer.train()
        assert trainer.packs == (name == "packed")
        ends[name] = {key: value.detach() for key, value in trainer.model.state_dict().items()}
    start = load(trainer.configuration.model.path)[0].state_dict()
    assert max((value - start[key]).abs().max() for key, value in ends["packed"].items()) > 1e-3
    for key, value in ends["packed"].items():
        torch.testing.assert_close(value, ends["plain"][key], rtol=1e-4, atol=1e-5)


def test_the_ratio_is_exactly_one_at_the_first_inner_step(made):
    """The old policy scores the same rows in the same layout as the first update reads them in."""
    trainer = made("run", recipe__num_iterations=2, recipe__micro_batch_size=8, train__steps=1)
    inputs = prepared(trainer)
    logps, _ = trainer._logps(trainer.model, inputs)
    assert trainer.packs and torch.equal((logps - inputs["old_per_token_logps"]).exp(), torch.ones_like(logps))


def test_groups_stay_together_but_where_a_row_weighs_by_its_micro_batch(made):
    for loss_type in ("grpo", "bnpo"):
        trainer = made(loss_type, recipe__micro_batch_size=4, recipe__loss_type=loss_type)
        prompts = prepared(trainer)["prompt_ids"]
        assert (len(prompts.unique(dim=0)) == 1) == (loss_type == "grpo")
