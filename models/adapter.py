"""Low-rank adapters (LoRA, arXiv:2106.09685), trained in place of all parameters where model.lora_rank says so."""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from conf.schema import Configuration
from models.seeds import stream


def settings(configuration: Configuration) -> LoraConfig | None:
    """peft's, or None where all parameters are trained."""
    given = configuration.model
    if not given.lora_rank:
        return None
    return LoraConfig(
        r=given.lora_rank,
        lora_alpha=given.lora_alpha,
        lora_dropout=given.lora_dropout,
        target_modules=given.lora_target_modules,
        bias="none",
        task_type="CAUSAL_LM",
    )


def adapted(configuration: Configuration, model: Any) -> Any:
    """The model as it is trained: itself, or frozen with an adapter that changes nothing yet, equal in every arm.

    Its parameters are float32, but under ZeRO-3 the model's, for DeepSpeed gathers one type at a time.
    """
    config = settings(configuration)
    if config is None:
        return model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(configuration.seed, "adapter"))
        return get_peft_model(model, config, autocast_adapter_dtype=configuration.hardware.zero_stage != 3)


def keep_precision(configuration: Configuration, model: Any) -> None:
    """Have what is trained beside a base of 4 bits in float32 again: TRL's trainers make bfloat16 of it, in which small
    updates round away."""
    if configuration.model.quantization == "none":
        return
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
