"""The sampler's log-probabilities against the trainer's, and runs whose sampler has other weights than it should."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from conf.errors import UserError
from data.compile import compile_dataset, read
from models import load
from train import mismatch, policy
from train.records import Records

RECIPES = Path(__file__).parent.parent.parent / "conf/recipe"
MEAN, LARGEST = (f"sampling/sampling_logp_difference/{name}" for name in ("mean", "max"))
RATIOS = [f"sampling/importance_sampling_ratio/{name}" for name in ("min", "mean", "max")]
SMALL = {
    "data__max_completion_length": 24,
    "train__prompts_per_step": 2,
    "recipe__num_generations": 4,
    "recipe__micro_batch_size": 4,
    "recipe__learning_rate": 1e-2,
}


@pytest.fixture
def made(configure, tmp_path):
    """A trainer of a recipe's file, small, with a reward that a random model earns now and then."""

    def make(name, steps=2, **changes):
        stated = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
        recipe = {f"recipe__{key}": value for key, value in stated.items()}
        lengths = {"train__steps": steps, "train__save_steps": steps}
        configuration = configure(name, **recipe | SMALL | lengths | changes)
        compile_dataset(configuration, tmp_path / "data")
        rows, order, _ = read(tmp_path / "data")
        model, tokenizer = load(configuration.model.path, dtype=configuration.model.dtype)
        trainer = policy.build(configuration, model, tokenizer, rows, order, tmp_path, Records(tmp_path, 0))
        trainer.reward_funcs = [by_sum for _ in trainer.reward_funcs]
        return trainer

    return make


def by_sum(completion_ids, **_):
    return [float(sum(ids) % 3 == 0) for ids in completion_ids]


def logged(trainer):
    trainer.train()
    return [row for row in trainer.state.log_history if "grad_norm" in row]


def test_the_measures_are_those_of_a_plain_loop_over_tokens():
    rng = np.random.default_rng(0)
    parts, differences = [mismatch.NOTHING], []
    for rows in (3, 1, 4):  # micro-batches of ragged rows, a teacher's among them
        mask = np.arange(7) < rng.integers(1, 8, rows)[:, None]
        trained, sampled = rng.normal(-2, 1, (2, rows, 7))
        sampled[0] = np.nan if rows > 1 else sampled[0]
        differences += [t - s for t, s in zip(trained[mask], sampled[mask], strict=True) if s == s]
        parts.append(mismatch.gap(*map(torch.tensor, (trained, sampled, mask.astype(int)))))
    found = mismatch.summary(mismatch.together(parts))
    ratios = [np.exp(d) for d in differences]
    assert found[MEAN] == pytest.approx(np.mean(np.abs(differences)))
    assert found[LARGEST] == pytest.approx(max(map(abs, differences)))
    assert [found[name] for name in RATIOS] == pytest.approx([min(ratios), np.mean(ratios), max(ratios)])
    assert mismatch.summary(mismatch.NOTHING) == {}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in ("grpo", "luffy", "rloo", "gspo", "ppo")),  # the last two make several updates
        ("ppo", {"recipe__num_iterations": 1, "recipe__num_mini_batches": 1}),
    ],
)
def test_a_policy_that_samples_itself_differs_by_rounding(name, changes, made):
    log = logged(made(name, **changes))
    told = [row for row in log if MEAN in row]
    assert len(told) == 2
    for row in told:
        assert 0 < row[MEAN] <= row[LARGEST] < 1e-4
        assert [row[ratio] for ratio in RATIOS] == pytest.approx([1, 1, 1], abs=1e-4)
        assert row[RATIOS[0]] < row[RATIOS[2]]


def test_an_arm_that_samples_nothing_logs_nothing(made):
    assert not [key for row in logged(made("dft")) for key in row if key.startswith("sampling/")]


def test_rounding_to_bfloat16_is_within_the_limit(made):
    for row in logged(made("grpo", model={"path": "models/embedded", "dtype": "bfloat16"})):
        assert 0 < row[MEAN] < 0.1


def test_responses_of_other_weights_end_the_run_before_the_update(made):
    trainer = made("grpo", steps=3)
    trainer.sampler = lambda q: nullcontext(trainer.copy_of("base"))  # as if the weights had never reached it
    with pytest.raises(UserError) as caught:
        trainer.train()
    assert trainer.state.global_step == 1  # the base's own responses are right in the first step
    assert "train.mismatch_limit=0.1" in caught.value.why and "model.dtype" in caught.value.change


def test_without_a_limit_it_is_told_and_nothing_more(made):
    trainer = made("grpo", train__mismatch_limit=0.0)
    trainer.sampler = lambda q: nullcontext(trainer.copy_of("base"))
    log = logged(trainer)
    assert log[0][MEAN] < 1e-4 and log[1][MEAN] > 0.1 and log[1][RATIOS[0]] < 0.9


def test_a_snapshot_that_ages_is_told_and_allowed(made):
    """Its responses are off-policy by design; each new copy is the policy again."""
    found = [row.get(MEAN) for row in logged(made("iterative_rft", steps=4, recipe__resample_steps=3))]
    told = [mean for mean in found if mean is not None]
    assert found[0] < 1e-4 and max(told) > 1e-2
    assert found[3] is None or found[3] < 1e-4


def broken(trainer, change):
    """The snapshot takes weights as `change` would have it."""
    copy = trainer.copy_of("snapshot")
    loads = copy.load_state_dict
    copy.load_state_dict = lambda state: loads(change(copy.state_dict(), state))
    return trainer


@pytest.mark.parametrize(
    ("limit", "change", "message"),
    [
        (0.1, lambda old, new: old, "old ones"),
        (0.0, lambda old, new: old, "old ones"),
        (0.1, lambda old, new: new | {"model.norm.weight": old["model.norm.weight"]}, "differ by"),
        (0.1, lambda old, new: new | {"lm_head.weight": new["lm_head.weight"] * 1.01}, "differ by"),
    ],
)
def test_a_sampler_that_did_not_get_the_weights_ends_the_run(limit, change, message, made):
    trainer = made("iterative_rft", recipe__resample_steps=1, train__mismatch_limit=limit)
    with pytest.raises(UserError) as caught:
        broken(trainer, change).train()
    assert message in caught.value.given and "other weights" in caught.value.why
    assert trainer.state.global_step < 2


def test_the_probe_changes_nothing(made):
    """Neither weights nor modes, nor what is drawn next."""
    trainer = made("iterative_rft")
    model = trainer.model.train()
    before, state = {name: one.clone() for name, one in model.state_dict().items()}, torch.get_rng_state()
    with trainer.sampler("snapshot"):
        pass
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert torch.equal(trainer.probe.trained, trainer.probe.sampling)
