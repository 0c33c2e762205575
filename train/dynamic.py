"""Dynamic sampling (DAPO, arXiv:2503.14476, section 3.2): groups that are all right or all wrong give way to others.

These are of prompts from beyond the order. What was sampled in vain stays in the ledger.
"""

from collections.abc import Sequence
from typing import Any

from models.seeds import stream
from train import rewarding

Example = dict[str, Any]


def mixed(trainer: Any, examples: Sequence[Example]) -> tuple[list[Example], dict[str, Any]]:
    """The step's examples, with up to `dynamic_sampling` times other prompts in place of those whose group is of one
    verdict, and the rollout that TRL is to be given for them. Groups lie whole in one process."""
    group, kept = trainer.num_generations, list(examples)
    output = trainer.sample(kept, attempt=0)
    rows = list(trainer.rows)
    for attempt in range(1, trainer.configuration.recipe.dynamic_sampling + 1):
        equal = [start for start in range(0, len(kept), group) if _of_one_verdict(trainer, kept, output, start)]
        if not equal:
            break
        trainer.ledger.show(len(equal), [row for start in equal for row in rows[start : start + group]])
        fresh = [one for start in equal for one in [_another(trainer, attempt, start)] * group]
        drawn = trainer.sample(fresh, attempt)
        for i, start in enumerate(equal):
            here, there = slice(start, start + group), slice(i * group, (i + 1) * group)
            kept[here], rows[here] = fresh[there], trainer.rows[there]
            for name in ("prompt_ids", "completion_ids", "logprobs"):
                output[name][here] = drawn[name][there]
    trainer.rows, trainer.taught = rows, [False] * len(rows)
    return kept, output


def _of_one_verdict(trainer: Any, examples: Sequence[Example], output: dict[str, Any], start: int) -> bool:
    """Whether the group that begins at `start` is all right or all wrong."""
    here = slice(start, start + trainer.num_generations)
    with trainer.phase("reward"):
        found = rewarding.right(
            trainer.configuration, trainer.processing_class, examples[here], output["completion_ids"][here]
        )
    return len(set(found)) == 1


def _another(trainer: Any, attempt: int, start: int) -> Example:
    """A prompt of the training set, drawn by a stream of its own."""
    names = ("dynamic", trainer.finished, attempt, trainer.accelerator.process_index, start)
    slots = trainer.train_dataset
    chosen: Example = slots[stream(trainer.configuration.seed, *names) % len(slots)]
    return chosen
