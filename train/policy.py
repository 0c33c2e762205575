"""The policy trainer: TRL's GRPOTrainer, fed in the stored order, with a recipe's q, w and surrogate in its places.

L = - E_{x in D} E_{y ~ q(.|x)} [ w(x, y) s(pi(y|x)) ] + beta KL(pi || base)

q: train/responses.py, and here what samples. w: train/weights.py. s: train/surrogates.py; the clipped ratios are TRL's.
Where they meet: train/policy_trainer.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from trl import GRPOConfig

from conf.errors import UserError
from conf.schema import Configuration
from models.adapter import keep_precision
from models.generation import generate
from models.seeds import stream
from train import heads, responses, rewarding
from train.arguments import share, shared
from train.clock import Clock
from train.policy_trainer import PHASES, PolicyTrainer
from train.ppo import PPOTrainer
from train.records import Records

Ids = list[int]
Response = tuple[Ids, list[float]]  # and the log-probability of each token where it was sampled
Sample = Callable[[PolicyTrainer, str, list[Ids], list[int]], list[Response]]  # trainer, q, prompts, seeds
CORRECTION = tuple(f"vllm_importance_sampling_{name}" for name in ("correction", "mode", "clip_max"))
UNKNOWN = float("nan")  # the log-probability of a token that was not sampled


def objective(configuration: Configuration) -> dict[str, Any]:
    """Every key of GRPOConfig that changes the objective or what it is estimated from; defaults of TRL move."""
    recipe = configuration.recipe
    return {
        "beta": recipe.beta,
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
        "router_aux_loss_coef": None,
        "sync_ref_model": False,
        "disable_dropout": True,
        "cast_lm_head_to_fp32": False,
        "reward_weights": list(recipe.reward_weights),
        "multi_objective_aggregation": "sum_then_normalize",
        "num_generations": configuration.responses_per_prompt,
        "temperature": recipe.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "max_completion_length": configuration.data.max_completion_length,
        "use_vllm": False,  # TRL's own; train/rollouts.py
        **{name: getattr(configuration.rollouts, name) for name in CORRECTION},
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
) -> PolicyTrainer:
    """A trainer over `order` [steps, prompts_per_step]; a step is one batch of prompts, with `updates_per_step`."""
    recipe = configuration.recipe
    per_step = configuration.train.prompts_per_step * configuration.responses_per_prompt
    if recipe.dynamic_sampling and share(per_step) % recipe.num_generations:
        given = f"recipe.dynamic_sampling={recipe.dynamic_sampling} with {share(per_step)} responses a process and step"
        raise UserError(given, "a group would be cut in two", "make train.prompts_per_step a multiple of the processes")
    common = shared(configuration, folder, per_step)
    heads.score_labels_alone()
    kind = PPOTrainer if recipe.w == "critic_advantage" else PolicyTrainer
    trainer = kind(
        model=model,
        reward_funcs=rewarding.functions(configuration, tokenizer, records),
        args=_arguments(configuration, common, per_step),
        train_dataset=responses.examples(configuration, tokenizer, rows, order),
        processing_class=tokenizer,
        rollout_func=_rollout(configuration, tokenizer),
    )
    keep_precision(configuration, trainer.model)
    trainer.configuration, trainer.ledger, trainer.clock = configuration, records.ledger, Clock(PHASES)
    trainer.copies, trainer.gaps = {}, []
    if isinstance(trainer, PPOTrainer):
        trainer.attach_critic()
    return trainer


def _arguments(configuration: Configuration, common: dict[str, Any], per_step: int) -> GRPOConfig:
    """TRL refuses one response a prompt: they could not be compared. An arm that compares nothing may have it."""
    if per_step == 1:
        given = "a step of one prompt with one response"
        raise UserError(given, "TRL's GRPOConfig wants two responses a step", "raise train.prompts_per_step")
    stated = objective(configuration)
    wanted = stated["num_generations"]
    arguments = GRPOConfig(
        **common,
        **stated | {"num_generations": wanted if wanted > 1 else per_step},
        steps_per_generation=common["gradient_accumulation_steps"] * configuration.mini_batches,
    )
    arguments.num_generations = wanted
    return arguments


def _rollout(configuration: Configuration, tokenizer: Any) -> Any:
    """TRL hands over prompts already repeated `num_generations` times; we take their compiled ids, and fetch or sample
    responses."""

    def sample(trainer: PolicyTrainer, q: str, ids: list[Ids], seeds: list[int]) -> list[Response]:
        logps: list[list[float]] = []
        with trainer.sampler(q) as sampler, trainer.phase("generate"):
            found = generate(
                sampler,
                ids,
                end_id=tokenizer.eos_token_id,
                pad_id=tokenizer.pad_token_id,
                max_new_tokens=configuration.data.max_completion_length,
                temperature=configuration.recipe.temperature,
                seeds=seeds,
                batch_size=len(ids),
                batch_tokens=configuration.hardware.generation_tokens,
                logps=logps,
            )
        trainer.ledger.generate(ids, found)
        return list(zip(found, logps, strict=True))

    def rollout(prompts: list[str], trainer: PolicyTrainer) -> dict[str, Any]:
        if trainer.drawn is not None:
            output, trainer.drawn = trainer.drawn, None
            return output
        ids = [list(row["prompt_ids"]) for row in trainer.examples]
        found, logps = _responses(configuration, trainer, ids, sample)
        trainer.rows = [(len(prompt), len(one or ())) for prompt, one in zip(ids, found, strict=True)]
        completions = [one or [tokenizer.eos_token_id] for one in found]
        output = {"prompt_ids": ids, "completion_ids": completions, "logprobs": logps}
        if None in found:  # a response that does not exist bears no loss
            pairs = zip(found, completions, strict=True)
            output["env_mask"] = [[int(one is not None)] * len(ids) for one, ids in pairs]
        return output

    return rollout


def _responses(
    configuration: Configuration, trainer: PolicyTrainer, ids: list[list[int]], sample: Sample
) -> tuple[list[list[int] | None], list[list[float]] | None]:
    """One response a row: the teacher's where it is asked, sampled ones elsewhere, each with a stream of its own; and
    the log-probabilities that their tokens were sampled with, None where none was."""
    q, step, rank = trainer.parts().q, trainer.finished, trainer.accelerator.process_index
    q = "teacher" if q == "base" and not configuration.samples else q
    places = range(rank * len(ids), (rank + 1) * len(ids))
    taught = [row.get("taught", []) for row in trainer.examples]
    found = responses.imitated(q, taught, [place % configuration.responses_per_prompt for place in places])
    trainer.taught = [i in found for i in range(len(ids))]
    free = [i for i in range(len(ids)) if i not in found]
    logps = [[UNKNOWN] * len(found.get(i) or (0,)) for i in range(len(ids))]
    if free:
        again = (trainer.attempt, rank) if trainer.attempt else ()
        seeds = [stream(configuration.seed, "sampling", step, places[i], *again) for i in free]
        sampled = dict(zip(free, sample(trainer, q, [ids[i] for i in free], seeds), strict=True))
        found |= {i: response for i, (response, _) in sampled.items()}
        logps = [sampled[i][1] if i in sampled else unknown for i, unknown in enumerate(logps)]
    return [found[i] for i in range(len(ids))], logps if free or trainer.use_vllm else None
