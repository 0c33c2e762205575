"""One arm, one seed, from its frozen configuration: train, go on where it was cut, evaluate at every checkpoint."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from models.folder import check_sealed
from train import card, checkpoints, ledger, lock, measuring, processes, resharding, retention, stop, trackers
from train.horizon import run_order
from train.ledger import Ledger
from train.records import Records

if TYPE_CHECKING:
    from train.hooks import Stop


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
    measuring.check(configuration)
    check_verifiers(set(rows["kind"]), configuration.hardware.reward_workers)
    found = checkpoints.latest(folder / "checkpoints")
    resumed_at, checkpoint = found if found else (0, None)
    if checkpoint:
        resharding.check(configuration, checkpoints.processes_of(checkpoint), processes.count())
    book = Ledger(ledger.opening(configuration, checkpoint), measuring.shape_of(configuration))
    ledger.check(book.entry, configuration)
    records = Records(folder, resumed_at, book, trackers.opened(configuration, folder, resumed_at))
    stage = configuration.hardware.zero_stage
    with sharded.loading(folder, stage):
        begins = configuration.train.start_from
        check_sealed(begins or configuration.model.path)
        base, tokenizer = load_configured(configuration, begins, spread=stage == 3)
        model = adapted(configuration, base)
    stopped = _train(configuration, folder, model, tokenizer, rows, order, records, checkpoint)
    records.mirror.close()
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
    from train import policy, rollouts, sft
    from train.hooks import Hooks, Stop

    build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
    checkpoints.clear(folder / "checkpoints")
    trainer = build(configuration, model, tokenizer, rows, order, folder, records)
    lock.keep(configuration, folder, trainer, tokenizer, order, records.resumed_at)
    _check_processes(trainer.accelerator.num_processes)
    records.ledger.recomputed = bool(trainer.args.gradient_checkpointing)

    halt = Stop(folder, configuration.updates_per_step)

    def spent(entry: ledger.Entry) -> bool:
        return entry["step"] >= configuration.train.steps or ledger.reached(entry, configuration)

    def over(entry: ledger.Entry) -> bool:
        return ledger.over(entry, configuration)

    trainer.add_callback(halt)
    measured = _measured(configuration, folder, trainer, tokenizer, halt)
    beyond = bool(checkpoint) and spent(records.ledger.entry)
    trainer.add_callback(Hooks(records, folder, configuration.updates_per_step, measured, spent, over, beyond))
    ended = over(records.ledger.entry)
    if checkpoint:
        if processes.rank() == 0:
            print(f"going on from {checkpoint}", flush=True)
        last = beyond and records.resumed_at == ledger.compared(folder, configuration)
        if ended or last or records.resumed_at % configuration.train.save_steps == 0:
            catch_up(configuration, folder, records.resumed_at, last)
        tidy(configuration, folder, records.resumed_at)
    processes.wait()
    if not ended:
        resume = resharding.readable(checkpoint, trainer) if checkpoint else None
        with rollouts.beside(configuration, folder, trainer):
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    checkpoints.clear(folder / "checkpoints")
    return halt.now


def _measured(
    configuration: Configuration, folder: Path, trainer: Any, tokenizer: Any, halt: "Stop"
) -> Callable[[Any, int, bool], None]:
    """What every process does with a checkpoint that is sealed: (the model as it is trained, its step, whether it is
    the run's last)."""
    hardware = configuration.hardware
    as_read = not hardware.zero_stage and hardware.mixed_precision == "no"  # whole, in the base's precision

    def measured(tuned: Any, step: int, last: bool) -> None:
        if processes.rank() == 0:
            card.write(folder, step)
            kept = ledger.compared(folder, configuration)
            checkpoints.drop_between(folder / "checkpoints", step, configuration.train.save_steps, kept)
        if halt.now:
            return  # there is no time; the next start catches up
        live = partial(trainer.accelerator.unwrap_model, tuned)
        saved = partial(load_saved, configuration, folder, step)
        evaluate_checkpoint(configuration, folder, live if as_read else saved, tokenizer, step, last)
        tidy(configuration, folder, step)

    return measured


def _check_processes(seen: int) -> None:
    """Processes that do not know of each other would each train a model of its own, into one folder."""
    if seen != processes.count():
        given = f"{processes.count()} processes were started, and the trainer sees {seen}"
        why = "each would train alone, and all would write the same run"
        raise UserError(given, why, "start them with torchrun or accelerate, for the device that hardware.device names")


def evaluate_checkpoint(
    configuration: Configuration, folder: Path, model: Callable[[], Any], tokenizer: Any, step: int, last: bool
) -> None:
    """Measure what the configuration asks for between steps, of a checkpoint whose weights `model` gives in every
    process."""
    place = measuring.of_checkpoint(configuration, folder, step, last)
    measuring.measure(configuration, place, measuring.wanted(configuration, place), model, tokenizer)


def catch_up(configuration: Configuration, folder: Path, step: int, last: bool) -> None:
    """Measure of the checkpoint that a cut run left behind what is due."""
    place = measuring.of_checkpoint(configuration, folder, step, last)
    if processes.collected(bool(measuring.due(configuration, place)))[0]:
        from models.loading import tokenizer_of

        saved = partial(load_saved, configuration, folder, step)
        evaluate_checkpoint(configuration, folder, saved, tokenizer_of(configuration), step, last)


def tidy(configuration: Configuration, folder: Path, step: int) -> None:
    """Tell the scores in the card of this step's checkpoint, and remove those that are measured and not to be kept. The
    first process does it, when all come here."""
    if processes.rank():
        return

    def measured(one: int) -> bool:
        place = measuring.of_checkpoint(configuration, folder, one, last=False)
        return not measuring.due(configuration, place, measuring.ANYWHERE)

    card.write(folder, step)
    retention.thin(folder / "checkpoints", configuration.train, measured, ledger.compared(folder, configuration))


def load_saved(configuration: Configuration, folder: Path, step: int) -> Any:
    """The model of a sealed checkpoint, whole and in this process alone."""
    from models.loading import load_configured

    where = folder / "checkpoints" / checkpoints.name(step)
    check_sealed(where)
    with processes.one_at_a_time():
        return load_configured(configuration, str(where), read_only=True)[0]


def settle(configuration: Configuration, folder: Path, training: bool = True) -> None:
    """Process-wide settings, before anything heavy is imported. DeepSpeed is for `training` alone."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    trackers.settle(configuration)
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
    processes.settle(configuration.hardware.device, configuration.hardware.zero_stage if training else 0)
    precision.settle(configuration.hardware.matmul_precision, configuration.hardware.device)
    transformers.set_seed(configuration.seed)
