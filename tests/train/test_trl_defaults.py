"""TRL's defaults move between versions; what changes an objective is written out, and this notices a move."""

import dataclasses

from trl import GRPOConfig, SFTConfig

from train.policy import objective

KNOWN = {
    GRPOConfig: {
        "loss_type": "dapo",
        "beta": 0.0,
        "scale_rewards": "group",
        "epsilon": 0.2,
        "epsilon_high": None,
        "num_iterations": 1,
        "use_bias_correction_kl": True,
        "importance_sampling_level": "token",
        "mask_truncated_completions": False,
        "top_entropy_quantile": 1.0,
        "multi_objective_aggregation": "sum_then_normalize",
        "shuffle_dataset": True,
        "temperature": 1.0,
        "top_p": 1.0,
    },
    SFTConfig: {"loss_type": "nll", "packing": False, "max_length": 1024, "shuffle_dataset": False},
}


def test_the_defaults_this_project_knows_still_stand():
    for config, known in KNOWN.items():
        defaults = {field.name: field.default for field in dataclasses.fields(config)}
        assert {key: defaults[key] for key in known} == known


def test_every_key_of_grpo_that_changes_the_objective_is_written_out(configure):
    written = set(objective(configure("grpo")))
    assert set(KNOWN[GRPOConfig]) <= written
    assert written <= {field.name for field in dataclasses.fields(GRPOConfig)}
