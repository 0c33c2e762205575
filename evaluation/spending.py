"""What a run has spent, in each unit that budgets are matched on, and what an evaluation cost; no torch here."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from conf.schema import Budget, Configuration
from models import flops
from models.flops import Shape

# budget.match -> the ledger's column
COLUMNS = {
    "prompts": "prompts_shown",
    "trained_tokens": "tokens_trained",
    "flops": "flops",
    "device_seconds": "device_seconds",
}


def spent(entry: Mapping[str, Any], match: str, count_targets: bool) -> float | None:
    """Units of `match` spent up to this entry of a ledger, with or without what the arm's targets cost.

    None where that is not known. Making targets costs FLOPs and seconds; it shows no prompt and trains no token.
    """
    own = entry.get(COLUMNS[match])
    made = entry.get(f"targets_{COLUMNS[match]}", 0) if count_targets else 0
    return None if own is None or made is None else own + made


def limit_reached(entry: Mapping[str, Any], budget: Budget, times: float = 1.0) -> bool:
    """Whether `times` the budget's limit is spent at this entry of a ledger; False without a limit."""
    amount = spent(entry, budget.match, budget.count_targets) if budget.limit else None
    return amount is not None and amount >= budget.limit * times


def last_step(entries: Iterable[Mapping[str, Any]], configuration: Configuration) -> int:
    """The step with which a run's budget ends, from its ledger: that which reaches the limit, or train.steps. What was
    trained beyond (budget.overrun) is never compared."""
    ends = (int(entry["step"]) for entry in entries if limit_reached(entry, configuration.budget))
    return min(next(ends, configuration.train.steps), configuration.train.steps)


def of_evaluation(folder: Path, tokenizer: Any, shape: Shape | None, seconds: float) -> dict[str, Any]:
    """What the evaluation in `folder` cost; it is no part of a budget.

    FLOPs as if each prompt were read once for its greedy response and once for all of its sampled ones.
    """
    from evaluation.grade import read_items
    from models import prompt_ids

    columns = read_items(folder / "items.parquet", ["prompt", "context", "sample", "completion_tokens"])
    prompts = list(zip(columns["prompt"], (shown or "[]" for shown in columns["context"]), strict=True))
    lengths = {one: len(prompt_ids(tokenizer, one[0], json.loads(one[1]))) for one in dict.fromkeys(prompts)}
    responses = list(zip(prompts, columns["sample"], columns["completion_tokens"], strict=True))
    cost = None
    if shape:
        readings = {(prompt, bool(sample)) for prompt, sample, _ in responses}
        cost = sum(flops.forward(shape, lengths[prompt], 1) for prompt, _ in readings)
        cost += sum(flops.decode(shape, lengths[prompt], max(0, tokens - 1)) for prompt, _, tokens in responses)
    return {
        "responses": len(responses),
        "tokens_generated": sum(columns["completion_tokens"]),
        "flops_generate": cost,
        "seconds": round(seconds, 3),
    }
