"""What two models' features of the same items have in common, accumulated item by item in bounded memory.

Held are sums, and rows that have the same second moments as all items together: where they become many more than the
columns, 1 + 2 width, they are replaced by the triangle of their QR decomposition, which changes no product of columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
BASE, TUNED = 0, 1
SPARE = 1024  # rows held beyond as many as there are columns, so that few items more are no decomposition more


@dataclass(frozen=True)
class Layer:
    """One layer's features, base and tuned; `rows` are centred and have the moments of all items, [2][rows, width]."""

    items: int
    means: Array  # [2, width]
    rows: tuple[Array, Array]
    squares: float  # of the base's features, summed over items and width
    difference: float  # squares of tuned minus base, summed
    cosine: float  # between an item's two features, summed over items
    origin: Array  # [2, width], which `cubes` and `fourths` are taken about
    cubes: Array  # [2, 2, width]: [i, j] is the sum over items of |z_i|^2 z_j, z_0 the base's feature, z_1 the tuned's
    fourths: Array  # [2, 2]: the sum of |z_i|^2 |z_j|^2
    traces: Array  # [2]: the sum of |z_i|^2


class Moments:
    """Add items in any number and order, then read each layer."""

    def __init__(self) -> None:
        self.items = 0
        self._rows: Array  # [layers, rows, 1 + 2 width]: a weight, the base's feature, the tuned's
        self._sums: dict[str, Array]

    def add(self, base: ArrayLike, tuned: ArrayLike) -> None:
        """Features [items, layers, width] of the same items, or [items, width] of one layer."""
        both = [np.asarray(one, dtype=np.float64) for one in (base, tuned)]
        both = [one[:, None] if one.ndim == 2 else one for one in both]
        if both[0].shape != both[1].shape or both[0].ndim != 3:
            raise ValueError(f"features of base and tuned have shapes {both[0].shape} and {both[1].shape}, not one")
        if not all(np.isfinite(one).all() for one in both):
            raise ValueError("a hidden state is not finite, so no distance is defined")
        if not len(both[0]):
            return
        raw_BINLW = np.stack(both)  # base or tuned, item, layer, width
        if not self.items:
            self._origin = raw_BINLW.mean(axis=1)
            self._rows = np.empty((raw_BINLW.shape[2], 0, 1 + 2 * raw_BINLW.shape[3]))
        self._add_sums(raw_BINLW)
        self._add_rows(raw_BINLW - self._origin[:, None])
        self.items += raw_BINLW.shape[1]

    def _add_sums(self, raw: Array) -> None:
        centred = raw - self._origin[:, None]
        norms = (centred**2).sum(-1)  # [2, items, layers]
        lengths = np.sqrt((raw**2).sum(-1))
        products = (raw[BASE] * raw[TUNED]).sum(-1)
        scale = lengths[BASE] * lengths[TUNED]
        new = {
            "squares": (raw[BASE] ** 2).sum((0, 2)),
            "difference": ((raw[TUNED] - raw[BASE]) ** 2).sum((0, 2)),
            "cosine": np.divide(products, scale, out=np.zeros_like(products), where=scale > 0).sum(0),
            "cubes": np.einsum("inl,jnlw->lijw", norms, centred),
            "fourths": np.einsum("inl,jnl->lij", norms, norms),
            "traces": norms.sum(1).T,
            "totals": centred.sum(1).swapaxes(0, 1),
        }
        self._sums = {key: self._sums[key] + value for key, value in new.items()} if self.items else new

    def _add_rows(self, centred: Array) -> None:
        ones = np.ones((*centred.shape[1:3], 1))
        fresh = np.concatenate([ones, centred[BASE], centred[TUNED]], axis=-1).swapaxes(0, 1)
        columns = fresh.shape[2]
        for begin in range(0, fresh.shape[1], columns):
            self._rows = np.concatenate([self._rows, fresh[:, begin : begin + columns]], axis=1)
            if self._rows.shape[1] > columns + min(columns, SPARE):
                self._rows = np.linalg.qr(self._rows, mode="r")  # type: ignore[assignment]

    def layers(self) -> Iterator[Layer]:
        """Every layer in turn."""
        for number, rows in enumerate(self._rows):
            weights, width = rows[:, :1], (rows.shape[1] - 1) // 2
            centred = rows - weights @ (weights.T @ rows / self.items)
            own = {key: value[number] for key, value in self._sums.items()}
            origin = self._origin[:, number]
            means = own["totals"] / self.items + origin
            yield Layer(
                items=self.items,
                means=means,
                rows=(centred[:, 1 : 1 + width], centred[:, 1 + width :]),
                squares=float(own["squares"]),
                difference=float(own["difference"]),
                cosine=float(own["cosine"]),
                origin=origin,
                cubes=own["cubes"],
                fourths=own["fourths"],
                traces=own["traces"],
            )
