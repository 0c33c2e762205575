"""Bytes that training and sampling a decoder take on each device, from its sizes. No torch here.

What is counted is what transformers, TRL's chunked head, torch's AdamW and DeepSpeed hold as this project uses them;
docs/plan.md has the equations and where they come from.
"""

from dataclasses import dataclass
from typing import Literal

from models.sizes import Parameters, Shape

Offload = Literal["none", "optimizer", "all"]
Attention = Literal["eager", "sdpa", "flash_attention_2"]

MOMENTS = 2  # of AdamW, each as wide as the numbers it updates
BUCKET = 5 * 10**8  # gradients that ZeRO-1 and ZeRO-2 reduce at a time: DeepSpeed's reduce_bucket_size
LIVE = 10**9  # parameters that ZeRO-3 holds whole at a time: DeepSpeed's stage3_max_live_parameters
HEAD_TOKENS, HEAD_COLUMNS = 4096, 32768  # of the tile of logits in TRL's chunked head
# of a parameter in NF4 with double quantization: 4 bits, 8 more for every 64, 32 more for every 256 of these
# (Dettmers et al. 2023, arXiv:2305.14314, section 3)
NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
WIDTHS = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Precision:
    """Bytes of a number: of parameters on the device, of products, and whether autocast makes copies for these."""

    parameters: int
    products: int
    autocast: bool
    master: bool  # float32 parameters beside those on the device, in the optimizer

    @property
    def stream(self) -> int:
        """Of the residual stream between layers."""
        return self.parameters


@dataclass(frozen=True)
class States:
    """Bytes of each device, and of the host memory beside it."""

    parameters: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    working: float = 0.0  # buckets for gradients on their way, layers that ZeRO-3 gathers
    host: float = 0.0

    @property
    def device(self) -> float:
        return self.parameters + self.gradients + self.optimizer + self.working


def precision(dtype: str, mixed: str, zero_stage: int) -> Precision:
    """As model.dtype, hardware.mixed_precision and ZeRO make it: DeepSpeed keeps bfloat16 parameters and float32
    masters, autocast float32 parameters and bfloat16 copies."""
    width = WIDTHS[dtype]
    if mixed == "no" or width == 2 and not zero_stage:
        return Precision(width, width, False, False)
    if zero_stage:
        return Precision(2, 2, False, True)
    return Precision(width, 2, True, False)


def states(
    given: Parameters, total: float, trained: float, numbers: Precision, stage: int, offload: Offload, processes: int
) -> States:
    """What `total` parameters, `trained` of them trained, take over `processes` devices under ZeRO `stage`.

    `given`: of the model whose layers are gathered. Rajbhandari et al. 2020 (arXiv:1910.02054), section 5, with float32
    gradients; 0 is DDP.
    """
    if stage == 0:
        width = numbers.parameters
        buckets = width * trained if processes > 1 else 0
        return States(width * total, width * trained, MOMENTS * width * trained, buckets)
    share = 1 / processes
    parameters = numbers.parameters * total * (share if stage == 3 else 1)
    gradients = 4 * trained * (1 if stage == 1 else share)
    master = 4 if numbers.master or stage < 3 else 0
    optimizer = (master + 4 * MOMENTS) * trained * share
    working = gathered(given, numbers) if stage == 3 else 2 * 4 * BUCKET if stage == 2 else 0
    moved = 0.0
    if offload != "none":
        moved, optimizer = optimizer, 0
        if stage > 1:
            moved, gradients = moved + gradients, 0
    if offload == "all":
        moved, parameters = moved + parameters, 0
    return States(parameters, gradients, optimizer, working, moved)


def gathered(given: Parameters, numbers: Precision) -> float:
    """What ZeRO-3 holds whole at a time: parameters up to its limit, or the largest layer."""
    return numbers.parameters * min(given.total, max(LIVE, given.embedding, given.layer))


def layer(
    given: Shape, length: int, numbers: Precision, attention: Attention, head_norms: bool, weights: float
) -> float:
    """Bytes a token that one layer keeps for its backward pass, in rows of `length` tokens.

    The terms of Korthikanti et al. 2022 (arXiv:2205.05198), section 4.1, for root mean square norms, grouped queries
    and a gated MLP as transformers computes them. `weights`: parameters of the layer over the tokens of the batch, of
    which autocast keeps copies.
    """
    width, hidden = numbers.products, given.hidden_size
    normed = 4 + numbers.stream  # in float32, and normalised
    norms = 2 * (hidden * normed + 4) + hidden * width * (5 if numbers.autocast else 2)
    if head_norms:
        norms += (given.queries + given.keys) * (4 + width) + 4 * (given.heads + given.kv_heads)
    mlp = (4 if given.mlp_matrices == 3 else 2) * given.intermediate_size * width
    return norms + mlp + _attention(given, length, numbers, attention) + 2 * weights * numbers.autocast


def _attention(given: Shape, length: int, numbers: Precision, attention: Attention) -> float:
    """Queries, keys, values and what comes out; scores or the mask of padded rows where the kernel keeps them. Masked,
    sdpa and eager repeat keys and values for every query."""
    width = numbers.products
    if attention == "flash_attention_2":
        return 2 * (given.queries + given.keys) * width + 4 * given.heads
    whole = 4 * given.queries * width
    if attention == "sdpa":
        return whole + 4 * given.heads + width * length
    return whole + given.heads * length * (width if width == 4 else 4 + width)


def activations(
    given: Shape,
    own: Parameters,
    rows: int,
    length: int,
    numbers: Precision,
    attention: Attention,
    head_norms: bool,
    checkpointing: bool,
) -> float:
    """Bytes that a forward pass of `rows` rows of `length` tokens keeps for the backward pass, head left out; with
    checkpointing, every layer's input alone."""
    tokens, hidden = rows * length, given.hidden_size
    last = tokens * (hidden * (4 + numbers.stream) + 4) + 2 * length * given.head_dim * numbers.stream
    if checkpointing:
        return given.layers * tokens * hidden * numbers.stream + last
    return given.layers * tokens * layer(given, length, numbers, attention, head_norms, own.layer / tokens) + last


def backward(
    given: Shape,
    own: Parameters,
    rows: int,
    length: int,
    numbers: Precision,
    attention: Attention,
    head_norms: bool,
    checkpointing: bool,
) -> float:
    """Bytes that the backward pass of one layer takes beside: gradients of two of an MLP's inner tensors and of the
    stream, and with checkpointing what the layer keeps when it is computed again."""
    tokens = rows * length
    gradients = tokens * (2 * given.intermediate_size * numbers.products + given.hidden_size * numbers.stream)
    if not checkpointing:
        return gradients
    return gradients + tokens * layer(given, length, numbers, attention, head_norms, own.layer / tokens)


def copies(own: Parameters, numbers: Precision) -> float:
    """Bytes of autocast's copies of the layers' weights, which last as long as the forward pass. Without checkpointing
    the layers keep them, and `layer` counts them."""
    return 2 * own.layers * own.layer * numbers.autocast


def logits(given: Shape, tokens: int, numbers: Precision, trained: bool, fused: bool) -> float:
    """TRL's chunked head on `tokens` tokens: a tile of logits, and float32 gradients of the hidden states and, where it
    is `trained`, of the head's weights. Without Triton's `fused` kernel, five float32 copies of the tile."""
    rows = min(tokens, HEAD_TOKENS)
    tile = rows * HEAD_COLUMNS * numbers.products
    copies = 0 if fused else 5 * 4 * rows * min(given.vocab_size, HEAD_COLUMNS)
    states = tokens * given.hidden_size * (4 + numbers.products)
    weights = given.vocab_size * given.hidden_size * (4 + numbers.parameters) if trained else 0
    return tile + copies + states + weights


def whole_logits(given: Shape, tokens: int, numbers: Precision) -> float:
    """What it would be without chunks: logits, their float32 copy, and the gradients of both."""
    return tokens * given.vocab_size * 2 * (numbers.products + (4 if numbers.products < 4 else 0))


def cache(given: Shape, tokens: float, numbers: Precision) -> float:
    """Keys and values of `tokens` tokens; under autocast the rotated keys are float32."""
    width = 3 if numbers.autocast else numbers.products
    return 2 * given.layers * given.keys * tokens * width
