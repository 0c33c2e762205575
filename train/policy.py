"""The policy trainer: TRL's GRPOTrainer, fed in the stored order and sampling through our one generator.

L = - E_{y ~ pi_old} [ mean_t min(r_t A, clip(r_t, 1 - epsilon, 1 + epsilon_high) A) ] + beta KL(pi || base)
"""

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from conf.schema import Configuration
from models.generation import generate
from models.render import prompt_ids
from models.seeds import stream
from train import rewarding
from train.arguments import shared
from train.records import Records


def objective(configuration: Configuration) -> dict[str, Any]:
    """Every key of GRPOConfig that changes the objective or what it is estimated from; defaults of TRL move."""
    recipe = configuration.recipe
    return {
        "beta": recipe.beta,
        "num_generations": recipe.num_generations,
        "num_iterations": recipe.num_iterations,
        "loss_type": recipe.loss_type,
        "scale_rewards": recipe.scale_rewards,
        "epsilon": recipe.epsilon,
        "epsilon_high": recipe.epsilon_high,
        "delta": None,
        "importance_sampling_level": recipe.importance_sampling_level,
        "mask_truncated_completions": recipe.mask_truncated_completions,
        "use_bias_correction_kl": False,
        "top_entropy_quantile": 1.0,
        "entropy_coef": 0.0,
        "use_adaptive_entropy": False,
        "off_policy_mask_threshold": None,
        "sync_ref_model": False,
        "disable_dropout": True,
        "cast_lm_head_to_fp32": False,
        "reward_weights": list(recipe.reward_weights),
        "multi_objective_aggregation": "sum_then_normalize",
        "temperature": recipe.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "max_completion_length": configuration.data.max_completion_length,
        "use_vllm": False,
        "shuffle_dataset": False,
    }


def build(
    configuration: Configuration,
    model: Any,
    tokenizer: Any,
    rows: Dataset,
    order: np.ndarray,
    folder: Path,
    records: Records,
) -> GRPOTrainer:
    """A trainer over `order` [steps, prompts_per_step]; a step is one batch of prompts and `num_iterations` updates."""
    recipe, train = configuration.recipe, configuration.train
    per_step = train.prompts_per_step * recipe.num_generations
    common = shared(configuration, folder, per_step, recipe.num_iterations)
    arguments = GRPOConfig(
        **common, **objective(configuration), steps_per_generation=common["gradient_accumulation_steps"]
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=rewarding.functions(configuration, tokenizer, records),
        args=arguments,
        train_dataset=rows.select_columns(["prompt", "reference", "kind"]).select(order.ravel()),
        processing_class=tokenizer,
        rollout_func=_rollout(configuration, tokenizer, records),
    )
    return trainer


def _rollout(configuration: Configuration, tokenizer: Any, records: Records) -> Any:
    """TRL hands over prompts already repeated `num_generations` times; we render, sample and book them."""
    recipe = configuration.recipe

    def rollout(prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        step, rank = trainer.state.global_step, trainer.accelerator.process_index
        ids = [prompt_ids(tokenizer, prompt) for prompt in prompts]
        seeds = [stream(configuration.seed, "sampling", step, rank * len(ids) + i) for i in range(len(ids))]
        responses = generate(
            trainer.accelerator.unwrap_model(trainer.model),
            ids,
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            max_new_tokens=configuration.data.max_completion_length,
            temperature=recipe.temperature,
            seeds=seeds,
            batch_size=len(ids),
        )
        records.totals.add(
            prompts=len(ids) // recipe.num_generations,
            prompted=map(len, ids),
            responded=map(len, responses),
            generated=True,
        )
        return {"prompt_ids": ids, "completion_ids": responses, "logprobs": None}

    return rollout
