"""The policy trainer: TRL's GRPOTrainer, fed in the stored order and sampling through our one generator.

L = - E_{y ~ pi_old} [ mean_t min(r_t A, clip(r_t, 1 - epsilon, 1 + epsilon_high) A) ] + beta KL(pi || base)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from conf.schema import Configuration
from models.flops import Row
from models.generation import generate
from models.render import prompt_ids
from models.seeds import stream
from train import rewarding
from train.arguments import shared
from train.ledger import Ledger
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


class BookedGRPOTrainer(GRPOTrainer):
    """TRL's trainer, with what it scores and how long it waits for rewards booked in the ledger."""

    ledger: Ledger
    rows: Sequence[Row] = ()  # of this process's present rollouts

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        with self.ledger.timed("seconds_reward"):
            return super()._calculate_rewards(*args, **kwargs)

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """Without a gradient all rollouts are scored, for the old policy or the reference; with one, trained on."""
        if not torch.is_grad_enabled():
            self.ledger.score(self.rows)
        return super()._get_per_token_logps_and_entropies(*args, **kwargs)


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
    trainer = BookedGRPOTrainer(
        model=model,
        reward_funcs=rewarding.functions(configuration, tokenizer, records),
        args=arguments,
        train_dataset=rows.select_columns(["prompt", "reference", "kind"]).select(order.ravel()),
        processing_class=tokenizer,
        rollout_func=_rollout(configuration, tokenizer, records.ledger),
    )
    trainer.ledger = records.ledger
    return trainer


def _rollout(configuration: Configuration, tokenizer: Any, ledger: Ledger) -> Any:
    """TRL hands over prompts already repeated `num_generations` times; we render, sample and book them."""

    def rollout(prompts: list[str], trainer: BookedGRPOTrainer) -> dict[str, Any]:
        step, rank = trainer.state.global_step, trainer.accelerator.process_index
        rendered = {prompt: prompt_ids(tokenizer, prompt) for prompt in dict.fromkeys(prompts)}
        ids = [rendered[prompt] for prompt in prompts]
        seeds = [stream(configuration.seed, "sampling", step, rank * len(ids) + i) for i in range(len(ids))]
        with ledger.timed("seconds_generate"):
            responses = generate(
                trainer.accelerator.unwrap_model(trainer.model),
                ids,
                end_id=tokenizer.eos_token_id,
                pad_id=tokenizer.pad_token_id,
                max_new_tokens=configuration.data.max_completion_length,
                temperature=configuration.recipe.temperature,
                seeds=seeds,
                batch_size=len(ids),
                batch_tokens=configuration.hardware.generation_tokens,
            )
        ledger.generate(ids, responses)
        trainer.rows = [(len(prompt), len(response)) for prompt, response in zip(ids, responses, strict=True)]
        _book(configuration, ledger, trainer, [row[-1] == tokenizer.eos_token_id for row in responses])
        return {"prompt_ids": ids, "completion_ids": responses, "logprobs": None}

    return rollout


def _book(configuration: Configuration, ledger: Ledger, trainer: BookedGRPOTrainer, ended: list[bool]) -> None:
    """The step's rollouts, and the training on them that follows."""
    recipe, rows = configuration.recipe, trainer.rows
    ledger.show(configuration.train.prompts_per_step if trainer.accelerator.is_main_process else 0, rows)
    with_loss = [
        response for (_, response), end in zip(rows, ended, strict=True) if end or not recipe.mask_truncated_completions
    ]
    ledger.train(rows, passes=recipe.num_iterations, learned=sum(with_loss))
