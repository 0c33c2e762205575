"""What measuring drift takes: texts that base and checkpoint read, and responses that are sampled for it."""

from typing import NamedTuple

from conf.schema import Configuration
from data import suite as suites

Sizes = tuple[int, int]  # tokens of a prompt and of a response


class Work(NamedTuple):
    """Of one checkpoint; `reads` and `samples` are numbers of texts with their sizes. Comparing weights costs none."""

    reads: list[tuple[int, Sizes]]
    samples: list[tuple[int, Sizes]]


def checkpoints(configuration: Configuration) -> int:
    """How many of a run are measured."""
    train, when = configuration.train, configuration.drift.when
    return -(-train.steps // train.save_steps) if "save" in when else int("end" in when)


def work(configuration: Configuration, evaluated: Sizes, trained: Sizes) -> Work:
    """`evaluated`: the usual sizes on the suite; `trained`: in training."""
    asked, found = configuration.drift, Work([], [])
    benchmarks = len(suites.asked(configuration.suite))
    if "tokens" in asked.measures:
        found.reads.append((2 * 2 * asked.tokens_items * benchmarks, evaluated))  # both texts, by both models
    if "representation" in asked.measures:
        found.reads.append((2 * asked.representation_items * (benchmarks + 1), (evaluated[0], 1)))
    if "distance" in asked.measures:
        limit = asked.distance_max_new_tokens or configuration.data.max_completion_length
        rows, sizes = asked.distance_prompts * asked.distance_samples, (trained[0], min(trained[1], limit))
        found.reads.append((2 * 2 * rows, sizes))
        found.samples.append((rows, sizes))
    return found
