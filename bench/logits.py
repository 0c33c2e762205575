"""Memory of comparing two models token by token at a vocabulary of 152 thousand: beyond the weights, as the peak of a
process of its own, on random states and heads. `python -m bench.logits WAY WIDTH TOKENS COMPARED` is one."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.functional import linear

from bench import Figure
from models.comparing import compare_states

VOCABULARY, TOKENS = 151_936, 4096  # Qwen3's; the tokens of one long response
WIDTHS = {1024: 4096, 5120: 512}  # hidden sizes of Qwen3 0.6B and 14B; states that are compared, all are held
SHORT = 512  # tokens on which the plain way is tried, for it takes 12 GB at TOKENS
WANTED = 1.2e9  # bytes
GIGA = 1e9


def figures() -> Iterator[Figure]:
    """Ours at every width; and how often as much the plain way takes, on fewer tokens."""
    for width, compared in WIDTHS.items():
        name = f"peak beyond the weights, {TOKENS} tokens, vocabulary {VOCABULARY}, width {width}"
        name += f" (its first {compared} tokens compared)" if compared < TOKENS else ""
        yield Figure(name, peak("pieces", width, TOKENS, compared) / GIGA, WANTED / GIGA, "GB", False)
    plain, ours = (peak(way, min(WIDTHS), SHORT, SHORT) for way in ("plain", "pieces"))
    told = f"{plain / GIGA:.1f} GB against {ours / GIGA:.1f} on {SHORT} tokens"
    yield Figure(f"times less than all logits at once, {told}", plain / ours, 1, "times", True)


def peak(way: str, width: int, tokens: int, compared: int) -> float:
    """Bytes that the process held at the most, less what it held with the weights."""
    asked = [sys.executable, "-m", "bench.logits", way, *map(str, (width, tokens, compared))]
    return float(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def measured(way: str, width: int, tokens: int, compared: int) -> float:
    """Both models share one head, which is weights; what is in the peak beside it is the states of all tokens, and the
    logits of a piece at a time, however many follow: so the first `compared` tokens tell it."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(VOCABULARY, width).normal_(std=width**-0.5, generator=generator)
    chosen = torch.randint(VOCABULARY, (tokens,), generator=generator)
    before = _held()
    base, tuned = (torch.empty(tokens, width).normal_(generator=generator) for _ in range(2))
    first = [own[:compared] for own in (base, tuned)]
    with torch.no_grad():
        if way == "plain":
            _plain(linear(first[0], weight), linear(first[1], weight), chosen[:compared])
        else:
            heads = [lambda own: linear(own, weight)] * 2
            compare_states(first[0], first[1], heads[0], heads[1], chosen[:compared])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0 - before


def _plain(base: torch.Tensor, tuned: torch.Tensor, chosen: torch.Tensor) -> None:
    """As it is written where memory is no matter: all logits, all log-probabilities."""
    before, now = base.log_softmax(-1), tuned.log_softmax(-1)
    (now.exp() * (now - before)).sum(-1)
    (before.exp() * (before - now)).sum(-1)
    for logits in (base, tuned):
        (logits > logits.gather(1, chosen[:, None])).sum(1)


def _held() -> float:
    """Bytes in memory now; that they are the most so far is the caller's to see to."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * resource.getpagesize())


if __name__ == "__main__":
    print(measured(sys.argv[1], *map(int, sys.argv[2:])))
