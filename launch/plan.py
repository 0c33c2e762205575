"""What an experiment will take, before anything is spent: `python -m launch.plan experiment=NAME KEY=VALUE ...`.

For each arm, or the one that recipe=NAME asks for: memory of a device by part, the largest micro-batch, the ZeRO stage
to choose, time, device-hours, money, disk. Exits with 2, and names the smallest change, where it does not fit.
"""

from typing import Any

from rich.console import Console
from rich.table import Table

from conf.errors import UserError
from conf.files import write_json
from conf.schema import Configuration
from launch import command, costs, folders, needs, remedy
from launch.compose import compose, given
from launch.needs import GIB
from models import memory

UNITS = (("days", 86400), ("h", 3600), ("min", 60), ("s", 1))

Planned = dict[str, Any]  # of one arm, as plan.json has it


def main(arguments: list[str]) -> None:
    """Print the plan, write plan.json, and refuse what does not fit."""
    configurations = arms(arguments)
    first = configurations[0]
    for one in configurations:
        check_length(one)
    planned = {one.recipe.name: plan(one) for one in configurations}
    base = _cost(first, costs.base_evaluation(first))
    found: dict[str, Any] = {
        "experiment": first.experiment.name,
        "model": first.model.path,
        "hardware": first.hardware.name,
    }
    found |= {"base": base, "arms": planned, "total": _total(first, planned, base)}
    found["assumptions"] = costs.assumptions(first)
    change = None if all(one["fits"] for one in planned.values()) else remedy.smallest(configurations)
    found["change"] = change
    path = folders.experiment_folder(first) / "plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    show(first, found, Console(width=120))
    print(f"plan: {path}")
    refuse(configurations, planned, change)


def arms(arguments: list[str]) -> list[Configuration]:
    """One configuration an arm of the experiment, or that of the recipe asked for."""
    if given(arguments, "recipe"):
        return [compose(arguments)]
    return [compose([*arguments, f"recipe={arm}"]) for arm in compose(arguments).experiment.arms]


def check_length(configuration: Configuration) -> None:
    """UserError where a row can be longer than the model's positions reach."""
    longest, data = needs.sized("model.path", configuration.model.path).longest, configuration.data
    if longest and data.max_prompt_length + data.max_completion_length > longest:
        given = f"data.max_prompt_length={data.max_prompt_length} data.max_completion_length="
        given += str(data.max_completion_length)
        why = f"{configuration.model.path} was trained for {longest} tokens"
        raise UserError(given, why, f"set data.max_completion_length={longest - data.max_prompt_length} or lower")


def plan(configuration: Configuration) -> Planned:
    """Everything of one arm, in GiB, hours and GB."""
    found, room = needs.of(configuration), needs.capacity(configuration)
    listed = [_cost(configuration, one) for one in costs.of(configuration)]
    return {
        "fits": remedy.fits(configuration),
        "device_gib": round(room / GIB, 2),
        "peak_gib": round(found.peak / GIB, 2),
        "peak_phase": found.worst,
        "phases_gib": {name: _gib(parts) for name, parts in found.phases.items()},
        "host_gib": round(found.host / GIB, 2),
        "micro_batch_size": configuration.recipe.micro_batch_size,
        "largest_micro_batch": remedy.largest_micro_batch(configuration),
        "zero_stages": {str(stage): _stage(one) for stage, one in remedy.stages(configuration).items()},
        "best_zero_stage": remedy.best_stage(configuration),
        "alternatives_gib": alternatives(configuration),
        "sampled_at_a_time": _sampled(configuration),
        "costs": listed,
        "total": _sum(listed),
        "disk_gb": round(costs.disk_bytes(configuration) / 1e9, 1),
        "checkpoint_gb": round(costs.checkpoint_bytes(configuration) / 1e9, 1),
    }


def alternatives(configuration: Configuration) -> dict[str, float]:
    """GiB of one micro-batch's activations and logits, as they would be in other ways."""
    key, model = "hardware.gradient_checkpointing", needs.sized("model.path", configuration.model.path)
    rows, data = configuration.recipe.micro_batch_size, configuration.data
    widths, scored = needs.numbers(configuration), rows * data.max_completion_length
    kept = {on: needs.of(remedy.changed(configuration, {key: on})).phases["head"]["activations"] for on in (0, 1)}
    sizes = {
        "activations": kept[0],
        "activations with checkpointing": kept[1],
        "logits in chunks": memory.logits(model.shape, scored, widths, not configuration.model.lora_rank, True),
        "logits at once": memory.whole_logits(model.shape, scored, widths),
    }
    return _gib(sizes)


def refuse(configurations: list[Configuration], planned: dict[str, Planned], change: remedy.Change | None) -> None:
    """UserError where an arm does not fit."""
    wrong = [one for one in configurations if not planned[one.recipe.name]["fits"]]
    if not wrong:
        return
    worst = max(wrong, key=lambda one: planned[one.recipe.name]["peak_gib"])
    sizes, hardware = planned[worst.recipe.name], worst.hardware
    given = f"recipe={worst.recipe.name} of {worst.model.path} on hardware={hardware.name}"
    why = f"it takes {sizes['peak_gib']} GiB of a device's {sizes['device_gib']} ({sizes['peak_phase']})"
    if sizes["peak_gib"] <= sizes["device_gib"]:
        why = f"it takes {sizes['host_gib']} GiB of a machine's memory, which has {hardware.host_memory_gib:g}"
    do = "take a smaller model, or devices with more memory: no four of the keys suffice"
    if change:
        do = f"the smallest change that fits: {' '.join(f'{key}={_text(value)}' for key, value in change.items())}"
    raise UserError(given, why, do)


def show(configuration: Configuration, found: dict[str, Any], console: Console) -> None:
    """The plan for people."""
    hardware = configuration.hardware
    where = f"{hardware.processes} x {hardware.device_name or hardware.device}"
    console.print(f"[bold]{found['experiment']}[/bold]: {found['model']} on {hardware.name} ({where})")
    for name, planned in found["arms"].items():
        console.print(_memory_table(name, planned))
        console.print(_stage_table(name, planned))
        others = ", ".join(f"{what} {size:g}" for what, size in planned["alternatives_gib"].items())
        console.print(f"GiB a micro-batch of {planned['micro_batch_size']}: {others}")
        if planned["sampled_at_a_time"]:
            console.print(f"responses that a device samples at a time: {planned['sampled_at_a_time']}")
    console.print(_cost_table(found))
    stated = ", ".join(f"{key}={value:g}" for key, value in found["assumptions"].items() if value)
    console.print(f"assumed: {stated}", highlight=False)


def _memory_table(name: str, planned: Planned) -> Table:
    phases = planned["phases_gib"]
    table = Table(title=f"{name}: GiB of each device, of {planned['device_gib']}", title_justify="left")
    for column in ("part", *phases):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in dict.fromkeys(part for parts in phases.values() for part in parts):
        table.add_row(part, *(f"{parts[part]:.2f}" if part in parts else "" for parts in phases.values()))
    table.add_section()
    table.add_row("sum", *(f"{sum(parts.values()):.2f}" for parts in phases.values()))
    return table


def _stage_table(name: str, planned: Planned) -> Table:
    table = Table(title=f"{name}: by ZeRO stage; choose {planned['best_zero_stage']}", title_justify="left")
    for column in ("stage", "GiB at micro-batch 1", "largest micro-batch", "seconds of updates a step"):
        table.add_column(column, justify="right")
    for stage, sizes in planned["zero_stages"].items():
        seconds = "unknown" if sizes["update_seconds"] is None else f"{sizes['update_seconds']:.1f}"
        table.add_row(stage, f"{sizes['least_gib']:.1f}", str(sizes["largest_micro_batch"] or "none"), seconds)
    return table


def _cost_table(found: dict[str, Any]) -> Table:
    table = Table(title="time, money and disk of one run", title_justify="left")
    for column in ("arm", "part", "FLOPs", "wall time", "device-hours", "money", "disk GB"):
        table.add_column(column, justify="left" if column in ("arm", "part") else "right")
    table.add_row("base", *_cells(found["base"]), "")
    for name, planned in found["arms"].items():
        table.add_section()
        for cost in planned["costs"]:
            table.add_row(name, *_cells(cost), "")
        table.add_row(name, *_cells({"name": "sum"} | planned["total"]), f"{planned['disk_gb']:.1f}")
    table.add_section()
    table.add_row("all seeds", *_cells({"name": "sum"} | found["total"]), f"{found['total']['disk_gb']:.1f}")
    return table


def _cells(cost: dict[str, Any]) -> list[str]:
    hours, money = cost["device_hours"], cost["money"]
    cells = [cost["name"], f"{cost['flops']:.2g}", _duration(cost["seconds"])]
    cells.append("unknown" if hours is None else f"{hours:,.2f}")
    return [*cells, "unknown" if money is None else f"{money:,.2f}"]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    unit, size = next((unit, size) for unit, size in UNITS if seconds >= 2 * size or size == 1)
    return f"{seconds / size:.1f} {unit}"


def _cost(configuration: Configuration, cost: costs.Cost) -> dict[str, Any]:
    hours, price = cost.device_hours, configuration.hardware.price_per_device_hour
    money = None if hours is None or not price else hours * price
    return {
        "name": cost.name,
        "flops": cost.flops,
        "seconds": cost.seconds,
        "device_hours": hours,
        "money": money,
    }


def _sum(listed: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("flops", "seconds", "device_hours", "money")
    return {name: costs.added(one[name] for one in listed) for name in names}


def _total(configuration: Configuration, planned: dict[str, Planned], base: dict[str, Any]) -> dict[str, Any]:
    """All arms and seeds of the experiment, and the base."""
    seeds = len(configuration.experiment.seeds)
    found = _sum([base, *(one["total"] for one in planned.values() for _ in range(seeds))])
    return found | {"disk_gb": round(seeds * sum(one["disk_gb"] for one in planned.values()), 1)}


def _stage(configuration: Configuration) -> dict[str, Any]:
    """What one ZeRO stage would take."""
    rows, model = remedy.largest_micro_batch(configuration), needs.sized("model.path", configuration.model.path)
    chosen = remedy.changed(configuration, {"recipe.micro_batch_size": rows or 1})
    seconds = costs.update_seconds(chosen, model)
    least = needs.of(remedy.changed(configuration, {"recipe.micro_batch_size": 1})).peak
    return {"least_gib": round(least / GIB, 2), "largest_micro_batch": rows, "update_seconds": seconds}


def _gib(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(size / GIB, 3) for name, size in parts.items()}


def _sampled(configuration: Configuration) -> int:
    """Rows that the project's generator writes at a time while it trains; 0 where it does not."""
    own = configuration.samples and not configuration.rollouts.use_vllm
    return needs.rows_at_a_time(configuration, configuration.data.max_completion_length) if own else 0


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    command.run(main, __doc__)
