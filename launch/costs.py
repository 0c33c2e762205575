"""Time, device-hours, money and disk of one arm, before it is started: FLOPs and bytes over stated speeds.

FLOPs are those of models/flops.py and launch/estimate.py; docs/plan.md has the rest. None stands for what is not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conf.schema import Configuration, Suite
from launch import drifting, estimate, needs
from launch.needs import GIB, Sized
from models import flops, memory
from models.memory import Precision
from models.sizes import Shape
from train import retention

TERA, GIGA, HOUR = 1e12, 1e9, 3600.0
SERVED = Precision(2, 2, False, False)  # how vLLM and a served teacher compute


@dataclass(frozen=True)
class Cost:
    """One part of what an arm takes; `flops` over all devices, `seconds` of wall time on `devices` of them."""

    name: str
    flops: float
    seconds: float | None
    devices: int

    @property
    def device_hours(self) -> float | None:
        return None if self.seconds is None else self.seconds * self.devices / HOUR


def lengths(configuration: Configuration) -> tuple[int, int]:
    """Tokens that a prompt and a response are taken to have on average."""
    usual, plan = estimate.usual_lengths(configuration), configuration.plan
    return max(1, plan.prompt_length or usual[0]), max(1, plan.response_length or usual[1])


def of(configuration: Configuration) -> list[Cost]:
    """What the arm takes, its targets and evaluations included, on the devices that its processes hold."""
    hardware, known = configuration.hardware, estimate.seconds(configuration)
    model = needs.sized("model.path", configuration.model.path)
    steps = configuration.total_steps
    step = estimate.step(configuration, *lengths(configuration))
    devices = hardware.processes
    if known is not None:  # measured on processors like these
        return [Cost("the whole run", steps * step.flops, known, devices)]
    found = [targets(configuration)] if configuration.imitates and configuration.targets.model else []
    if configuration.samples:
        rollouts = rollout_seconds(configuration, model)
        held = devices + needs.set_aside(configuration)
        held += hardware.processes // hardware.nodes if configuration.served_apart else 0
        found.append(Cost("rollouts", steps * step.generate, _times(rollouts, steps), held))
    found.append(Cost("training", steps * step.train, _times(update_seconds(configuration, model), steps), devices))
    found.append(evaluation(configuration, model))
    return [*found, drift(configuration, model)] if configuration.drift.measures else found


def base_evaluation(configuration: Configuration) -> Cost:
    """Scoring the base, once an experiment, on the devices of one machine."""
    model = needs.sized("model.path", configuration.model.path)
    suites = estimate.scored_at_base(configuration)
    devices = configuration.hardware.processes // configuration.hardware.nodes
    waits = [
        estimate.evaluation_seconds(configuration, one) or evaluation_seconds(configuration, model, one, devices)
        for one in suites
    ]
    work = sum(_evaluation_flops(configuration, model, one) for one in suites)
    return Cost("evaluating the base", work, _added(waits), devices)


def update_seconds(configuration: Configuration, model: Sized) -> float | None:
    """Scoring and training of one step: products, or the traffic between devices where that takes longer."""
    hardware, plan = configuration.hardware, configuration.plan
    if not hardware.peak_tflops:
        return None
    work = estimate.step(configuration, *lengths(configuration)).train / hardware.processes
    computing = work / (hardware.peak_tflops * TERA * plan.train_utilization)
    link = hardware.interconnect_gbs if hardware.nodes == 1 else hardware.network_gbs
    moved = traffic(configuration, model)
    if moved and not link:
        return None
    return max(computing, moved / (link * GIGA * plan.link_utilization)) if moved else computing


def traffic(configuration: Configuration, model: Sized) -> float:
    """Bytes that each device sends in one step. Rajbhandari et al. 2020 (arXiv:1910.02054), section 7: gradients once
    an update, or once a micro-batch from ZeRO-2 on; parameters once an update, or twice a micro-batch in ZeRO-3."""
    hardware, recipe = configuration.hardware, configuration.recipe
    if hardware.processes == 1:
        return 0.0
    total, learned = needs.with_critic(configuration, model)
    widths, updates = needs.numbers(configuration), configuration.updates_per_step
    passes = recipe.num_iterations if recipe.trainer == "policy" else 1
    rows = needs.rows_per_device(configuration)
    micro = passes * -(-rows // min(rows, recipe.micro_batch_size))
    gradients = 4 * learned * (micro if hardware.zero_stage > 1 else updates)
    parameters = {
        0: widths.parameters * learned * updates,  # the second half of an all-reduce
        3: 2 * widths.parameters * total * micro,
    }.get(hardware.zero_stage, widths.parameters * learned * updates)
    return (gradients + parameters) * (1 - 1 / hardware.processes)


def rollout_seconds(configuration: Configuration, model: Sized) -> float | None:
    """Sampling one step's responses: every device its share, or all of them those of a server."""
    hardware, given = configuration.hardware, configuration.rollouts
    prompt, response = lengths(configuration)
    rows: float = needs.rows_per_device(configuration)
    if not configuration.samples_with_vllm:
        places = needs.rows_at_a_time(configuration, configuration.data.max_completion_length)
        widths = needs.sampling_numbers(configuration)
        return written(configuration, model, widths, rows, places, (prompt, response), True)
    spread = given.vllm_tensor_parallel_size
    if given.vllm_mode == "server":
        rows = rows * hardware.processes / spread
    room = given.vllm_gpu_memory_utilization * hardware.device_memory_gib * GIB
    return served(configuration, model, rows, (prompt, response), room, spread)


def served(
    configuration: Configuration, model: Sized, rows: float, sizes: tuple[int, int], room: float, spread: int
) -> float | None:
    """Seconds for `rows` responses a device by servers of `spread` devices, which hold weights and cache in `room`
    bytes of each; None where the weights do not fit."""
    left = room * spread - SERVED.parameters * model.own.total
    places = int(left / memory.cache(model.shape, sum(sizes), SERVED))
    if places < 1:
        return None
    return written(configuration, model, SERVED, rows * spread, places, sizes, False, spread)


def written(
    configuration: Configuration,
    model: Sized,
    widths: Precision,
    rows: float,
    places: int,
    sizes: tuple[int, int],
    own: bool,
    spread: int = 1,
) -> float | None:
    """Seconds to read prompts and to write `rows` responses, at most `places` at a time, on `spread` devices together.

    A token of every row takes as long as the weights and the cache are read, or as the products take; and no less than
    the project's `own` generator needs to start its kernels. Of (prompt, response) `sizes` the cache holds half the
    response on average.
    """
    hardware, plan = configuration.hardware, configuration.plan
    if not hardware.peak_tflops or not hardware.memory_bandwidth_gbs:
        return None
    prompt, response = sizes
    peak = hardware.peak_tflops * TERA * spread
    count = min(places, rows)
    held = widths.parameters * model.own.total + memory.cache(model.shape, count * (prompt + response / 2), widths)
    reading = held / (hardware.memory_bandwidth_gbs * GIGA * spread * plan.decode_utilization)
    products = count * flops.decode(model.shape, prompt, response) / response / (peak * plan.decode_utilization)
    least = model.shape.layers * plan.decode_layer_ms / 1000 if own else 0.0
    prompts = rows * flops.forward(model.shape, prompt, 1) / (peak * plan.train_utilization)
    return prompts + rows / count * response * max(reading, products, least)


def evaluation(configuration: Configuration, model: Sized) -> Cost:
    """Scoring a run's checkpoints, every process its share."""
    times, devices = estimate.scored(configuration), configuration.hardware.processes
    work = sum(count * _evaluation_flops(configuration, model, suite) for suite, count in times)
    waits = [_times(evaluation_seconds(configuration, model, suite, devices), count) for suite, count in times]
    return Cost("evaluation", work, _added(waits), devices)


def drift(configuration: Configuration, model: Sized) -> Cost:
    """Measuring a run's checkpoints with the base beside, by one process while the others wait; the base's samples,
    which all runs share, are left out."""
    hardware, count = configuration.hardware, drifting.checkpoints(configuration)
    asked = drifting.work(configuration, _evaluated(configuration, configuration.suite), lengths(configuration))
    reading = sum(rows * flops.forward(model.shape, sum(sizes), sizes[1]) for rows, sizes in asked.reads)
    sampling = sum(rows * _response_flops(model.shape, *sizes) for rows, sizes in asked.samples)
    peak = hardware.peak_tflops * TERA * configuration.plan.train_utilization
    waits = [reading / peak if peak else None]
    widths = needs.read_numbers(configuration)
    waits += [written(configuration, model, widths, rows, rows, sizes, True) for rows, sizes in asked.samples]
    return Cost("drift", count * (reading + sampling), _times(_added(waits), count), hardware.processes)


def evaluation_seconds(configuration: Configuration, model: Sized, suite: Suite, devices: int) -> float | None:
    """One evaluation, its items shared out over so many devices."""
    sizes, rows = _evaluated(configuration, suite), -(-estimate.responses(suite) // devices)
    places = min(suite.batch_size, needs.rows_at_a_time(configuration, suite.max_new_tokens))
    return written(configuration, model, needs.read_numbers(configuration), rows, places, sizes, True)


def _evaluated(configuration: Configuration, suite: Suite) -> tuple[int, int]:
    usual = max(1, round(suite.max_new_tokens * estimate.USUAL_LENGTH))
    return lengths(configuration)[0], configuration.plan.response_length or usual


def _evaluation_flops(configuration: Configuration, model: Sized, suite: Suite) -> float:
    return estimate.responses(suite) * _response_flops(model.shape, *_evaluated(configuration, suite))


def _added(seconds: list[float | None]) -> float | None:
    """Their sum; None where one is unknown."""
    known = [one for one in seconds if one is not None]
    return sum(known) if len(known) == len(seconds) else None


def targets(configuration: Configuration) -> Cost:
    """The teacher's responses to every row, rejected ones included, from servers on the same devices: each on as few as
    hold the weights in half of their memory."""
    given, hardware = configuration.targets, configuration.hardware
    teacher = needs.sized("targets.model", given.model if given.q == "teacher" else configuration.model.path)
    count = configuration.data.rows * given.samples
    sizes = (lengths(configuration)[0], configuration.plan.response_length or _usual_target(configuration))
    room = 0.9 * hardware.device_memory_gib * GIB
    spread = 1
    while spread < hardware.processes and SERVED.parameters * teacher.own.total > spread * room / 2:
        spread *= 2
    seconds = served(configuration, teacher, count / hardware.processes, sizes, room, spread)
    return Cost("making targets", count * _response_flops(teacher.shape, *sizes), seconds, hardware.processes)


def _usual_target(configuration: Configuration) -> int:
    return max(1, round(configuration.targets.max_new_tokens * estimate.USUAL_LENGTH))


def _response_flops(shape: Shape, prompt: int, response: int) -> float:
    return flops.forward(shape, prompt, 1) + flops.decode(shape, prompt, response - 1)


def checkpoint_bytes(configuration: Configuration) -> float:
    """One checkpoint: weights, what ZeRO writes of them again, and the optimizer with its float32 masters."""
    model, widths = needs.sized("model.path", configuration.model.path), needs.numbers(configuration)
    total, learned = needs.with_critic(configuration, model)
    if configuration.model.lora_rank:
        total = learned
    if not configuration.hardware.zero_stage:
        return widths.parameters * (total + memory.MOMENTS * learned)
    return widths.parameters * 2 * total + (4 + 4 * memory.MOMENTS) * learned


def model_bytes(configuration: Configuration) -> float:
    """What is left of a checkpoint that no run goes on from: the policy's weights, or its adapter's."""
    model = needs.sized("model.path", configuration.model.path)
    lora = configuration.model.lora_rank
    count = needs.trained(configuration, model)[1] if lora else model.own.total
    return needs.numbers(configuration).parameters * count


def disk_bytes(configuration: Configuration) -> float:
    """The most that the checkpoints of one run take: all of them, or what train.save_total_limit and keep_every leave
    at the end, beside the new one that is written before an old one goes."""
    whole, models = retention.at_most(configuration.train, configuration.total_steps)
    return checkpoint_bytes(configuration) * whole + model_bytes(configuration) * models


def added(values: Iterable[float | None]) -> float | None:
    """Their sum; None where one is not known."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return sum(known) if len(known) == len(listed) else None


def _times(value: float | None, count: int) -> float | None:
    return None if value is None else value * count


def assumptions(configuration: Configuration) -> dict[str, Any]:
    """What the numbers rest on, by key."""
    plan, hardware = configuration.plan, configuration.hardware
    prompt, response = lengths(configuration)
    found: dict[str, Any] = {"plan.prompt_length": prompt, "plan.response_length": response}
    names = "train_utilization decode_utilization decode_layer_ms link_utilization"
    found |= {f"plan.{name}": getattr(plan, name) for name in names.split()}
    if configuration.rollouts.use_vllm:
        share = configuration.rollouts.vllm_gpu_memory_utilization
        found["rollouts.vllm_gpu_memory_utilization"] = share
    names = "peak_tflops memory_bandwidth_gbs interconnect_gbs network_gbs reserved_gib price_per_device_hour"
    return found | {f"hardware.{name}": getattr(hardware, name) for name in names.split()}
