"""What one arm takes of each device's memory, by part and phase, before it is started; the equations: docs/plan.md."""

from dataclasses import dataclass, replace
from typing import Any

from conf.errors import UserError
from conf.schema import Configuration
from launch import machine
from models import flops, memory, sizes
from models.memory import Precision, States
from models.sizes import Parameters, Shape

GIB = 2**30
Parts = dict[str, float]  # part -> bytes


@dataclass(frozen=True)
class Sized:
    """A model by its sizes."""

    shape: Shape
    own: Parameters
    head_norms: bool
    longest: int  # tokens its positions reach; 0: unknown


@dataclass(frozen=True)
class Needs:
    """Bytes of each device in every phase, by part; and of the host memory of each machine."""

    phases: dict[str, Parts]
    host: float

    @property
    def worst(self) -> str:
        """The phase that takes most."""
        return max(self.phases, key=lambda name: sum(self.phases[name].values()))

    @property
    def peak(self) -> float:
        """Bytes in that phase."""
        return sum(self.phases[self.worst].values())


def sized(key: str, path: str) -> Sized:
    """The model at `path`, a folder or a hub id; UserError where its sizes are not known here."""
    config = sizes.config(path)
    shape, own = (sizes.shape(config), sizes.parameters(config)) if config else (None, None)
    if config is None or shape is None or own is None:
        why = "its sizes are unknown: no config.json here, or a model_type that models/sizes.py does not count"
        raise UserError(f"{key}={path}", why, f"set {key} to a folder, or to one of {', '.join(sizes.published())}")
    return Sized(shape, own, sizes.head_norms(config), config.get("max_position_embeddings") or 0)


def capacity(configuration: Configuration) -> float:
    """Bytes of a device that tensors may take: what conf/hardware states, else what this machine has."""
    hardware = configuration.hardware
    there = hardware.device_memory_gib * GIB
    if not there and hardware.device == "cpu":
        there = machine.memory_gb() * 1e9 / hardware.workers
    there = there or machine.device_memory_gib() * GIB
    if not there:
        why = "how much memory a device has is not known, and no CUDA device is here to be asked"
        raise UserError(f"hardware={hardware.name}", why, "set hardware.device_memory_gib")
    return there - hardware.reserved_gib * GIB


def numbers(configuration: Configuration) -> Precision:
    """Widths of the run's numbers."""
    hardware = configuration.hardware
    return memory.precision(configuration.model.dtype, hardware.mixed_precision, hardware.zero_stage)


def sampling_numbers(configuration: Configuration) -> Precision:
    """Widths of what samples while it trains."""
    return memory.precision("bfloat16", "no", 0) if configuration.samples_rounded else numbers(configuration)


def read_numbers(configuration: Configuration) -> Precision:
    """Widths of a model that is read to be measured, and trained no further."""
    rounded = configuration.hardware.mixed_precision == "bf16"
    return memory.precision("bfloat16", "no", 0) if rounded else numbers(configuration)


def trained(configuration: Configuration, of: Sized) -> tuple[float, float]:
    """(all parameters, those of them that are trained), the critic's left out."""
    rank = configuration.model.lora_rank
    if not rank:
        return of.own.total, of.own.total
    adapter = of.shape.layers * flops.adapter(replace(of.shape, lora_rank=rank))
    return of.own.total + adapter, adapter


def with_critic(configuration: Configuration, of: Sized) -> tuple[float, float]:
    """The same with a critic's body of its own."""
    total, learned = trained(configuration, of)
    if not has_critic(configuration):
        return total, learned
    return 2 * total - of.own.head, 2 * learned - (0 if configuration.model.lora_rank else of.own.head)


def has_critic(configuration: Configuration) -> bool:
    """Whether a copy of the base learns values."""
    return configuration.recipe.w == "critic_advantage" and configuration.recipe.critic == "copy"


def rows_per_device(configuration: Configuration) -> int:
    """Responses a step of each process."""
    step = configuration.train.prompts_per_step * configuration.responses_per_prompt
    return max(1, step // configuration.hardware.processes)


def of(configuration: Configuration, micro_batch: int = 0) -> Needs:
    """The memory that an arm needs, with its micro-batch or with `micro_batch` rows."""
    model, hardware = sized("model.path", configuration.model.path), configuration.hardware
    policy, both = (_states(configuration, model, *count(configuration, model)) for count in (trained, with_critic))
    always = _always(configuration, model, policy, both)
    phases = _loading(configuration, model, always)
    if configuration.samples:
        phases["rollouts"] = always | _rollouts(configuration, model)
    asleep = not colocated(configuration) or configuration.rollouts.vllm_enable_sleep_mode
    for name, parts in _update(configuration, model, micro_batch or configuration.recipe.micro_batch_size).items():
        phases[name] = always | parts | ({} if asleep else _vllm(configuration))
    phases["evaluation"] = always | _evaluation(configuration, model) | ({} if asleep else _vllm(configuration))
    here = hardware.processes // hardware.nodes
    reading = 0 if hardware.device == "cpu" else 1 if hardware.zero_stage == 3 else here
    loaded = reading * model.own.total * memory.WIDTHS[configuration.model.dtype]
    return Needs(phases, max(here * both.host, loaded))


def _states(configuration: Configuration, model: Sized, total: float, learned: float) -> States:
    hardware = configuration.hardware
    spread = (hardware.zero_stage, hardware.offload, hardware.processes)
    found = memory.states(model.own, total, learned, numbers(configuration), *spread)
    return replace(found, parameters=found.parameters - saved(configuration, model) * round(total / model.own.total))


def saved(configuration: Configuration, model: Sized) -> float:
    """Bytes that 4 bits save on every copy of the base."""
    if configuration.model.quantization == "none":
        return 0.0
    return (numbers(configuration).parameters - memory.NF4_BYTES) * model.own.layers * model.own.layer


def _whole(configuration: Configuration, model: Sized) -> float:
    """Bytes of a whole base on a device."""
    return numbers(configuration).parameters * model.own.total - saved(configuration, model)


def _always(configuration: Configuration, model: Sized, policy: States, both: States) -> Parts:
    """What is there in every phase but loading."""
    found = {"parameters": policy.parameters, "gradients": policy.gradients, "optimizer": policy.optimizer}
    found |= {"buckets, gathered layers": policy.working, "critic": both.device - policy.device}
    light = memory.WIDTHS["bfloat16"] * model.own.total if configuration.samples_rounded else 0
    return _some(found | {"base and snapshot": _copies(configuration, model), "copy that samples": light})


def _copies(configuration: Configuration, model: Sized) -> float:
    """Models that are read and not trained, spread under ZeRO-3 as the policy is."""
    reference = (
        configuration.recipe.beta > 0 and not configuration.model.lora_rank
    )  # an adapter is switched off instead
    count = _copied(configuration) + bool(reference)
    share = configuration.hardware.processes if configuration.hardware.zero_stage == 3 else 1
    return count * _whole(configuration, model) / share


def _copied(configuration: Configuration) -> int:
    """Those of them that are loaded beside what is trained: the base, a snapshot."""
    recipe = configuration.recipe
    drift = configuration.train.kl_rows or recipe.kl_coef or recipe.surrogate == "iw_sft"
    base = drift or recipe.q == "base" and configuration.samples and not configuration.samples_rounded
    return bool(base) + (recipe.q == "snapshot")


def _loading(configuration: Configuration, model: Sized, always: Parts) -> dict[str, Parts]:
    """A model that ZeRO-3 does not spread as it is read, and every copy, is whole and in model.dtype for a moment."""
    width, found = memory.WIDTHS[configuration.model.dtype], dict[str, Parts]()
    if configuration.hardware.zero_stage < 3:
        found["loading"] = {"whole model": width * with_critic(configuration, model)[0]}
    if _copied(configuration):
        found["loading a copy"] = always | {"whole model": width * model.own.total}
    if configuration.model.quantization != "none":  # packed tensor by tensor as it is read
        found = {name: parts | {"whole model": _whole(configuration, model)} for name, parts in found.items()}
    return found


def _rollouts(configuration: Configuration, model: Sized) -> Parts:
    """Sampling, by the project's generator, or by vLLM in the same devices or in others."""
    if configuration.samples_with_vllm:
        return _vllm(configuration) if colocated(configuration) else {}
    rows = rows_at_a_time(configuration, configuration.data.max_completion_length)
    whole = _whole(configuration, model) if configuration.hardware.zero_stage == 3 else 0
    widths = sampling_numbers(configuration)
    return _some({"gathered model": whole} | _writing(widths, model, rows, _longest(configuration)))


def _vllm(configuration: Configuration) -> Parts:
    """vLLM takes its share of a whole device, for weights and cache."""
    whole = capacity(configuration) + configuration.hardware.reserved_gib * GIB
    return _some({"vLLM": configuration.rollouts.vllm_gpu_memory_utilization * whole})


def colocated(configuration: Configuration) -> bool:
    """Whether vLLM samples in the devices that train."""
    return configuration.samples_with_vllm and configuration.rollouts.vllm_mode == "colocate"


def set_aside(configuration: Configuration) -> int:
    """Devices of a run's machine for a server that the run starts; none where it has a machine of its own."""
    if configuration.served_apart:
        return 0
    given = configuration.rollouts
    starts = configuration.samples_with_vllm and given.vllm_mode == "server" and not given.vllm_server_base_url
    return given.vllm_tensor_parallel_size if starts else 0


def _update(configuration: Configuration, model: Sized, micro_batch: int) -> dict[str, Parts]:
    """Forward and backward of one micro-batch at full length, and of the critic beside it: where the head is computed,
    and in the backward pass through the layers."""
    widths, hardware, longest = numbers(configuration), configuration.hardware, _longest(configuration)
    rows = min(micro_batch, rows_per_device(configuration))
    size: tuple[Any, ...] = (model.shape, model.own, rows, longest, widths, configuration.model.attn_implementation)
    size = (*size, model.head_norms, hardware.gradient_checkpointing)
    kept = {"activations": memory.activations(*size)}
    if has_critic(configuration):
        kept["activations of the critic"] = kept["activations"]
    scored, fused = rows * configuration.data.max_completion_length, hardware.device == "cuda"
    head = memory.logits(model.shape, scored, widths, not configuration.model.lora_rank, fused)
    copies = memory.copies(model.own, widths) if hardware.gradient_checkpointing else 0
    forward = _some(kept | {"bfloat16 copies": copies, "logits": head})
    return {"head": forward, "backward": kept | {"one layer": memory.backward(*size)}}


def _evaluation(configuration: Configuration, model: Sized) -> Parts:
    """The checkpoint is read again, whole, beside what is trained, under ZeRO (by the first process) and where it is
    trained in another precision. Of several suites the one with the most tokens at a time."""
    every = [configuration.suite, *configuration.suites.values()]
    sizes = [
        (min(one.batch_size, rows_at_a_time(configuration, one.max_new_tokens)), one.max_new_tokens) for one in every
    ]
    rows, limit = max(sizes, key=lambda size: size[0] * (configuration.data.max_prompt_length + size[1]))
    length = configuration.data.max_prompt_length + limit
    hardware, widths = configuration.hardware, read_numbers(configuration)
    again = hardware.zero_stage or hardware.mixed_precision == "bf16"
    whole = widths.parameters * model.own.total - saved(configuration, model) if again else 0
    return _some({"whole model": whole} | _writing(widths, model, rows, length))


def _writing(widths: Precision, model: Sized, rows: int, length: int) -> Parts:
    """The cache of `rows` rows at full length, and their logits: as the model gives them, in float32, and summed up."""
    tokens = rows * length * (1 + 1 / model.shape.layers)  # a layer's buffers are made anew while the old are there
    logits = rows * model.shape.vocab_size * (widths.products + 4 + 8)
    return {"key-value cache": memory.cache(model.shape, tokens, widths), "sampled logits": logits}


def rows_at_a_time(configuration: Configuration, limit: int) -> int:
    """Responses of up to `limit` tokens that the project's generator writes at a time."""
    length = configuration.data.max_prompt_length + limit
    return max(1, min(rows_per_device(configuration), configuration.hardware.generation_tokens // length))


def _longest(configuration: Configuration) -> int:
    return configuration.data.max_prompt_length + configuration.data.max_completion_length


def _some(parts: Parts) -> Parts:
    return {name: size for name, size in parts.items() if size}
