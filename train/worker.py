"""One arm, one seed, from its frozen configuration: train, go on where it was cut, evaluate at every checkpoint."""

import os
import shutil
from pathlib import Path
from typing import Any

from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from train import checkpoints
from train.records import Records


def run(folder: Path) -> None:
    """Train the run in `folder`; data and base evaluation stand in the experiment's folder already."""
    configuration = freeze.read(folder / "config.yaml")
    settle(configuration, folder)
    from data import order as orders
    from data.compile import read
    from evaluation.grade import check_verifiers
    from models.loading import load_configured

    rows, stored, _ = read(folder.parents[2] / "data")
    order = orders.of_run(stored, len(rows), configuration.seed)
    check_verifiers(set(rows["kind"]), configuration.hardware.reward_workers)
    found = checkpoints.latest(folder / "checkpoints")
    resumed_at, checkpoint = found if found else (0, None)
    records = Records(folder, resumed_at)
    model, tokenizer = load_configured(configuration)
    _train(configuration, folder, model, tokenizer, rows, order, records, checkpoint)
    freeze.mark(folder, "done.json")


def _train(
    configuration: Configuration,
    folder: Path,
    model: Any,
    tokenizer: Any,
    rows: Any,
    order: Any,
    records: Records,
    checkpoint: Path | None,
) -> None:
    from train import policy, sft
    from train.hooks import Hooks

    build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
    updates = configuration.recipe.num_iterations if configuration.recipe.trainer == "policy" else 1
    writing = folder / "checkpoints" / ".writing"
    shutil.rmtree(writing, ignore_errors=True)
    trainer = build(configuration, model, tokenizer, rows, order, folder, records)

    def evaluate(tuned: Any, step: int) -> None:
        evaluate_checkpoint(configuration, folder, trainer.accelerator.unwrap_model(tuned), tokenizer, step)

    trainer.add_callback(Hooks(records, folder, updates, evaluate))
    if checkpoint:
        print(f"going on from {checkpoint}", flush=True)
        catch_up(configuration, folder, records.resumed_at)
    if records.resumed_at < configuration.train.steps:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    shutil.rmtree(writing, ignore_errors=True)


def evaluate_checkpoint(configuration: Configuration, folder: Path, model: Any, tokenizer: Any, step: int) -> None:
    """Scores of one checkpoint, beside the run; found done where they stand already."""
    from evaluation.run import evaluate
    from models import digest

    label = f"{configuration.recipe.name}/seed-{configuration.seed}"
    name = checkpoints.name(step)
    weights = digest(folder / "checkpoints" / name)
    evaluate(model, tokenizer, configuration, folder / "evaluation" / name, step, label, model_digest=weights)


def catch_up(configuration: Configuration, folder: Path, step: int) -> None:
    """Evaluate the checkpoint a cut run left behind unevaluated."""
    if (folder / "evaluation" / checkpoints.name(step) / "scores.json").exists():
        return
    from models.loading import load_configured

    model, tokenizer = load_configured(configuration, str(folder / "checkpoints" / checkpoints.name(step)))
    evaluate_checkpoint(configuration, folder, model, tokenizer, step)


def settle(configuration: Configuration, folder: Path) -> None:
    """Process-wide settings, before anything heavy is imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    if configuration.logger.name == "wandb":
        _settle_wandb(configuration, folder)
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    if configuration.hardware.device == "cpu":
        torch.set_num_threads(configuration.hardware.threads)
    elif not torch.cuda.is_available():
        raise UserError(
            "hardware.device=cuda", "torch sees no GPU here", "set hardware=cpu, or install the CUDA build of torch"
        )
    torch.set_float32_matmul_precision(configuration.hardware.matmul_precision)
    transformers.set_seed(configuration.seed)


def _settle_wandb(configuration: Configuration, folder: Path) -> None:
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise UserError(
            "logger=wandb", "the wandb package is not installed", "pip install -e '.[wandb]', or set logger=none"
        ) from None
    os.environ["WANDB_PROJECT"] = configuration.logger.project
    os.environ["WANDB_MODE"] = configuration.logger.mode
    os.environ["WANDB_DIR"] = str(folder)
