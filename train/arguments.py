"""Training arguments that every arm shares, written once; no objective rests on a default of TRL."""

from pathlib import Path
from typing import Any

from conf.errors import UserError
from conf.schema import Configuration
from train.processes import TIMEOUT_SECONDS, count


def shared(configuration: Configuration, folder: Path, rows_per_step: int) -> dict[str, Any]:
    """Keyword arguments of SFTConfig and GRPOConfig alike. `rows_per_step`: responses a step, over all processes."""
    train, recipe, hardware = configuration.train, configuration.recipe, configuration.hardware
    on_cpu = hardware.device == "cpu"
    updates_per_step, mini_batches = configuration.updates_per_step, configuration.mini_batches
    rows = share(rows_per_step)
    if rows % mini_batches:
        given = f"recipe.num_mini_batches={mini_batches} of {rows} responses a step and process"
        raise UserError(given, "one update would be larger than another", "choose a divisor of them")
    rows //= mini_batches
    micro = largest_divisor(rows, recipe.micro_batch_size)
    return {
        "output_dir": str(folder / "checkpoints" / ".writing"),
        "seed": configuration.seed,
        "data_seed": configuration.seed,
        "max_steps": configuration.total_steps * updates_per_step,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": rows // micro,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": train.lr_scheduler_type,
        "warmup_steps": train.warmup_steps * updates_per_step,
        "optim": "adamw_torch",
        "adam_beta1": train.adam_beta1,
        "adam_beta2": train.adam_beta2,
        "adam_epsilon": train.adam_epsilon,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "average_tokens_across_devices": True,
        "bf16": hardware.mixed_precision == "bf16" or configuration.model.dtype == "bfloat16" and not on_cpu,
        "fp16": False,
        "gradient_checkpointing": hardware.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if hardware.gradient_checkpointing else None,
        "use_cpu": on_cpu and not hardware.zero_stage,  # accelerate leaves DeepSpeed out where it is told of a CPU
        "ddp_backend": "gloo" if on_cpu and hardware.zero_stage else None,
        "ddp_timeout": TIMEOUT_SECONDS,
        "ddp_find_unused_parameters": False,  # there are none, and DDP would take a critic's output apart to look
        "save_strategy": "steps",
        "save_steps": train.save_steps * updates_per_step,
        "logging_steps": updates_per_step,
        "logging_first_step": False,
        "report_to": [],  # train/trackers.py tells them what metrics.jsonl says
        "run_name": f"{configuration.experiment.name}-{recipe.name}-{configuration.seed}",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": hardware.device == "cuda",
    }


def share(rows_per_step: int) -> int:
    """Responses a step of each process; UserError where they cannot be shared out evenly."""
    processes = count()
    if rows_per_step % processes:
        given = f"{rows_per_step} responses a step for {processes} processes"
        why = "processes with more rows than others would weigh them less"
        raise UserError(given, why, f"make train.prompts_per_step a multiple of {processes}")
    return rows_per_step // processes


def largest_divisor(total: int, limit: int) -> int:
    """The largest micro-batch up to `limit` that divides a step, so that no row weighs more than another."""
    return max(size for size in range(1, min(total, limit) + 1) if total % size == 0)
