"""TRL's defaults move between versions; what changes an objective is written out, and this notices a move."""

import dataclasses
import inspect
import re

from transformers import TrainingArguments
from trl import GRPOConfig, GRPOTrainer, SFTConfig

from train.policy import objective

# keys of GRPOConfig that change no objective here: where work is done, what is shown, and what another key turns off
ELSEWHERE = (
    r"vllm_|transformers_|use_transformers|log_|num_completions_to_print|eval|model_init_kwargs|trust_remote_code|"
    r"ref_model_|entropy_coef_|entropy_target|sapo_|vespo_|max_tool_calling|cache_implementation|pad_to_multiple_of|"
    r"generation_batch_size|ds3_gather|steps_per_generation|generation_kwargs|chat_template_kwargs|num_generations_eval"
)

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
        "shuffle_dataset": True,
        "multi_objective_aggregation": "sum_then_normalize",
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "delta": None,
        "entropy_coef": 0.0,
        "use_adaptive_entropy": False,
        "off_policy_mask_threshold": None,
        "router_aux_loss_coef": None,
        "sync_ref_model": False,
        "disable_dropout": False,
        "cast_lm_head_to_fp32": False,
        "reward_weights": None,
        "num_generations": 8,
        "max_completion_length": 512,
        "use_vllm": False,
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


def test_no_key_of_grpo_is_neither_written_out_nor_known_to_be_elsewhere(configure):
    """A key that a new TRL brings has to be put into one of the two."""
    common = {field.name for field in dataclasses.fields(TrainingArguments)}
    own = {field.name for field in dataclasses.fields(GRPOConfig)} - common
    unknown = [name for name in own - set(objective(configure("grpo"))) if not re.match(ELSEWHERE, name)]
    assert not unknown


def test_trl_still_has_the_steps_that_the_policy_trainer_takes_over():
    """By name and by what they are given: a renamed one would be overridden by nobody, in silence."""
    expected = {
        "_generate_and_score_completions": ["self", "inputs"],
        "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
        "_compute_loss": ["self", "model", "inputs"],
        "_get_per_token_logps_and_entropies": ["self", "model", "input_ids", "attention_mask", "logits_to_keep"],
    }
    for name, first in expected.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters)[: len(first)] == first
    source = inspect.getsource(GRPOTrainer)
    for called in ("self._calculate_rewards(", "self._compute_loss(", "self._generate_and_score_completions("):
        assert called in source
