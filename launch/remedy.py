"""What makes an arm fit: the largest micro-batch, the ZeRO stage to choose, the smallest change of its keys."""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from conf import devices
from conf.errors import UserError
from conf.schema import Configuration
from launch import costs, needs
from launch.needs import GIB

Change = dict[str, Any]  # dotted key -> value
MOST = 4  # keys that a change may touch
PER_MACHINE = 8  # devices
STAGES = (0, 1, 2, 3)


def changed(configuration: Configuration, change: Change) -> Configuration:
    """`configuration` with the values of `change`."""
    for key, value in change.items():
        section, _, name = key.partition(".")
        own = getattr(configuration, section).model_copy(update={name: value})
        configuration = configuration.model_copy(update={section: own})
    return configuration


def fits(configuration: Configuration) -> bool:
    """Whether every phase fits into a device, and the host's part into its machine."""
    found, host = needs.of(configuration), configuration.hardware.host_memory_gib * GIB
    return found.peak <= needs.capacity(configuration) and (not host or found.host <= host)


def largest_micro_batch(configuration: Configuration) -> int:
    """The most rows a forward pass that fit; they divide those of a process. 0 where not even one does."""
    rows = needs.rows_per_device(configuration)
    sizes = [size for size in range(1, rows + 1) if rows % size == 0]
    fitting = [size for size in sizes if fits(changed(configuration, {"recipe.micro_batch_size": size}))]
    return max(fitting, default=0)


def stages(configuration: Configuration) -> dict[int, Configuration]:
    """ZeRO stage -> the configuration under it, for those that a launcher can start."""
    found = {}
    for stage in STAGES:
        offload = "none" if stage == 0 else configuration.hardware.offload
        candidate = changed(configuration, {"hardware.zero_stage": stage, "hardware.offload": offload})
        if _starts(candidate):
            found[stage] = candidate
    return found


def best_stage(configuration: Configuration) -> int | None:
    """The stage that fits and takes the fewest seconds an update, of equals the lower; None where none fits."""
    fitting = {}
    for stage, candidate in stages(configuration).items():
        if rows := largest_micro_batch(candidate):
            model = needs.sized("model.path", candidate.model.path)
            seconds = costs.update_seconds(changed(candidate, {"recipe.micro_batch_size": rows}), model)
            fitting[stage] = seconds or 0.0
    return min(fitting, key=lambda stage: (round(fitting[stage], 1), stage), default=None)


def smallest(arms: list[Configuration]) -> Change | None:
    """The change that makes all of `arms` fit: fewest keys, then the cheapest of them; None where none of them does."""
    groups = [_steps(arms, key) for key in COSTS]
    for count in range(1, MOST + 1):
        for chosen in combinations(groups, count):
            for change in _together(chosen):
                candidates = [changed(arm, change) for arm in arms]
                if all(_starts(one) and fits(one) for one in candidates):
                    return change
    return None


def _together(groups: tuple[list[Change], ...]) -> Iterator[Change]:
    """Every choice of one change of each group, the first group's cheapest first."""
    if not groups:
        yield {}
        return
    for rest in _together(groups[1:]):
        for change in groups[0]:
            yield change | rest


def _steps(arms: list[Configuration], key: str) -> list[Change]:
    """The values of `key` to try, the least change first."""
    found = {tuple(COSTS[key](arm)) for arm in arms}
    values = sorted({value for tried in found for value in tried}, key=lambda v: _order(arms[0], key, v))
    return [{key: value} | _beside(arms[0], key, value) for value in values]


def _beside(arm: Configuration, key: str, value: Any) -> Change:
    """More processes than a machine of eight, or than those of now, stand in more machines."""
    if key != "hardware.processes":
        return {}
    here = max(PER_MACHINE, arm.hardware.processes // arm.hardware.nodes)
    nodes = max(arm.hardware.nodes, -(-value // here))
    return {} if nodes == arm.hardware.nodes else {"hardware.nodes": nodes}


def _order(arm: Configuration, key: str, value: Any) -> float:
    """How far `value` is from what the arm has."""
    section, _, name = key.partition(".")
    if isinstance(value, str):
        return ("none", "optimizer", "all").index(value)
    return abs(value - getattr(getattr(arm, section), name))


def _starts(configuration: Configuration) -> bool:
    try:
        devices.check(configuration)
    except UserError:
        return False
    return True


def _halves(value: int, least: int) -> list[int]:
    found = []
    while value // 2 >= least:
        value //= 2
        found.append(value)
    return found


def _micro_batch(arm: Configuration) -> list[int]:
    rows = needs.rows_per_device(arm)
    return [size for size in range(1, min(arm.recipe.micro_batch_size, rows)) if rows % size == 0]


def _checkpointing(arm: Configuration) -> list[bool]:
    return [] if arm.hardware.gradient_checkpointing else [True]


def _generation(arm: Configuration) -> list[int]:
    data = arm.data
    return _halves(arm.hardware.generation_tokens, data.max_prompt_length + data.max_completion_length)


def _stage(arm: Configuration) -> list[int]:
    return [stage for stage in STAGES if stage > arm.hardware.zero_stage] if arm.hardware.device == "cuda" else []


def _offload(arm: Configuration) -> list[str]:
    kinds = ["none", "optimizer", "all"]
    return kinds[kinds.index(arm.hardware.offload) + 1 :] if arm.hardware.device == "cuda" else []


def _workers(arm: Configuration) -> list[int]:
    return list(range(1, arm.hardware.workers)) if arm.hardware.device == "cpu" else []


def _processes(arm: Configuration) -> list[int]:
    here = arm.hardware.processes
    return [here * 2**n for n in range(1, 6)] if arm.hardware.device == "cuda" else []


def _lora(arm: Configuration) -> list[int]:
    return [] if arm.model.lora_rank else [32]


def _length(arm: Configuration) -> list[int]:
    return _halves(arm.data.max_completion_length, 256)


# key -> values that take less memory, the cheapest key first
COSTS: dict[str, Callable[[Configuration], list[Any]]] = {
    "hardware.generation_tokens": _generation,
    "recipe.micro_batch_size": _micro_batch,
    "hardware.gradient_checkpointing": _checkpointing,
    "hardware.workers": _workers,
    "hardware.zero_stage": _stage,
    "hardware.offload": _offload,
    "hardware.processes": _processes,
    "data.max_completion_length": _length,
    "model.lora_rank": _lora,
}
