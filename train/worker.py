"""One arm, one seed, from its frozen configuration: train, go on where it was cut, evaluate at every checkpoint."""

import os
import time
from pathlib import Path
from typing import Any

from conf import freeze
from conf.errors import UserError
from conf.files import write_json
from conf.schema import Configuration
from evaluation.spending import of_evaluation
from models import flops
from models.folder import check_sealed
from train import card, checkpoints, ledger, lock, processes, retention, stop
from train.horizon import run_order
from train.ledger import Ledger
from train.records import Records


def run(folder: Path) -> None:
    """Train the run in `folder`; data and base evaluation stand in the experiment's folder already."""
    configuration = freeze.read(folder / "config.yaml")
    if processes.rank() == 0:
        (folder / stop.STOPPED).unlink(missing_ok=True)
    settle(configuration, folder)
    from data.compile import read
    from evaluation.grade import check_verifiers
    from models.adapter import adapted
    from models.loading import load_configured
    from train import sharded

    rows, stored, _ = read(folder.parents[2] / "data")
    order = run_order(configuration, stored, len(rows))
    check_verifiers(set(rows["kind"]), configuration.hardware.reward_workers)
    found = checkpoints.latest(folder / "checkpoints")
    resumed_at, checkpoint = found if found else (0, None)
    if checkpoint:
        checkpoints.check_processes(checkpoint)
    book = Ledger(ledger.opening(configuration, checkpoint), shape_of(configuration))
    ledger.check(book.entry, configuration)
    records = Records(folder, resumed_at, book)
    stage = configuration.hardware.zero_stage
    with sharded.loading(folder, stage):
        base, tokenizer = load_configured(configuration, spread=stage == 3)
        model = adapted(configuration, base)
    stopped = _train(configuration, folder, model, tokenizer, rows, order, records, checkpoint)
    processes.wait()
    if processes.rank() == 0:
        if stopped:
            stop.note(folder)
        else:
            freeze.mark(folder, "done.json")
    processes.wait()


def _train(
    configuration: Configuration,
    folder: Path,
    model: Any,
    tokenizer: Any,
    rows: Any,
    order: Any,
    records: Records,
    checkpoint: Path | None,
) -> bool:
    """Train to the end, or to where the run was asked to stop; whether it was."""
    from train import policy, sft
    from train.hooks import Hooks, Stop

    build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
    checkpoints.clear(folder / "checkpoints")
    trainer = build(configuration, model, tokenizer, rows, order, folder, records)
    lock.keep(configuration, folder, trainer, tokenizer, order, records.resumed_at)
    _check_processes(trainer.accelerator.num_processes)
    records.ledger.recomputed = bool(trainer.args.gradient_checkpointing)

    halt = Stop(folder, configuration.updates_per_step)

    def evaluate(tuned: Any, step: int) -> None:
        card.write(folder, step)
        checkpoints.drop_between(folder / "checkpoints", step, configuration.train.save_steps)
        if halt.now:
            return  # there is no time; the next start catches up
        hardware = configuration.hardware
        as_read = not hardware.zero_stage and hardware.mixed_precision == "no"  # whole, and in the base's precision
        live = trainer.accelerator.unwrap_model(tuned) if as_read else load_saved(configuration, folder, step)
        evaluate_checkpoint(configuration, folder, live, tokenizer, step)
        tidy(configuration, folder, step)

    def over(entry: ledger.Entry) -> bool:
        return ledger.reached(entry, configuration)

    trainer.add_callback(halt)
    trainer.add_callback(Hooks(records, folder, configuration.updates_per_step, evaluate, over))
    ended = records.resumed_at >= configuration.train.steps or ledger.reached(records.ledger.entry, configuration)
    if checkpoint and processes.rank() == 0:
        print(f"going on from {checkpoint}", flush=True)
        if ended or records.resumed_at % configuration.train.save_steps == 0:
            catch_up(configuration, folder, records.resumed_at)
        tidy(configuration, folder, records.resumed_at)
    processes.wait()
    if not ended:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    checkpoints.clear(folder / "checkpoints")
    return halt.now


def _check_processes(seen: int) -> None:
    """Processes that do not know of each other would each train a model of its own, into one folder."""
    if seen != processes.count():
        given = f"{processes.count()} processes were started, and the trainer sees {seen}"
        why = "each would train alone, and all would write the same run"
        raise UserError(given, why, "start them with torchrun or accelerate, for the device that hardware.device names")


def shape_of(configuration: Configuration) -> flops.Shape | None:
    """The sizes that decide what the model's matrix products cost, its adapter's included; None where unknown."""
    return flops.read(configuration.model.path, configuration.model.lora_rank)


def evaluate_checkpoint(configuration: Configuration, folder: Path, model: Any, tokenizer: Any, step: int) -> None:
    """Scores of one checkpoint, beside the run, and what they cost; found done where they stand already."""
    from evaluation.run import evaluate, finished
    from models import digest

    label = f"{configuration.recipe.name}/seed-{configuration.seed}"
    name = checkpoints.name(step)
    weights, where = digest(folder / "checkpoints" / name), folder / "evaluation" / name
    if finished(configuration, where, step, label, weights):
        return
    start = time.monotonic()
    evaluate(model, tokenizer, configuration, where, step, label, model_digest=weights)
    shape = shape_of(configuration)
    write_json(where / ledger.FILE, of_evaluation(where, tokenizer, shape, time.monotonic() - start))


def catch_up(configuration: Configuration, folder: Path, step: int) -> None:
    """Evaluate the checkpoint a cut run left behind unevaluated."""
    if scored(folder, step):
        return
    from models.loading import tokenizer_of

    tokenizer = tokenizer_of(configuration)
    evaluate_checkpoint(configuration, folder, load_saved(configuration, folder, step), tokenizer, step)


def tidy(configuration: Configuration, folder: Path, step: int) -> None:
    """Tell the scores in the card of this step's checkpoint, and remove those that are scored and not to be kept."""
    card.write(folder, step)
    retention.thin(folder / "checkpoints", configuration.train, lambda step: scored(folder, step))


def scored(folder: Path, step: int) -> bool:
    """Whether the checkpoint of this step has its scores."""
    return (folder / "evaluation" / checkpoints.name(step) / "scores.json").is_file()


def load_saved(configuration: Configuration, folder: Path, step: int) -> Any:
    """The model of a sealed checkpoint, whole and in this process alone."""
    from models.loading import load_configured

    where = folder / "checkpoints" / checkpoints.name(step)
    check_sealed(where)
    return load_configured(configuration, str(where), read_only=True)[0]


def settle(configuration: Configuration, folder: Path) -> None:
    """Process-wide settings, before anything heavy is imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    if configuration.logger.name == "wandb":
        _settle_wandb(configuration, folder)
    import torch
    import transformers

    from models import precision

    transformers.logging.disable_progress_bar()
    if configuration.hardware.device == "cpu":
        torch.set_num_threads(configuration.hardware.threads)
    elif not torch.cuda.is_available():
        raise UserError(
            "hardware.device=cuda", "torch sees no GPU here", "set hardware=cpu, or install the CUDA build of torch"
        )
    processes.settle(configuration.hardware.device, configuration.hardware.zero_stage)
    precision.settle(configuration.hardware.matmul_precision, configuration.hardware.device)
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
