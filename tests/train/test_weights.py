"""What responses weigh, against slow float64 references and against TRL's own."""

import math
import statistics

import pytest
import torch
from datasets import Dataset

from train import weights

GENERATOR = torch.Generator().manual_seed(7)


def rewards(groups=6, members=5, holes=0.2):
    """Random rewards with rows that no function could score, and the groups that break a careless mean."""
    found = torch.randn(groups, members, generator=GENERATOR, dtype=torch.float64)
    found[torch.rand(groups, members, generator=GENERATOR) < holes] = math.nan
    found[0], found[1, 1:], found[2] = 1.0, math.nan, math.nan
    return found


def known(values):
    return [value for value in values if not math.isnan(value)]


def slow(w, scale, table):
    """Number by number."""
    everything = known([value for row in table for value in row])
    found = []
    for row in table:
        group = known(row)
        for place, value in enumerate(row):
            others = known([other for i, other in enumerate(row) if i != place])
            found.append(slow_one(w, scale, value, group, others, everything))
    return found


def slow_one(w, scale, value, group, others, everything):
    if w == "one":
        return 1.0
    if math.isnan(value):
        return 0.0
    if w == "right":
        return float(value > 0)
    if w == "leave_one_out":
        return value - statistics.mean(others) if others else 0.0
    if w == "batch_advantage":
        return (value - statistics.mean(everything)) / (statistics.stdev(everything) + 1e-4)
    advantage = value - statistics.mean(group)
    spread = {"group": group, "batch": everything}.get(scale)
    if spread is not None:
        advantage = advantage / (statistics.stdev(spread) + 1e-4) if len(spread) > 1 else 0.0
    return {"positive": max(advantage, 0.0), "negative": min(advantage, 0.0)}.get(w, advantage)


@pytest.mark.parametrize(
    ("w", "scale"),
    [
        *[(w, "group") for w in ("one", "right", "leave_one_out", "batch_advantage", "positive", "negative")],
        *[("group_advantage", scale) for scale in ("group", "batch", "none")],
    ],
)
def test_weights_are_what_their_definition_says(w, scale):
    given = rewards()
    found = weights.of(w, given, scale)
    assert found.shape == given.shape and found.dtype == torch.float64
    assert found.flatten().tolist() == pytest.approx(slow(w, scale, given.tolist()), abs=1e-12)


def test_positive_and_negative_add_up_to_the_advantage():
    given = rewards()
    both = weights.of("positive", given, "group") + weights.of("negative", given, "group")
    torch.testing.assert_close(both, weights.of("group_advantage", given, "group"))


@pytest.mark.parametrize("w", ["group_advantage", "leave_one_out", "positive", "negative", "batch_advantage"])
def test_equal_rewards_weigh_nothing(w):
    assert not weights.of(w, torch.ones(4, 3), "group").any()


def trained(kind, base, tmp_path, **arguments):
    """TRL's own trainer after one step on rewards of its rollouts: (rewards [groups, 4], advantages)."""
    import trl

    from models import load

    model, tokenizer = load(str(base))

    def length_reward(completion_ids, **_):
        return [float(sum(ids) % 5) for ids in completion_ids]

    config = getattr(trl, f"{kind}Config")(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=8, num_generations=4, use_cpu=True,
        max_completion_length=6, report_to=[], disable_tqdm=True, **arguments,
    )  # fmt: skip
    data = Dataset.from_dict({"prompt": [[{"role": "user", "content": f"{i}+1"}] for i in range(8)]})
    trainer = getattr(trl, f"{kind}Trainer")(
        model=model, reward_funcs=[length_reward], args=config, train_dataset=data, processing_class=tokenizer
    )
    trainer.train()
    kept = torch.tensor(list(trainer._logs["rewards"]["length_reward"])).view(-1, 4)
    return kept, torch.tensor(list(trainer._logs["advantages"])).view(-1, 4)


@pytest.mark.parametrize(
    ("kind", "w", "arguments"),
    [
        ("RLOO", "leave_one_out", {"normalize_advantages": False}),
        ("GRPO", "group_advantage", {"scale_rewards": "group"}),
        ("GRPO", "group_advantage", {"scale_rewards": "batch"}),
    ],
)
def test_trl_weighs_its_rollouts_alike(kind, w, arguments, base, tmp_path):
    given, theirs = trained(kind, base, tmp_path, **arguments)
    assert given.std() > 0
    ours = weights.of(w, given, arguments.get("scale_rewards", "none"))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
