"""vLLM in the generator's place: `models.generate` takes an engine where it takes a model, and asks it for the same.

An engine samples each row with a seed of its own, ends it at the same token, and returns the log-probabilities that the
tokens were drawn with; so responses do not depend on what shares the batch with them. It draws otherwise than the
project's generator does, though: equal seeds give equal responses of one engine, not of both.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

Weights = Iterable[tuple[str, torch.Tensor]]  # under their names in the base's own files


class Written(NamedTuple):
    """A response, and the natural log-probability of each of its tokens."""

    ids: list[int]
    logps: list[float]


class Engine:
    """What every engine does. `dtype`: that it computes in; `sleeps`: gives its device's memory back in `rest`."""

    dtype: torch.dtype
    sleeps = False
    config: Any = None  # the model's, where it is known

    def write(self, prompts: Sequence[Sequence[int]], fields: Sequence[dict[str, Any]]) -> Iterator[Written]:
        """One response a prompt, in order; `fields`: of each one's SamplingParams."""
        raise NotImplementedError

    def score(self, ids: Sequence[int]) -> list[float]:
        """Natural log-probabilities of every token of one text but the first."""
        raise NotImplementedError

    def load(self, weights: Weights, main: bool) -> None:
        """Take the policy's weights in place of its own. Every process goes through all of them; the `main` one gives
        them to a server."""
        raise NotImplementedError

    def rest(self) -> None:
        """Make room for training, until `load`."""


def fields(
    end_id: int, max_new_tokens: int, temperature: float, seed: int | None, top_p: float = 1.0
) -> dict[str, Any]:
    """A row's sampling parameters, everything stated: what is not is taken from the model's generation_config.json, a
    top_k say, or other tokens that end a response."""
    return {
        "max_tokens": max_new_tokens,
        "temperature": temperature,
        "seed": seed if temperature else None,
        "top_p": top_p,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "logprobs": 0,  # of the token drawn alone
        "ignore_eos": True,
        "stop_token_ids": [end_id],
        "skip_special_tokens": False,
    }
