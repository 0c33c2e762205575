"""What a run may ask of its devices: processes, ZeRO, precision, an adapter in place of all parameters."""

import re

from conf.errors import UserError
from conf.schema import Configuration, Hardware

OPTION = re.compile(r"--[a-z][a-z-]*(=[^\n]*)?")
SECRET = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSWD)\w*=[\"']?[^\s$\"']", re.IGNORECASE)
SLURM_SECONDS = 60  # by which Slurm may warn early


def check(configuration: Configuration) -> None:
    """UserError where no launcher can start it, where rows would weigh unequally, or where training stands still."""
    _check_model(configuration)
    _check_quantization(configuration)
    _check_hardware(configuration)
    _check_rollouts(configuration)
    _check_slurm(configuration.hardware)


def _check_model(configuration: Configuration) -> None:
    """Refuse parameters in which training stands still, and an adapter where a copy of the policy is sampled."""
    model, recipe = configuration.model, configuration.recipe
    if model.dtype == "bfloat16" and not model.lora_rank and not model.allow_pure_bfloat16:
        why = "without float32 master weights RL's small updates round away: bfloat16 keeps 8 bits of a weight"
        change = "set model.dtype=float32 (with hardware.mixed_precision=bf16 for speed), or model.allow_pure_bfloat16"
        raise UserError("model.dtype=bfloat16", why, f"{change}=true")
    if model.lora_rank and recipe.q == "snapshot":
        why = "the snapshot is a copy of a whole model, and an adapter is not one"
        raise UserError(
            f"model.lora_rank={model.lora_rank} with recipe.q=snapshot", why, "set model.lora_rank=0, or another recipe"
        )


def _check_quantization(configuration: Configuration) -> None:
    """Refuse 4 bits where all parameters would be trained, or where ZeRO would spread them; and Triton on a CPU."""
    model, hardware = configuration.model, configuration.hardware
    given = f"model.quantization={model.quantization}"
    if model.quantization != "none" and not model.lora_rank:
        why = "parameters of 4 bits cannot be trained: QLoRA trains an adapter beside them"
        raise UserError(f"{given} with model.lora_rank=0", why, "set model.lora_rank=16, or model.quantization=none")
    if model.quantization != "none" and hardware.zero_stage == 3:
        why = "bitsandbytes packs parameters in a form of its own, and ZeRO-3 would take it apart"
        raise UserError(
            f"{given} with hardware.zero_stage=3", why, "set hardware.zero_stage=2, or model.quantization=none"
        )
    if model.use_liger_kernel and hardware.device != "cuda":
        why = "its kernels are Triton's, which run on CUDA devices"
        raise UserError("model.use_liger_kernel=true on a CPU", why, "set model.use_liger_kernel=false")
    if model.attn_implementation == "flash_attention_2" and hardware.device != "cuda":
        given, why = "model.attn_implementation=flash_attention_2 on a CPU", "its kernels run on CUDA devices"
        raise UserError(given, why, "set model.attn_implementation=sdpa")


def _check_rollouts(configuration: Configuration) -> None:
    """Refuse what vLLM cannot do, and a correction that would be of something else."""
    given, hardware, recipe = configuration.rollouts, configuration.hardware, configuration.recipe
    if not configuration.samples_with_vllm:
        return
    together = given.vllm_tensor_parallel_size
    if given.vllm_mode == "colocate" and hardware.processes % together:
        text = f"rollouts.vllm_tensor_parallel_size={together} with hardware.processes={hardware.processes}"
        raise UserError(text, "an engine is shared by so many of the run's own processes", "choose a divisor of them")
    if given.vllm_mode == "colocate" and hardware.device == "cpu" and given.vllm_enable_sleep_mode:
        why = "vLLM's sleep mode gives a CUDA device's memory back; on a CPU there is none"
        change = "set rollouts.use_vllm=false, or rollouts.vllm_enable_sleep_mode=false"
        raise UserError("rollouts.vllm_mode=colocate on a CPU", why, change)
    if given.vllm_mode == "server" and given.vllm_weight_sync == "nccl" and hardware.device == "cpu":
        why = "NCCL sends from one CUDA device to another"
        raise UserError("rollouts.vllm_weight_sync=nccl on a CPU", why, "set rollouts.vllm_weight_sync=folder")
    starts = given.vllm_mode == "server" and not given.vllm_server_base_url
    here = given.vllm_server_host in ("127.0.0.1", "localhost") and not configuration.served_apart
    if starts and hardware.nodes > 1 and here:
        text = f"rollouts.vllm_server_host={given.vllm_server_host} with hardware.nodes={hardware.nodes}"
        why = "processes on the other machines would not find the server, which the first starts"
        change = "set it to the first machine's name, or rollouts.vllm_mode=colocate, or hardware.slurm.vllm_node=true"
        raise UserError(text, why, change)
    if given.vllm_importance_sampling_correction and recipe.q not in ("policy", "policy_and_teacher"):
        text = f"rollouts.vllm_importance_sampling_correction=true with recipe.q={recipe.q}"
        why = "it would weigh responses by how far the policy has moved from another model, and not by rounding"
        raise UserError(text, why, "set it to false")


def _check_hardware(configuration: Configuration) -> None:
    """Refuse a spread over devices that no launcher can start, or that weighs rows unequally."""
    hardware = configuration.hardware
    rows = configuration.train.prompts_per_step * configuration.responses_per_prompt
    if rows % hardware.processes:
        given = f"hardware.processes={hardware.processes} with {rows} responses a step"
        change = f"make train.prompts_per_step a multiple of {hardware.processes}"
        raise UserError(given, "processes with more rows than others would weigh them less", change)
    if hardware.hosts and len(hardware.hosts) != hardware.nodes:
        given = f"hardware.hosts names {len(hardware.hosts)} machines with hardware.nodes={hardware.nodes}"
        why = "each machine takes an equal part of the processes"
        raise UserError(given, why, f"set hardware.nodes={len(hardware.hosts)}")
    if hardware.processes % hardware.nodes:
        given = f"hardware.processes={hardware.processes} with hardware.nodes={hardware.nodes}"
        raise UserError(given, "machines would have unequally many", "make hardware.processes a multiple of the nodes")
    if hardware.zero_stage < {"none": 0, "optimizer": 1, "all": 3}[hardware.offload]:
        given = f"hardware.offload={hardware.offload} with hardware.zero_stage={hardware.zero_stage}"
        why = "ZeRO moves the optimizer from stage 1 on, and parameters in stage 3 only"
        raise UserError(given, why, "set hardware.zero_stage=3, or hardware.offload=none")
    if hardware.device == "cpu" and hardware.zero_stage and hardware.mixed_precision == "bf16":
        given = f"hardware.mixed_precision=bf16 with hardware.zero_stage={hardware.zero_stage} on a CPU"
        raise UserError(given, "DeepSpeed has no bfloat16 there", "set hardware.mixed_precision=no")
    if hardware.zero_stage == 3 and hardware.processes > 1 and configuration.recipe.dynamic_sampling:
        given = f"recipe.dynamic_sampling={configuration.recipe.dynamic_sampling} with hardware.zero_stage=3"
        why = "the model is gathered to sample, and a process without equal groups would not come"
        raise UserError(given, why, "set hardware.zero_stage=2, or recipe.dynamic_sampling=0")


def _check_slurm(hardware: Hardware) -> None:
    """Refuse what would not be one option of sbatch, a time that is over as it begins, and a secret in a script."""
    slurm = hardware.slurm
    if hardware.hosts and "slurm" in hardware.launcher:
        given = f"hardware.hosts={hardware.hosts} with hardware.launcher={hardware.launcher}"
        change = "leave hardware.hosts out, or set hardware.launcher=local"
        raise UserError(given, "Slurm says which machines a job has", change)
    words = (*(f"--{key}={getattr(slurm, key)}" for key in ("partition", "account", "qos")), *slurm.extra)
    for word in words:
        if not OPTION.fullmatch(word):
            change = "write one option without a line break, as --exclusive or --reservation=NAME"
            raise UserError(f"hardware.slurm: {word!r}", "it is no option of sbatch", change)
    for line in slurm.setup:
        if SECRET.search(line):
            change = "export it in the shell that you submit from, which sbatch passes on; or read it from a file there"
            raise UserError(f"hardware.slurm.setup: {line.partition('=')[0]}=...", "a secret would be written", change)
    if slurm.time_limit and seconds(slurm.time_limit) <= slurm.signal_seconds + SLURM_SECONDS:
        given = f"hardware.slurm.time_limit={slurm.time_limit} signal_seconds={slurm.signal_seconds}"
        why = "each start would be asked to stop at once: Slurm warns up to a minute early"
        raise UserError(given, why, "raise the one, or lower the other")


def seconds(time_limit: str) -> int:
    """Seconds of a time as sbatch takes it, D-HH:MM:SS or HH:MM:SS."""
    days, _, rest = time_limit.rpartition("-")
    hours, minutes, left = (int(part) for part in rest.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + left
