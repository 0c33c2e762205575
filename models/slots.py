"""The rows being written: one KV cache for all, whose columns are a line of time.

A row joins with its prompt in the columns that end at the present one, and each step writes one column of every row.
Keys carry their own positions, so it does not matter in which columns they stand: a prompt is read once for all its
samples, rows join whenever there is room, and the last rows take the places of those that are done.
"""

import inspect
from collections.abc import Sequence
from itertools import accumulate, compress
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DummyLayer, DynamicLayer

SPARE_COLUMNS = 16  # of new buffers at least, else half of what is in use


class InPlaceLayer(DynamicLayer):
    """A layer whose keys and values stay where they are: a step writes one column and copies none.

    The model sees the part in use: rows [0, rows), columns [begin, end).
    """

    def __init__(self, like: DynamicLayer) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = like.dtype, like.device, True
        self.buffers = [part.new_empty(0, part.shape[1], 0, part.shape[3]) for part in _parts(like)]
        self.show(0, 0, 0)

    @property
    def capacity(self) -> tuple[int, int]:
        """Rows and columns there is room for."""
        rows, _, columns, _ = self.buffers[0].shape
        return rows, columns

    def show(self, rows: int, begin: int, end: int) -> None:
        """Say which part is in use."""
        self.rows, self.begin, self.end = rows, begin, end
        self.keys, self.values = (buffer[:rows, :, begin:end] for buffer in self.buffers)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write the next columns of the rows in use; keys and values of all columns in use."""
        end = self.end + key_states.shape[2]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[: self.rows, :, self.end : end] = states
        self.show(self.rows, self.begin, end)
        return self.keys, self.values

    def join(self, read: DynamicLayer, which: torch.Tensor) -> None:
        """Add the rows `which` of a layer that has read their prompts, which end at the present column."""
        parts = _parts(read)
        rows, begin = self.rows + len(which), self.end - parts[0].shape[2]
        for buffer, part in zip(self.buffers, parts, strict=True):
            buffer[self.rows : rows, :, self.begin : begin] = 0  # masked, but not a number times 0 is not a number
            buffer[self.rows : rows, :, begin : self.end] = part[which]
        self.show(rows, self.begin, self.end)

    def move(self, sources: torch.Tensor, targets: torch.Tensor) -> None:
        """Copy rows into the places of others."""
        for part in _parts(self):
            part[targets] = part[sources]

    def resize(self, rows: int, columns: int) -> None:
        """New buffers that begin with the part in use."""
        parts, width = _parts(self), self.end - self.begin
        self.buffers = [part.new_empty(rows, part.shape[1], columns, part.shape[3]) for part in parts]
        for buffer, part in zip(self.buffers, parts if self.rows else (), strict=False):
            buffer[: self.rows, :, :width] = part
        self.show(self.rows, 0, width)


class Slots:
    """The rows being written by one model; `rows` are the caller's numbers for them, in the order of the batch.

    Where a layer of the model's cache is not plain attention (a sliding window, a recurrent state), no row can join
    others (`joinable` is false); rows still share the reading of their prompt, and still leave when they are done.
    """

    def __init__(self, model: Any, pad_id: int, max_new_tokens: int) -> None:
        self.model, self.pad_id, self.max_new_tokens, self.device = model, pad_id, max_new_tokens, model.device
        self.takes = parameters(model)
        self.cache: Cache = DynamicCache(config=model.config)
        self.joinable = all(type(layer) in (DynamicLayer, DummyLayer) for layer in self.cache.layers)
        self.layers: list[InPlaceLayer] = []  # of `cache`, where rows can join
        self.rows: list[int] = []
        self.starts: list[int] = []  # column of each row's first token
        self.begin = self.end = 0  # columns in use
        self.planned = 0  # rows that new buffers are made for
        self.first = self.lengths = torch.zeros(0, dtype=torch.long, device=self.device)  # `starts`; tokens of each row

    def join(self, rows: Sequence[int], prompts: Sequence[Sequence[int]], planned: int = 0) -> torch.Tensor:
        """Read the prompts of new rows, equal ones side by side and read once; logits [new rows, vocabulary].

        No prompt may be longer than those of rows being written. `planned` rows are to be expected at a time from now
        on, these included; 0 if no more will join.
        """
        distinct, which = _distinct(prompts, self.device)
        logits, read = self._read(distinct)
        width = max(map(len, distinct))
        if self.joinable:
            self._place(read, which, width, planned)
        else:
            _select(read, which)
            self.cache, self.end = read, width
        self.rows += rows
        self.starts += [self.end - len(prompt) for prompt in prompts]
        self.lengths = torch.cat([self.lengths, torch.tensor([len(prompt) for prompt in prompts], device=self.device)])
        self._look()
        return logits[which]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Write one token of every row [rows]; logits of the next [rows, vocabulary]."""
        if self.layers and self.end == self.layers[0].capacity[1]:
            self._resize(max(len(self.rows), self.planned))
        mask = torch.arange(self.begin, self.end + 1, device=self.device) >= self.first[:, None]
        out = self._forward(tokens[:, None], mask.long(), self.lengths[:, None], self.cache)
        self.end += 1
        self.lengths = self.lengths + 1
        return out.logits[:, -1]

    def keep(self, places: Sequence[int]) -> torch.Tensor:
        """Go on with the rows at `places` (ascending) alone; for each row, now, the place it had before."""
        count = len(places)
        free = sorted(set(range(count)) - set(places))
        order = list(range(count))
        for target, source in zip(free, places[count - len(free) :], strict=True):
            order[target] = source
        chosen = torch.tensor(order, dtype=torch.long, device=self.device)
        if not self.joinable:
            _select(self.cache, chosen)
        elif free:
            targets = torch.tensor(free, device=self.device)
            for layer in self.layers:
                layer.move(chosen[targets], targets)
        self.rows, self.starts = [self.rows[i] for i in order], [self.starts[i] for i in order]
        self.lengths = self.lengths[chosen]
        self._look()
        return chosen

    def _read(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, Cache]:
        """Logits after each prompt [prompts, vocabulary], and a cache that holds them, padded on the left."""
        ids, mask = padded(prompts, self.pad_id, self.device)
        cache = DynamicCache(config=self.model.config)
        return self._forward(ids, mask, (mask.cumsum(1) - 1).clamp(min=0), cache).logits[:, -1], cache

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Cache) -> Any:
        more = {"position_ids": positions, "logits_to_keep": 1}
        taken = {name: value for name, value in more.items() if name in self.takes}
        return self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **taken)

    def _place(self, read: Cache, which: torch.Tensor, width: int, planned: int) -> None:
        """Add rows to the buffers, which are made anew where they are too small."""
        filled = [layer for layer in read.layers if isinstance(layer, DynamicLayer) and layer.is_initialized]
        if not self.layers:
            self.layers = [InPlaceLayer(layer) for layer in filled]
            own = iter(self.layers)
            self.cache = Cache(layers=[next(own) if layer in filled else layer for layer in read.layers])
        if not self.rows:
            self.begin, self.end = 0, width
            self._look()
        self.planned = planned
        rows, columns = self.layers[0].capacity
        wanted = len(self.rows) + len(which)
        if wanted > rows or self.end > columns:
            self._resize(max(wanted, planned))
        for layer, of_prompts in zip(self.layers, filled, strict=True):
            layer.join(of_prompts, which)

    def _resize(self, rows: int) -> None:
        """New buffers of so many rows, with the columns in use at their beginning and room for more."""
        width = self.end - self.begin
        columns = width + min(max(width // 2, SPARE_COLUMNS), self.max_new_tokens)
        for layer in self.layers:
            layer.resize(rows, columns)
        self.starts = [start - self.begin for start in self.starts]
        self.begin, self.end = 0, width
        self._look()

    def _look(self) -> None:
        """Leave out the columns before the first that some row needs."""
        self.first = torch.tensor(self.starts, dtype=torch.long, device=self.device)
        if self.joinable and self.rows:
            self.begin = min(self.starts)
        for layer in self.layers:
            layer.show(len(self.rows), self.begin, self.end)


def padded(prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [prompts, columns], padded on the left, and their attention mask."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask


def parameters(model: Any) -> frozenset[str]:
    """What the forward pass of a model takes by name; of an adapter, what its base takes."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(base.forward).parameters)


def _distinct(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[list[Sequence[int]], torch.Tensor]:
    """Each prompt once, where equal ones stand side by side, and for every prompt which of them it is."""
    new = [i == 0 or prompt != prompts[i - 1] for i, prompt in enumerate(prompts)]
    return list(compress(prompts, new)), torch.tensor([n - 1 for n in accumulate(map(int, new))], device=device)


def _parts(layer: DynamicLayer) -> tuple[torch.Tensor, torch.Tensor]:
    assert layer.keys is not None and layer.values is not None
    return layer.keys, layer.values


def _select(cache: Any, rows: torch.Tensor) -> None:
    """Every kind of layer knows this one, for beam search; not every one knows batch_select_indices."""
    cache.reorder_cache(rows)
