"""The one generator: SFT targets, rollouts and evaluation sample through it, with one random stream a row."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from conf.errors import UserError
from models import plain
from models.draws import best, pick, uniforms
from models.engine import Engine, fields
from models.slots import Slots, parameters

Progress = Callable[[int, int], None]
Logps = list[list[float]]  # natural log-probability of each token, a list a row
Ended = Callable[[dict[int, tuple[list[int], list[float]]]], None]  # row -> its response, and its tokens' logps

READ_TOKENS = 16384  # of prompts read in one forward pass, where rows can join others
READ_PADDING = 256  # tokens of padding that are worth a forward pass of its own
JOIN_SHARE = 0.25  # of the places that must be free before more prompts are read


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    end_id: int,
    pad_id: int,
    max_new_tokens: int,
    temperature: float,
    seeds: Sequence[int] | None = None,
    batch_size: int = 256,
    batch_tokens: int | None = None,
    logps: Logps | None = None,
    progress: Progress | None = None,
    ended: Ended | None = None,
    ended_seconds: float = math.inf,
    top_p: float = 1.0,
) -> list[list[int]]:
    """Responses in the order of `prompts`, each ending in `end_id` unless cut at `max_new_tokens`.

    Temperature 0 is greedy. Otherwise row i samples from its own stream `seeds[i]`, so what it draws does not depend on
    its neighbours in the batch, among the likeliest tokens that have the probability `top_p` together. At most
    `batch_size` rows are written at a time, and no more than could grow to their full length within `batch_tokens`,
    prompts included; one row always may. Long prompts come first, equal ones are read once, and a row that ends makes
    room for one that waits. In place of a model there may be an engine (models/engine.py), which has its own batches. A
    list given as `logps` is filled with the log-probability that each token of each row had where it was drawn (at
    temperature 1 if greedy). `progress` hears how many rows of all have ended; `ended` is given each row once, at the
    end, be it an interruption, and every `ended_seconds` before it.
    """
    if temperature > 0 and (seeds is None or len(seeds) != len(prompts)):
        raise ValueError(
            f"sampling needs one seed a row: {len(prompts)} prompts, {0 if seeds is None else len(seeds)} seeds"
        )
    if isinstance(model, Engine):
        each = [seeds[i] if seeds else None for i in range(len(prompts))]
        asked = [fields(end_id, max_new_tokens, temperature, seed, top_p) for seed in each]
        return _asked(model, prompts, asked, logps, progress, ended, ended_seconds)
    writing = _Writing(prompts, end_id, max_new_tokens, temperature, top_p, seeds)
    told, telling = time.monotonic(), False
    with evaluating(model), torch.inference_mode():
        slots = Slots(model, pad_id, max_new_tokens) if "past_key_values" in parameters(model) else None
        try:
            while writing.advance(model, slots, pad_id, batch_size, batch_tokens):
                if progress:
                    progress(writing.ended, len(prompts))
                if ended and writing.untold and time.monotonic() - told > ended_seconds:
                    telling = True
                    ended(writing.news())
                    told, telling = time.monotonic(), False
        finally:  # what an interruption leaves, too
            if ended and writing.untold and not telling:
                ended(writing.news())
    if logps is not None:
        logps[:] = writing.logps()
    return writing.responses


def _asked(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    asked: Sequence[dict[str, Any]],
    logps: Logps | None,
    progress: Progress | None,
    ended: Ended | None,
    ended_seconds: float,
) -> list[list[int]]:
    """`generate` by an engine, which is asked for each row with the `asked` fields."""
    found: list[list[int]] = []
    drawn: Logps = []
    told, begin = time.monotonic(), 0

    def tell() -> None:
        nonlocal told, begin
        rows, begin = range(begin, len(found)), len(found)
        if ended and rows:
            ended({row: (found[row], drawn[row]) for row in rows})
        told = time.monotonic()

    try:
        for response, own in engine.write(prompts, asked):
            found.append(response)
            drawn.append(own)
            if progress:
                progress(len(found), len(prompts))
            if time.monotonic() - told > ended_seconds:
                tell()
    finally:  # what an interruption leaves, too
        tell()
    if logps is not None:
        logps[:] = drawn
    return found


class _Writing:
    """What one call of `generate` has drawn and written, and which rows wait."""

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        end_id: int,
        limit: int,
        temperature: float,
        top_p: float,
        seeds: Sequence[int] | None,
    ) -> None:
        self.prompts, self.end_id, self.limit = prompts, end_id, limit
        self.temperature, self.top_p = temperature, top_p
        self.seeds = seeds if temperature > 0 else None
        self.waiting = deque(sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), tuple(prompts[i]))))
        self.responses: list[list[int]] = [[] for _ in prompts]
        self.draws: dict[int, np.ndarray] = {}  # of the rows being written
        self.logits: list[torch.Tensor] = []  # of their next tokens, in as many parts as joined
        self.drawn: list[tuple[list[int], torch.Tensor]] = []  # rows, and log-probabilities of their tokens, by step
        self.read: Logps = [[] for _ in prompts]  # off the device: of the tokens of `responses`, and of what follows
        self.ended = 0
        self.untold: list[int] = []  # rows that have ended since the last `news`

    def advance(self, model: Any, slots: Slots | None, pad_id: int, batch_size: int, batch_tokens: int | None) -> bool:
        """Read some prompts or write a token of every row; False where all rows have ended."""
        if not (self.waiting or (slots and slots.rows)):
            return False
        places = self.places(slots.rows if slots else [], batch_size, batch_tokens)
        if slots is None:
            self.all_at_once(model, pad_id, places)
        elif self.worth_joining(slots, places):
            self.join(slots, places)
        else:
            self.step(slots)
        return True

    def places(self, rows: Sequence[int], batch_size: int, batch_tokens: int | None) -> int:
        """Rows that may be written at a time, these among them."""
        if batch_tokens is None:
            return batch_size
        longest = max((len(self.prompts[row]) for row in (*rows, *list(self.waiting)[:1])), default=0)
        return max(1, min(batch_size, batch_tokens // (longest + self.limit)))

    def worth_joining(self, slots: Slots, places: int) -> bool:
        """Whether rows can join: reading a few prompts costs nearly as much as reading many."""
        free = places - len(slots.rows)
        enough = slots.joinable and free >= max(1, min(JOIN_SHARE * places, len(self.waiting)))
        return bool(self.waiting) and (not slots.rows or enough)

    def join(self, slots: Slots, places: int) -> None:
        """Have the next waiting rows read."""
        limits = (READ_TOKENS, READ_PADDING) if slots.joinable else (math.inf, math.inf)
        rows = self._next(places - len(slots.rows), *limits)
        planned = min(places, len(slots.rows) + len(rows) + len(self.waiting)) if self.waiting else 0
        self.logits.append(slots.join(rows, [self.prompts[row] for row in rows], planned))
        if self.seeds is not None:
            self.draws |= zip(rows, uniforms([self.seeds[row] for row in rows], self.limit), strict=True)

    def step(self, slots: Slots) -> None:
        """One more token of every row; those that end leave."""
        logits = torch.cat(self.logits).float()
        if logits.sum().isnan():
            why = "no token can be chosen: the weights have diverged, or overflow in their type"
            raise UserError(
                "logits that are not numbers", why, "lower recipe.learning_rate, or set model.dtype=float32"
            )
        tokens = self._chosen(slots.rows, logits)
        going = []
        for place, (row, token) in enumerate(zip(slots.rows, tokens.tolist(), strict=True)):
            self.responses[row].append(token)
            if token != self.end_id and len(self.responses[row]) < self.limit:
                going.append(place)
            else:
                self.draws.pop(row, None)
                self.untold.append(row)
        if len(going) < len(tokens):
            self.ended += len(tokens) - len(going)
            tokens = tokens[slots.keep(going)]
        self.logits = [slots.step(tokens)] if going else []

    def all_at_once(self, model: Any, pad_id: int, places: int) -> None:
        """The next waiting rows, as long as their prompts are equally long, from the first token to the last."""
        rows = self._next(places, math.inf, 0)  # some of these models take padding for text
        draws = None if self.seeds is None else uniforms([self.seeds[row] for row in rows], self.limit)
        asked = [self.prompts[row] for row in rows]
        found, logps = plain.write(model, asked, draws, self.temperature, self.top_p, self.end_id, pad_id, self.limit)
        for row, response in zip(rows, found, strict=True):
            self.responses[row] = response
        self.drawn += [(rows, of_column) for of_column in logps]
        self.ended += len(rows)
        self.untold += rows

    def logps(self) -> Logps:
        """Of every token of the responses."""
        for rows, drawn in self.drawn:
            for row, logp in zip(rows, drawn.tolist(), strict=True):
                self.read[row].append(logp)
        self.drawn.clear()
        return [own[: len(response)] for own, response in zip(self.read, self.responses, strict=True)]

    def news(self) -> dict[int, tuple[list[int], list[float]]]:
        """The rows that have ended since this was last asked."""
        logps, rows = self.logps(), self.untold
        self.untold = []
        return {row: (self.responses[row], logps[row]) for row in rows}

    def _next(self, room: int, tokens: float, padding: float) -> list[int]:
        """Up to `room` waiting rows, of which so many tokens are to be read at most, and so many of padding."""
        rows = [self.waiting.popleft()]
        width = len(self.prompts[rows[0]])
        tokens -= width
        while self.waiting and len(rows) < room:
            prompt = self.prompts[self.waiting[0]]
            if prompt != self.prompts[rows[-1]]:
                tokens, padding = tokens - width, padding - (width - len(prompt))
            if tokens < 0 or padding < 0:
                break
            rows.append(self.waiting.popleft())
        return rows

    def _chosen(self, rows: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
        if self.seeds is None:
            tokens, logps = best(logits)
        else:
            uniform = np.array([self.draws[row][len(self.responses[row])] for row in rows])
            drawn = torch.from_numpy(uniform).to(logits.device)
            tokens, logps = pick(logits, self.temperature, drawn, self.top_p)
        self.drawn.append((list(rows), logps))
        return tokens


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Every module in evaluation mode, and afterwards each as it was, with no buffer left that autograd cannot use."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
            for name, buffer in module.named_buffers(recurse=False):
                if buffer.is_inference():
                    setattr(module, name, buffer.clone())
