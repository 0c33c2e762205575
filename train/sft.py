"""Supervised fine-tuning, as TRL's SFTTrainer does it, on the compiled rows in the stored order.

L = - mean over the response tokens of a step of log pi(y_t | x, y_<t)
(q, w, surrogate, beta) = (teacher, 1, log, 0)
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from conf.schema import Configuration
from models.adapter import keep_precision
from models.loading import load_configured
from train import heads, processes, sharded
from train.arguments import shared
from train.clock import Clock
from train.drift import EXACT, K3, divergence
from train.ledger import Ledger
from train.records import Records
from train.schedule import scheduled


class StoredOrderSFTTrainer(SFTTrainer):
    """TRL's trainer, with every step's rows booked in the ledger, and the policy measured against the base."""

    configuration: Configuration
    ledger: Ledger
    clock: Clock

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lengths: list[torch.Tensor] = []  # a micro-batch each: [2, rows], tokens of rows and of their responses
        self.drift: list[torch.Tensor] = []  # a measured micro-batch each: [3], sums of exact and k3, tokens
        self.base: Any = None  # as it was

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self.clock.start()
        measured = sum(batch.size(1) for batch in self.lengths)
        self._measure_drift(inputs, self.configuration.train.kl_rows - measured)
        self.lengths.append(torch.stack([inputs["attention_mask"].sum(1), (inputs["labels"] != -100).sum(1)]))
        if len(self.lengths) == self.args.gradient_accumulation_steps:
            self._book()
        return super().training_step(model, inputs, *args, **kwargs)

    @torch.no_grad()
    def _measure_drift(self, inputs: dict[str, Any], rows: int) -> None:
        """KL(policy || base) on up to so many rows of a micro-batch. A measurement, so no FLOPs of it are booked."""
        if rows <= 0:
            return
        with self.clock.phase("measure"):
            if self.base is None:
                copy, stage = load_configured(self.configuration)[0], self.configuration.hardware.zero_stage
                self.base = sharded.frozen(copy, self.accelerator, stage)
            ids, attention, labels = (inputs[name][:rows] for name in ("input_ids", "attention_mask", "labels"))
            mask, policy = labels != -100, self.accelerator.unwrap_model(self.model)
            found = divergence(policy, self.base, ids, attention, mask)
            self.drift.append(torch.stack([*((one * mask).sum().double() for one in found), mask.sum().double()]))

    def _book(self) -> None:
        """The step's rows at once: the device is waited for once a step, not once a micro-batch."""
        totals, responses = torch.cat(self.lengths, dim=1).tolist()
        rows = [(total - response, response) for total, response in zip(totals, responses, strict=True)]
        shown = [row for row in rows if row[1]]  # a row without a target answers nothing
        prompts = self.configuration.train.prompts_per_step if self.accelerator.is_main_process else 0
        self.ledger.show(prompts, shown)
        self.ledger.train(rows, passes=1, learned=sum(responses))
        self._tell(responses)
        self.lengths, self.drift = [], []

    def _tell(self, lengths: list[int]) -> None:
        """Log how long the targets are (0: there is none), and how far the policy was from the base."""
        told = [length for own in processes.gathered(lengths) for length in own if length] or [0]
        for name, value in (("mean", sum(told) / len(told)), ("min", min(told)), ("max", max(told))):
            self._metrics["train"][f"completions/{name}_length"].append(value)
        if self.drift:
            exact, k3, tokens = self.accelerator.reduce(torch.stack(self.drift).sum(0), "sum").tolist()
            for name, total in ((EXACT, exact), (K3, k3)):
                self._metrics["train"][name].append(total / tokens if tokens else math.nan)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """TRL's, kept as it is beyond the budget."""
        create = super().create_scheduler
        self.lr_scheduler = found = scheduled(create, self.configuration, num_training_steps, optimizer)
        return found

    def log(self, *args: Any, **kwargs: Any) -> None:
        """TRL's, with the seconds that each phase of the step took."""
        for name, took in self.clock.tell().items():
            self._metrics["train"][name].append(took)
        super().log(*args, **kwargs)


def build(
    configuration: Configuration,
    model: Any,
    tokenizer: Any,
    rows: Dataset,
    order: np.ndarray,
    folder: Path,
    records: Records,
) -> SFTTrainer:
    """A trainer over `order` [steps, prompts_per_step]: row numbers of the compiled data set."""
    targets = configuration.data.targets_per_prompt
    per_step = configuration.train.prompts_per_step * targets
    arguments = SFTConfig(
        **shared(configuration, folder, per_step),
        loss_type="nll",
        max_length=None,
        packing=False,
        padding_free=False,
        completion_only_loss=True,
        assistant_only_loss=False,
        shuffle_dataset=False,
        train_sampling_strategy="sequential",
        label_smoothing_factor=0.0,
        neftune_noise_alpha=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    heads.score_labels_alone()
    trainer = StoredOrderSFTTrainer(
        model=model, args=arguments, train_dataset=examples(rows, order, targets), processing_class=tokenizer
    )
    keep_precision(configuration, trainer.model)
    trainer.configuration, trainer.ledger, trainer.clock = configuration, records.ledger, Clock(("measure",))
    return trainer


def examples(rows: Dataset, order: np.ndarray, targets: int) -> Dataset:
    """One example a (slot of the order, target): ids, and labels over exactly the response and its end token.

    Made as they are read, so that an order of many epochs takes no memory. A row without a target (data.pairing=union)
    is spent and trains nothing.
    """

    def render(batch: dict[str, list[int]]) -> dict[str, list[list[int]]]:
        found: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
        for slot, k in zip(batch["slot"], batch["target"], strict=True):
            row = rows[slot]
            prompt, response = row["prompt_ids"], row["target_ids"][k] if row["target_ids"] else []
            found["input_ids"].append(prompt + response)
            found["labels"].append([-100] * len(prompt) + response)
        return found

    slots = order.ravel()
    table = {"slot": np.repeat(slots, targets), "target": np.tile(np.arange(targets), len(slots))}
    return Dataset.from_dict(table).with_transform(render)
