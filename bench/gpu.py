"""What training takes on one CUDA device: tokens a second and model FLOPs utilisation of SFT, seconds by phase of GRPO,
peak memory against the plan. `python -m bench gpu` prints it and writes runs/gpu.md, the table of docs/gpu.md.

Models have the shapes of published ones and random weights: sizes decide speed and memory, and no download is needed.
Rows are as long as stated, since such a model ends nothing by itself.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from bench import Figure
from conf.files import read_jsonl, write_text
from conf.schema import Configuration
from launch import machine, needs
from launch.compose import compose
from launch.training import train_all
from models import sizes

ROOT = Path("runs/gpu")
TABLE = Path("runs/gpu.md")
STEPS, PROMPTS, RESPONSE = 4, 8, 1024  # the first step is left out of what is timed
PHASES = ("generate", "reward", "logps", "sync", "update")
WITHIN = 0.1  # of the planned peak memory
SETTINGS = ("hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size", "head_dim")


class Case(NamedTuple):
    """One run: the published model whose shape it has, how many of its layers (0: all), and overrides."""

    model: str
    layers: int
    overrides: tuple[str, ...]


VLLM = ("rollouts.use_vllm=true", "rollouts.vllm_gpu_memory_utilization=0.35")
LORA = ("model.lora_rank=32", "model.dtype=bfloat16", "hardware.mixed_precision=no")
CASES = {
    "sft 0.6B": Case("Qwen/Qwen3-0.6B-Base", 0, ("recipe=sft",)),
    "sft 1.7B, activations computed again": Case(
        "Qwen/Qwen3-1.7B-Base", 0, ("recipe=sft", "hardware.gradient_checkpointing=true")
    ),
    "sft 14B, 8 layers, LoRA": Case("Qwen/Qwen3-14B-Base", 8, ("recipe=sft", *LORA)),
    "grpo 0.6B": Case("Qwen/Qwen3-0.6B-Base", 0, ("recipe=grpo",)),
    "grpo 0.6B, vLLM": Case("Qwen/Qwen3-0.6B-Base", 0, ("recipe=grpo", *VLLM)),
    "grpo 14B, 8 layers, LoRA": Case("Qwen/Qwen3-14B-Base", 8, ("recipe=grpo", *LORA)),
    "grpo 14B, 8 layers, LoRA, vLLM": Case("Qwen/Qwen3-14B-Base", 8, ("recipe=grpo", *LORA, *VLLM)),
}


class Measured(NamedTuple):
    """Of one run, over the steps after the first."""

    configuration: Configuration
    seconds: float  # a step
    tokens: float  # of prompts and responses that a second trains on
    utilisation: float  # of the device's peak, by the FLOPs of training and scoring; 0 where the peak is unknown
    phases: dict[str, float]  # seconds a step
    peak: float  # bytes that torch had at the most
    planned: float


def figures() -> Iterator[Figure]:
    """Peak memory of every case over the plan's, and the table; nothing without a CUDA device."""
    if not machine.devices():
        return
    found: dict[str, Measured] = {}
    for name, case in CASES.items():
        if "rollouts.use_vllm=true" in case.overrides and find_spec("vllm") is None:
            continue
        found[name] = run(name, case)
        off = abs(found[name].peak / found[name].planned - 1)
        yield Figure(f"peak memory off the plan, {name}", off, WITHIN, "of it", False)
        write_text(TABLE, table(found))


def run(name: str, case: Case, root: Path = ROOT) -> Measured:
    """Train a case in processes of its own, as the command line does, and read what it left."""
    configuration = compose(overrides(name, case, root))
    (folder,) = train_all([configuration])
    book, metrics = read_jsonl(folder / "ledger.jsonl"), read_jsonl(folder / "metrics.jsonl")
    steps = len(book) - 1
    spent = {key: (book[-1][key] - book[0][key]) / steps for key in book[0] if isinstance(book[0][key], int | float)}
    rows = configuration.train.prompts_per_step * configuration.responses_per_prompt
    tokens = spent["tokens_prompted"] + rows * configuration.data.max_completion_length
    work = spent["flops_train"] + spent["flops_score"]
    update = sum(row.get("seconds/update", 0.0) + row.get("seconds/logps", 0.0) for row in metrics[1:]) / steps
    peak = configuration.hardware.peak_tflops * 1e12
    phases = {key: sum(row.get(f"seconds/{key}", 0.0) for row in metrics[1:]) / steps for key in PHASES}
    planned = max(
        sum(parts.values())
        for phase, parts in needs.of(configuration).phases.items()
        if phase != "evaluation" and not (phase == "rollouts" and configuration.rollouts.use_vllm)
    )
    return Measured(
        configuration,
        spent["seconds"],
        tokens / update,
        work / update / peak if peak else 0.0,
        phases,
        max(row["peak_memory_bytes"] for row in book),
        planned,
    )


def overrides(name: str, case: Case, root: Path) -> list[str]:
    """The command line of a case, its base and data made where they are not yet."""
    base = root / "models" / f"{case.model.rpartition('/')[2]}-{case.layers}"
    if not (base / "config.json").exists():
        make_base(base, case)
    data = root / "rows.jsonl"
    if not data.exists():
        write_text(data, "".join(json.dumps(row) + "\n" for row in problems(RESPONSE)))
    stated = {
        "experiment.name": "".join(letter if letter.isalnum() else "_" for letter in name),
        "runs": root,
        "model.path": base,
        "model.attn_implementation": "sdpa",
        "data.source": data,
        "data.solution": "solution",
        "data.max_completion_length": RESPONSE,
        "data.rows": 64,
        "data.targets_per_prompt": 1,
        "train.steps": STEPS,
        "train.save_steps": STEPS,
        "train.prompts_per_step": PROMPTS,
        "recipe.num_generations": 8,
        "recipe.micro_batch_size": 8,
        "suite.benchmarks": "[arithmetic_3]",
        "suite.items": 1,
        "suite.samples": 0,
        "suite.max_new_tokens": 4,
        "suite.backend": "transformers",
    }
    group = [one for one in case.overrides if one.startswith("recipe=")]
    rest = [one for one in case.overrides if not one.startswith("recipe=")]
    own = [f"{key}={value}" for key, value in stated.items()]
    one = ["hardware.processes=1", "hardware.zero_stage=0"]  # any takes all devices of a machine, and ZeRO with them
    return ["experiment=embedded", "hardware=any", *one, *group, *own, *rest]


def make_base(folder: Path, case: Case) -> None:
    """Random weights of a published shape behind the embedded base's tokenizer, in bfloat16."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from models.tiny import make_tokenizer

    published = dict(sizes.published()[case.model])
    shape: dict[str, Any] = {key: published[key] for key in SETTINGS}
    layers = case.layers or published["num_hidden_layers"]
    tokenizer = make_tokenizer()
    config = Qwen3Config(
        num_hidden_layers=layers,
        vocab_size=published["vocab_size"],
        tie_word_embeddings=published["tie_word_embeddings"],
        max_position_embeddings=published["max_position_embeddings"],
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **shape,
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = Qwen3ForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.model_max_length = published["max_position_embeddings"]
    tokenizer.save_pretrained(folder)


def problems(length: int) -> Iterator[dict[str, str]]:
    """Sums with a response of `length` tokens, a character each, but for the box and the end."""
    for a in range(8, 72):
        answer = f"\\boxed{{{a + a}}}"
        filling = (f"{a} and {a} again. " * length)[: length - len(answer) + len("\\boxed{") - 2]
        yield {"problem": f"What is {a} + {a}?", "answer": str(a + a), "solution": filling + answer}


def table(found: dict[str, Measured]) -> str:
    """Markdown, a row a case."""
    head = ["run", "seconds a step", "tokens a second, trained", "MFU", *PHASES, "peak GiB", "planned GiB"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, one in found.items():
        cells = [name, f"{one.seconds:.2f}", f"{one.tokens:,.0f}", f"{one.utilisation:.1%}"]
        cells += [f"{one.phases[phase]:.2f}" for phase in PHASES]
        cells += [f"{one.peak / needs.GIB:.2f}", f"{one.planned / needs.GIB:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
