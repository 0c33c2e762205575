"""Arms held equal on tokens, FLOPs or device seconds: the dearer arm runs first, and its spending is the others' limit.

The limit is per seed. Steps follow from it: as many as it takes to spend it, which is the horizon of the arm's
learning-rate schedule; the stored order goes on for as many epochs as that needs. docs/budgets.md has the rules.
"""

import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from conf import freeze
from conf.errors import UserError
from conf.files import read_jsonl
from conf.schema import Configuration
from evaluation.spending import last_step, spent
from launch import estimate
from launch.estimate import Step
from models import flops
from train.horizon import run_order
from train.ledger import targets_cost

# An estimated horizon is too long rather than too short, so that the limit ends the run: under a constant rate only
# the length of the order depends on it, otherwise the end of the schedule does.
MARGINS = {"constant": 2.0, "linear": 1.1, "cosine": 1.1}


def dearest(configurations: list[Configuration]) -> str:
    """The arm whose step is expected to spend most at responses of equal length; of equals one that samples."""

    def cost(one: Configuration) -> tuple[float, bool]:
        step, match = estimate.step(one, *estimate.usual_lengths(one)), one.budget.match
        return (step.trained_tokens if match == "trained_tokens" else step.flops, one.recipe.trainer == "policy")

    return max(configurations, key=cost).recipe.name


def check(configurations: list[Configuration]) -> None:
    """UserError, before anything is spent, where what is to be matched cannot be counted."""
    for one in configurations:
        match = one.budget.match
        given = f"budget.match={match} with model.path={one.model.path} data.targets={one.data.targets}"
        if match == "flops" and flops.read(one.model.path) is None:
            why = (
                "FLOPs cannot be counted: the model has no config.json here, or a model_type unknown to models/flops.py"
            )
            raise UserError(given, why, "set budget.match to prompts, trained_tokens or device_seconds")
        if made(one) is None:
            why = "budget.count_targets asks for what the targets cost, and that is not known in this unit"
            raise UserError(given, why, "set targets.parameters for `make targets`, or budget.count_targets=false")


def made(configuration: Configuration) -> float | None:
    """What counts as spent before the first step: the targets of an arm that imitates, where they count."""
    nothing = {"prompts_shown": 0, "tokens_trained": 0, "flops": 0, "device_seconds": 0.0}
    budget = configuration.budget
    return spent(nothing | targets_cost(configuration), budget.match, budget.count_targets)


def last_entry(run: Path) -> Mapping[str, Any]:
    """The ledger of a finished run, at the end of its budget."""
    entries = read_jsonl(run / "ledger.jsonl")
    last = last_step(entries, freeze.read(run / "config.yaml"))
    return [entry for entry in entries if entry["step"] <= last][-1]


def limited(configuration: Configuration, dearer: Configuration, entry: Mapping[str, Any], data: Path) -> Configuration:
    """`configuration` with the spending of the dearer arm's run (its last ledger entry) as its limit, the steps that
    takes, and checkpoints at the same shares of the budget; `data` holds the compiled data set."""
    budget, train = configuration.budget, configuration.train
    limit = float(spent(entry, budget.match, budget.count_targets) or 0)
    own = configuration.model_copy(update={"budget": budget.model_copy(update={"limit": limit})})
    needed = steps_to_spend(own, dearer, entry, data)
    steps = math.ceil(needed * margin(own))
    saves = math.ceil(train.save_steps * needed / entry["step"])
    return own.model_copy(update={"train": train.model_copy(update={"steps": steps, "save_steps": saves})})


def margin(configuration: Configuration) -> float:
    """By how much the horizon exceeds the steps that are needed."""
    return 1.0 if _known(configuration) else MARGINS[configuration.train.lr_scheduler_type]


def steps_to_spend(configuration: Configuration, dearer: Configuration, entry: Mapping[str, Any], data: Path) -> int:
    """Steps after which the limit is spent: exact for an arm that imitates, on tokens or FLOPs; estimated otherwise."""
    left = configuration.budget.limit - (made(configuration) or 0)
    if _known(configuration):
        return _counted(configuration, left, row_costs(configuration, data), np.load(data / "order.npy"))
    return max(1, math.ceil(left / _expected(configuration, dearer, entry)))


def _known(configuration: Configuration) -> bool:
    return configuration.recipe.trainer == "sft" and configuration.budget.match != "device_seconds"


def _counted(configuration: Configuration, left: float, costs: np.ndarray, stored: np.ndarray) -> int:
    """Walk along the run's own order until no more is left."""
    epochs = max(1, math.ceil(left / costs.sum()) + 1)
    steps = math.ceil(epochs * len(costs) / configuration.train.prompts_per_step)
    longer = configuration.model_copy(update={"train": configuration.train.model_copy(update={"steps": steps})})
    spending = costs[run_order(longer, stored, len(costs))].sum(1).cumsum()
    return int(np.searchsorted(spending, left)) + 1


def row_costs(configuration: Configuration, data: Path) -> np.ndarray:
    """What each compiled row costs an arm that imitates it, in units of budget.match, as the ledger will book it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    repeats = configuration.data.targets_per_prompt
    shape = (
        None
        if configuration.budget.match == "trained_tokens"
        else flops.read(configuration.model.path, configuration.model.lora_rank)
    )
    costs: list[int] = []
    with pq.ParquetFile(data / "rows.parquet") as file:
        for batch in file.iter_batches(columns=["prompt_ids", "target_ids"]):
            prompts, targets = (pc.list_value_length(batch[name]).to_pylist() for name in ("prompt_ids", "target_ids"))
            lengths = iter(pc.list_value_length(pc.list_flatten(batch["target_ids"])).to_pylist())
            for prompt, count in zip(prompts, targets, strict=True):
                pairs = [(prompt, target) for target in islice(lengths, count)] or [(prompt, 0)] * repeats
                costs.append(flops.train(shape, pairs) if shape else sum(target for _, target in pairs))
    return np.array(costs, dtype=np.float64)


def _expected(configuration: Configuration, dearer: Configuration, entry: Mapping[str, Any]) -> float:
    """What a step is expected to spend where prompts and responses are as long, and the device as fast, as the dearer
    run had them."""
    answered = entry["tokens_generated"] or entry["tokens_trained"]
    prompt, response = (max(1, round(tokens / entry["completions"])) for tokens in (entry["tokens_prompted"], answered))
    own = estimate.step(configuration, prompt, response)
    if configuration.budget.match == "trained_tokens":
        return own.trained_tokens
    if configuration.budget.match == "flops":
        return own.flops
    return _seconds(own, estimate.step(dearer, prompt, response), entry) * entry["device_seconds"] / entry["seconds"]


def _seconds(own: Step, dearer: Step, entry: Mapping[str, Any]) -> float:
    """Wall seconds of a step at the speeds at which the dearer run generated and trained."""
    training = entry["seconds"] - entry["seconds_generate"] - entry["seconds_reward"]
    per_trained = training / (entry["step"] * dearer.train)
    per_generated = entry["seconds_generate"] / (entry["step"] * dearer.generate) if dearer.generate else per_trained
    waiting = entry["seconds_reward"] / entry["completions"] * own.completions if own.generate else 0.0
    return own.train * per_trained + own.generate * per_generated + waiting
