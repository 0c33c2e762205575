"""What a training step costs: our arms against TRL's trainers as they come, with gradient checkpointing off."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from math import sqrt
from pathlib import Path
from statistics import mean, variance
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from bench import Figure
from bench.timing import settings
from conf.schema import Configuration
from data.compile import compile_dataset, read
from launch.compose import compose
from models import precision
from models.loading import load_configured
from rewards import verify
from train import lock, policy, sft
from train.hooks import Hooks
from train.records import Records

STEPS, REPEATS = 5, 3  # steps of a run, the first of which is not timed; runs of each side, in turns
THEIRS = "TRL's"
SIZES = ["experiment=embedded", "data.rows=256", f"train.steps={STEPS}", "train.save_steps=1000"]


class Run(NamedTuple):
    """What one run showed: seconds a step and tokens a second after the first step, mean rewards of all."""

    seconds: float
    tokens: float
    rewards: list[float]


class Work(NamedTuple):
    """What both sides train on, in `folder` the compiled data."""

    configuration: Configuration
    rows: Dataset
    order: np.ndarray
    folder: Path


class Clock(TrainerCallback):
    """When each step ended, and what was logged."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.logs: list[dict[str, float]] = []

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.ends.append(time.perf_counter())

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "num_tokens" in (logs or {}):
            self.logs.append(logs)


def figures() -> Iterator[Figure]:
    """SFT with equal settings; GRPO with the fastest exact matrix products against TRL's, and with equal ones."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with TemporaryDirectory() as folder:
        yield from of_sft(prepared("sft", Path(folder)))
        yield from of_grpo(prepared("grpo", Path(folder)))


def prepared(recipe: str, folder: Path) -> Work:
    """The arm's configuration, and the compiled rows and order that all arms read."""
    configuration = compose([f"recipe={recipe}", *SIZES])
    compile_dataset(configuration, folder / "data")
    rows, order, _ = read(folder / "data")
    return Work(configuration, rows, order, folder)


def of_sft(work: Work) -> Iterator[Figure]:
    """Tokens a second, padding left out."""
    pairs = {"ours": our_run, THEIRS: stock_sft}
    runs = turns({name: with_products("highest", partial(run, work)) for name, run in pairs.items()})
    best = {name: max(run.tokens for run in side) for name, side in runs.items()}
    told = f"SFT: tokens a second, ours {best['ours']:,.0f}, {THEIRS} {best[THEIRS]:,.0f}"
    yield Figure(told, best["ours"] / best[THEIRS], 0.97, "times", True)


def of_grpo(work: Work) -> Iterator[Figure]:
    """Seconds a step under each setting that is exact, the fastest first, and whether both sides earn alike."""
    own = ("medium", "highest") if precision.exact("medium") else ("highest",)
    sides = {setting: with_products(setting, partial(our_run, work)) for setting in own}
    runs = turns({**sides, THEIRS: with_products("highest", partial(stock_grpo, work))})
    least = {name: min(run.seconds for run in side) for name, side in runs.items()}
    for setting in dict.fromkeys((min(own, key=lambda name: least[name]), "highest")):
        both = f"ours {least[setting]:.2f} (matmul {setting}), {THEIRS} {least[THEIRS]:.2f} (highest)"
        yield Figure(f"GRPO: seconds a step, {both}", least[setting] / least[THEIRS], 0.6, "times", False)
    rewards = {name: [reward for run in side for reward in run.rewards] for name, side in runs.items()}
    ours, theirs = [reward for setting in own for reward in rewards[setting]], rewards[THEIRS]
    error = sqrt(sum(variance(side) / len(side) for side in (ours, theirs)))
    told = f"GRPO: mean reward, ours {mean(ours):.3f}, {THEIRS} {mean(theirs):.3f}, their difference"
    yield Figure(told, abs(mean(ours) - mean(theirs)) / error, 3, "standard errors", False)


def turns(sides: Mapping[str, Callable[[int], Run]]) -> dict[str, list[Run]]:
    """Runs of all sides in turns, each turn with a seed of its own."""
    with redirect_stdout(StringIO()):  # what TRL logs
        rounds = [{name: run(seed) for name, run in sides.items()} for seed in range(REPEATS)]
    return {name: [one[name] for one in rounds] for name in sides}


def with_products(setting: str, run: Callable[[int], Run]) -> Callable[[int], Run]:
    """The run, under a setting of matrix products."""

    def under(seed: int) -> Run:
        with settings(setting):
            return run(seed)

    return under


def our_run(work: Work, seed: int) -> Run:
    """An arm as the worker trains it, all it records included; no checkpoint but the last, and no evaluation."""
    configuration = work.configuration.model_copy(update={"seed": seed})
    arm = work.folder / "arms" / configuration.recipe.name
    arm.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=arm))
    model, tokenizer = load_configured(configuration)
    records = Records(folder, 0)
    build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
    trainer = build(configuration, model, tokenizer, work.rows, work.order, folder, records)
    lock.keep(configuration, folder, trainer, tokenizer, work.order, 0)
    trainer.add_callback(Hooks(records, folder, 1, lambda *rest: None, lambda entry: False, lambda entry: False, False))
    return timed(trainer)


def stock_sft(work: Work, seed: int) -> Run:
    """TRL's SFTTrainer on the same rows, each a prompt and a completion of a chat."""
    rows = work.rows.select(work.order.ravel())
    chats = [
        {"prompt": [{"role": "user", "content": row["prompt"]}], "completion": [{"role": "assistant", "content": text}]}
        for row in rows
        for text in row["targets"]
    ]
    arguments = SFTConfig(**stock(work, seed))
    return timed(SFTTrainer(work.configuration.model.path, arguments, train_dataset=Dataset.from_list(chats)))


def stock_grpo(work: Work, seed: int) -> Run:
    """TRL's GRPOTrainer on the same prompts, generating and judging in its own process."""
    configuration = work.configuration
    rows = work.rows.select(work.order.ravel()).select_columns(["prompt", "reference", "kind"])
    chats = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in rows]

    def accuracy(completions: list[Any], kind: list[str], reference: list[str], **columns: Any) -> list[float | None]:
        texts = [completion[0]["content"] for completion in completions]
        judged = (verify(*one, extraction="strict") for one in zip(kind, texts, reference, strict=True))
        return [float(verdict.outcome == "right") for verdict in judged]

    sampled: dict[str, Any] = {
        "num_generations": configuration.recipe.num_generations,
        "max_completion_length": configuration.data.max_completion_length,
    }
    arguments = GRPOConfig(**stock(work, seed), **sampled)
    return timed(GRPOTrainer(configuration.model.path, accuracy, arguments, train_dataset=Dataset.from_list(chats)))


def stock(work: Work, seed: int) -> dict[str, Any]:
    """Our sizes and learning rate, this machine's processor, and nothing written; all else as TRL has it."""
    train, recipe = work.configuration.train, work.configuration.recipe
    targets = work.configuration.data.targets_per_prompt if recipe.trainer == "sft" else recipe.num_generations
    return {
        "output_dir": str(work.folder / "stock"),
        "seed": seed,
        "max_steps": train.steps,
        "per_device_train_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": train.prompts_per_step * targets // recipe.micro_batch_size,
        "learning_rate": recipe.learning_rate,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }


def timed(trainer: Any) -> Run:
    """Train, and say what it cost."""
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    seconds = clock.ends[-1] - clock.ends[0]
    tokens = clock.logs[-1]["num_tokens"] - clock.logs[0]["num_tokens"]
    rewards = [logs["reward"] for logs in clock.logs if "reward" in logs]
    return Run(seconds / (len(clock.ends) - 1), tokens / seconds, rewards)
