"""TRL's fused head scores every position where there is no Triton, prompts and padding too, for devices that want
equal shapes in every batch. A processor does not: there it scores what has a label."""

import torch
from trl.kernels import chunked_logprob
from trl.trainer import utils


def score_labels_alone() -> None:
    """From now on, in this process. Losses and gradients stay what they are, up to rounding."""
    utils._use_triton = _compact


def _compact(device: torch.device) -> bool:
    """Whether the positions without a label are left out."""
    return device.type == "cpu" or bool(chunked_logprob._use_triton(device))
