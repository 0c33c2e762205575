"""Pretrain the embedded base on the world: `make base`. Seeded; about 25 minutes on one core.

Its math is a mixture of strategies (answer at once, write the steps, careless running totals), so that pass@k stands
far above pass@1 and reinforcement learning has something to choose among.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from data import world
from data.items import GROUPS, Item
from models.generation import generate
from models.render import prompt_ids, response_ids, response_text
from models.tiny import make_model, make_tokenizer

GROUP_SHARES = {"math": 0.42, "other_reasoning": 0.38, "non_reasoning": 0.20}
STRATEGY_SHARES = {"direct": 0.30, "steps": 0.40, "careless": 0.30}


def response(item: Item, rng: random.Random) -> str:
    """What the base is shown for an item: one of three strategies in math, the answer elsewhere."""
    if item.group != "math":
        return item.reference
    name = rng.choices(list(STRATEGY_SHARES), list(STRATEGY_SHARES.values()))[0]
    if name == "careless":
        return world.write_careless(item.prompt, rng)
    return world.write_direct(item.prompt) if name == "direct" else world.write_steps(item.prompt)


Corpus = dict[str, list[list[tuple[list[int], Item]]]]


def corpus(tokenizer: Any, per_benchmark: int, seed: int) -> Corpus:
    """Prompts of the pretraining split as ids: by group, then by benchmark."""
    groups: Corpus = {group: [] for group in GROUPS}
    for name, benchmark in world.BENCHMARKS.items():
        found = world.items(name, "pretrain", per_benchmark, seed)
        groups[benchmark.group].append([(prompt_ids(tokenizer, item.prompt), item) for item in found])
    return groups


def batches(
    groups: Corpus, tokenizer: Any, size: int, rng: random.Random
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Steps without end, each two micro-batches of (ids, labels): the short rows and the long ones, to save padding."""
    while True:
        rows = []
        for group in rng.choices(list(GROUP_SHARES), list(GROUP_SHARES.values()), k=size):
            prompt, item = rng.choice(rng.choice(groups[group]))
            rows.append((prompt, response_ids(tokenizer, response(item, rng))))
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        yield [collate(part, tokenizer.pad_token_id) for part in (rows[: size // 2], rows[size // 2 :])]


def collate(rows: list[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded on the right; labels cover the response and its end token."""
    width = max(len(p) + len(r) for p, r in rows)
    ids = [p + r + [pad] * (width - len(p) - len(r)) for p, r in rows]
    labels = [[-100] * len(p) + r + [-100] * (width - len(p) - len(r)) for p, r in rows]
    return torch.tensor(ids), torch.tensor(labels)


def backward(model: Any, ids: torch.Tensor, labels: torch.Tensor, parts: int) -> float:
    """Add one micro-batch's gradient; its share of the step's loss, nats a token."""
    loss = model(input_ids=ids, labels=labels).loss / parts
    loss.backward()
    return loss.item()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 2%, cosine to a twentieth."""
    warm = max(1, steps // 50)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))


def pretrain(steps: int, size: int, peak: float, per_benchmark: int, seed: int) -> tuple[Any, Any]:
    """The trained (model, tokenizer)."""
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, seed)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, {len(tokenizer)} tokens", flush=True)
    groups, rng = corpus(tokenizer, per_benchmark, seed), random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.05)
    stream, started = batches(groups, tokenizer, size, rng), time.monotonic()
    for step in range(steps):
        parts = next(stream)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        loss = sum(backward(model, ids, labels, len(parts)) for ids, labels in parts)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 200 == 0 or step == steps - 1:
            print(f"step {step} loss {loss:.3f} {time.monotonic() - started:.0f} s", flush=True)
        if step and step % 500 == 0:
            print(json.dumps(abilities(model, tokenizer, 50)), flush=True)
    return model, tokenizer


def abilities(model: Any, tokenizer: Any, count: int) -> dict[str, float]:
    """Greedy accuracy by benchmark on validation items, in percent."""
    from rewards import verify

    scores = {}
    for name in world.BENCHMARKS:
        found = world.items(name, "validation", count, seed=7)
        out = generate(
            model,
            [prompt_ids(tokenizer, item.prompt) for item in found],
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            max_new_tokens=64,
            temperature=0.0,
        )
        texts = [response_text(tokenizer, ids) for ids in out]
        right = [
            verify(i.kind, t, i.reference, **i.options).outcome == "right" for i, t in zip(found, texts, strict=True)
        ]
        scores[name] = round(100 * sum(right) / len(right), 1)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/embedded"))
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak", type=float, default=2e-3)
    parser.add_argument("--items", type=int, default=20000, help="distinct prompts a benchmark, where it has so many")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    model, tokenizer = pretrain(args.steps, args.batch, args.peak, args.items, args.seed)
    model.save_pretrained(args.out, safe_serialization=True)
    tokenizer.save_pretrained(args.out)
    print(json.dumps(abilities(model, tokenizer, 100), indent=1))


if __name__ == "__main__":
    main()
