"""Supervised fine-tuning, as TRL's SFTTrainer does it, on the compiled rows in the stored order.

L = - mean over the response tokens of a step of log pi(y_t | x, y_<t)
(q, w, surrogate, beta) = (teacher, 1, log, 0)
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from conf.schema import Configuration
from train.arguments import shared
from train.ledger import Ledger
from train.records import Records


class StoredOrderSFTTrainer(SFTTrainer):
    """TRL's trainer, with every step's rows booked in the ledger."""

    ledger: Ledger
    prompts_per_step: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lengths: list[torch.Tensor] = []  # a micro-batch each: [2, rows], tokens of rows and of their responses

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self.lengths.append(torch.stack([inputs["attention_mask"].sum(1), (inputs["labels"] != -100).sum(1)]))
        if len(self.lengths) == self.args.gradient_accumulation_steps:
            self._book()
        return super().training_step(model, inputs, *args, **kwargs)

    def _book(self) -> None:
        """The step's rows at once: the device is waited for once a step, not once a micro-batch."""
        totals, responses = torch.cat(self.lengths, dim=1).tolist()
        rows = [(total - response, response) for total, response in zip(totals, responses, strict=True)]
        shown = [row for row in rows if row[1]]  # a row without a target answers nothing
        self.ledger.show(self.prompts_per_step if self.accelerator.is_main_process else 0, shown)
        self.ledger.train(rows, passes=1, learned=sum(responses))
        self.lengths = []


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
    trainer = StoredOrderSFTTrainer(
        model=model, args=arguments, train_dataset=examples(rows, order, targets), processing_class=tokenizer
    )
    trainer.ledger, trainer.prompts_per_step = records.ledger, configuration.train.prompts_per_step
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
