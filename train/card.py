"""The model card of a checkpoint: README.md, with the run's lock.json and its experiment's audit.json beside it.

Written when the checkpoint is saved, and again when there are scores or an audit; none of the three is in the seal.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import yaml

from conf import freeze
from conf.files import read_json, write_text
from conf.schema import Configuration
from models.folder import is_hub_id
from train import checkpoints, ledger

README = "README.md"
COUNTED = (
    *("prompts_shown", "completions", "tokens_prompted", "tokens_generated", "tokens_trained"),
    *("optimizer_updates", "flops", "seconds", "device_seconds", "peak_memory_bytes", "targets_flops"),
)
LICENCE = """\
Not stated here. It follows from the licence of the base, and from that of the data where that says so; whoever passes
the model on states it (`license:` at the top of this file).
"""


def write(run: Path, step: int, checkpoint: Path | None = None) -> None:
    """The card of the run's checkpoint of `step`, which may lie at another place than it will."""
    checkpoint = checkpoint or run / "checkpoints" / checkpoints.name(step)
    audit = _audit(run)
    for name, source in (("lock.json", run / "lock.json"), ("audit.json", run.parents[2] / "audit.json")):
        if source.is_file() and (name != "audit.json" or audit):
            write_text(checkpoint / name, source.read_text(encoding="utf-8"))
        else:
            (checkpoint / name).unlink(missing_ok=True)
    write_text(checkpoint / README, _text(freeze.read(run / "config.yaml"), run, step, checkpoint, audit))


def refresh(experiment: Path) -> None:
    """The cards of all checkpoints of an experiment."""
    for run in sorted(experiment.glob("arms/*/seed-*")):
        for checkpoint in sorted(run.glob("checkpoints/step-*")):
            write(run, checkpoints.step_of(checkpoint))


def quoted(value: Any) -> str:
    """A name as Markdown's code, on one line, whatever is in it."""
    text = " ".join(str(value).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def _audit(run: Path) -> dict[str, Any]:
    """The experiment's audit, where this run is in it."""
    path = run.parents[2] / "audit.json"
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found if f"{run.parent.name}/{run.name}" in found.get("runs", ()) else {}


def _text(configuration: Configuration, run: Path, step: int, checkpoint: Path, audit: dict[str, Any]) -> str:
    recipe, model = configuration.recipe, configuration.model
    title = f"{recipe.name}, seed {configuration.seed}, step {step}"
    parts = [
        f"# {quoted(title)}",
        "One arm of an experiment in which one base is trained in several ways, all else held equal.",
        "\n".join(f"- {line}" for line in _facts(configuration, run, step, audit)),
        "## What it cost",
        _table(("count", "up to this step"), _spent(checkpoint)),
        "## Scores",
        _scores(run, step),
        "## Loading",
        _loading(bool(model.lora_rank)),
        "## Licence",
        LICENCE,
    ]
    head = yaml.safe_dump(_front(configuration), sort_keys=False, allow_unicode=False)
    return f"---\n{head}---\n\n" + "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _front(configuration: Configuration) -> dict[str, Any]:
    """The hub's metadata; it refuses a base and data that are not on it."""
    model, data = configuration.model, configuration.data
    found: dict[str, Any] = {"library_name": "peft" if model.lora_rank else "transformers"}
    if is_hub_id(model.path):
        found |= {"base_model": model.path, "base_model_relation": "adapter" if model.lora_rank else "finetune"}
    if data.source not in ("world", "reasoning_gym") and is_hub_id(data.source):
        found["datasets"] = [data.source]
    return found | {"pipeline_tag": "text-generation", "tags": ["paribus", configuration.recipe.name]}


def _facts(configuration: Configuration, run: Path, step: int, audit: dict[str, Any]) -> list[str]:
    recipe, data, lock = configuration.recipe, configuration.data, _json(run / "lock.json")
    base, compiled = lock.get("base", {}), lock.get("data", {})
    counts = ", ".join(f"{count} {name}" for name, count in audit.get("counts", {}).items())
    verdict = f"{quoted(audit['verdict'])} ({counts})" if audit else "not made yet; `make audit` makes it"
    source = " ".join(part for part in (data.source, data.subset, data.split if data.subset else "") if part)
    sealed = hashlib.sha256((run / "lock.json").read_bytes()).hexdigest() if lock else "unknown"
    return [
        f"Experiment: {quoted(configuration.experiment.name)}; arm: {quoted(recipe.name)}; "
        f"seed: {configuration.seed}; step: {step} of {configuration.train.steps}"
        + (", beyond the budget" if step > ledger.compared(run, configuration) else ""),
        f"Base: {quoted(configuration.model.path)}, weights {quoted(base.get('weights', 'unknown'))}",
        f"Recipe: responses of {quoted(recipe.q)}, weighed by {quoted(recipe.w)}, through {quoted(recipe.surrogate)}, "
        f"beta {recipe.beta:g}, learning rate {recipe.learning_rate:g}",
        f"Data: {quoted(source)}, rows {quoted(compiled.get('rows', 'unknown'))}, "
        f"order {quoted(compiled.get('order', 'unknown'))}",
        f"Lock: {quoted(sealed)} (SHA-256 of `lock.json`: everything that the arms share, measured)",
        f"Audit of this run against the others of its experiment: {verdict}",
    ]


def _spent(checkpoint: Path) -> list[tuple[str, str]]:
    entry = _json(checkpoint / ledger.FILE)
    return [(quoted(name), f"{entry[name]:,}") for name in COUNTED if entry.get(name) is not None]


def _scores(run: Path, step: int) -> str:
    groups = _json(run / "evaluation" / checkpoints.name(step) / "scores.json").get("groups", {})
    found = [(name, one["greedy"]) for name, one in sorted(groups.items()) if one.get("greedy")]
    rows = [(quoted(name), f"{one['score']:.1f} [{one['low']:.1f}, {one['high']:.1f}]") for name, one in found]
    note = "Greedy responses, percent, 95% interval. Single benchmarks and sampled responses: the run's folder.\n\n"
    return note + _table(("group", "score"), rows) if rows else "None yet."


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    cells = [head, ("---", "---:"), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)


def _loading(adapter: bool) -> str:
    lines = ["```python", "from transformers import AutoModelForCausalLM, AutoTokenizer", ""]
    lines += ["model = AutoModelForCausalLM.from_pretrained(FOLDER_OR_HUB_ID)"]
    lines += ["tokenizer = AutoTokenizer.from_pretrained(FOLDER_OR_HUB_ID)  # with the chat template", "```"]
    note = "An adapter: the package `peft` is needed, and the base at the place that `adapter_config.json` names.\n\n"
    return (note if adapter else "") + "\n".join(lines)


def _json(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}
