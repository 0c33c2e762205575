"""How far training moved the hidden states of given texts: the published shift in a plane of the base, and measures
without a scale beside it. docs/method.md has the equations.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from evaluation.drift import Pair, rendered
from evaluation.moments import BASE, TUNED, Array, Layer, Moments

LEAST = 4  # items: the unbiased CKA divides by items - 3
CUT = 128  # tokens of a text, as published
COLUMNS = "  "  # between the columns of a text, as published
MEANS = ("distance", "relative_norm", "cosine", "cka", "procrustes")
DIGITS = 7  # of a number that is stored


def representation_shift(
    base: Any, tuned: Any, texts: Sequence[Sequence[int]] = (), *, pad_id: int = 0, as_published: bool = False
) -> dict[str, Any]:
    """Shift between two models' features of the same items, with each layer's under `by_layer`.

    `base` and `tuned` are arrays [items, layers, width] (or [items, width]) and are taken as they are, or models, whose
    mean hidden states of the token ids `texts` are read (models.means.mean_states).

    `d`: the published distance, in units of activations. `distance`: the mean over layers of the length of the shift
    in the base's plane. `relative_norm`, `cosine`, `cka` (unbiased), `procrustes`: without a scale; means over layers.
    None where a layer has none.

    `as_published`: features as in the code of Huan et al. 2025 (padding averaged in, the embedding's output a layer),
    and `d` alone, with every layer's un-centred projection. ValueError below four items, and where a feature is not
    finite or the items' features do not differ.
    """
    if hasattr(base, "parameters") != bool(texts):
        raise ValueError("representation_shift takes two models with texts, or two arrays without")
    moments = Moments()
    for states in _paired(base, tuned, texts, pad_id, as_published) if texts else [(base, tuned)]:
        moments.add(*states)
    return of_moments(moments, as_published)


def of_moments(moments: Moments, as_published: bool = False) -> dict[str, Any]:
    """The same, of features that were accumulated."""
    if moments.items < LEAST:
        raise ValueError(f"{moments.items} items: a plane and an unbiased CKA need {LEAST} at least")
    found = [_layer(layer, as_published) for layer in moments.layers()]
    by_layer = {key: [one[key] for one in found] for key in found[0]}
    centre = np.mean(by_layer["shift"], axis=0)
    values: dict[str, Any] = {"items": moments.items, "d": float(np.linalg.norm(centre))}
    if not as_published:
        values |= {key: None if None in by_layer[key] else float(np.mean(by_layer[key])) for key in MEANS}
    return values | {"by_layer": by_layer}


def _layer(layer: Layer, as_published: bool) -> dict[str, Any]:
    moved = layer.means[TUNED] - layer.means[BASE]
    components, spread, factor = _plane(layer)
    shift = components @ moved
    if as_published:
        return {"shift": shift.tolist(), "principal": (components @ layer.means[BASE]).tolist()}
    other: Array = np.linalg.qr(layer.rows[TUNED].T, mode="r")  # type: ignore[assignment]
    return {
        "shift": shift.tolist(),
        "spread": spread.tolist(),
        "distance": float(np.linalg.norm(shift)),
        "in_plane": _share(float(shift @ shift), float(moved @ moved)),
        "relative_norm": float(np.sqrt(layer.difference / layer.squares)),
        "cosine": layer.cosine / layer.items,
        "cka": _cka(layer, factor, other),
        "procrustes": _procrustes(factor, other),
    }


def _plane(layer: Layer) -> tuple[Array, Array, Array]:
    """The base's first two principal components [2, width], its standard deviations along them, and a factor R [k,
    rows] with the base's centred rows = (Q R)^T.

    A component's largest entry is positive, as in scikit-learn from 1.5 on.
    """
    q, factor = np.linalg.qr(layer.rows[BASE].T)
    vectors, values, _ = np.linalg.svd(factor, full_matrices=False)
    size = float(np.sqrt(layer.squares / layer.items))
    if len(values) < 2 or values[1] <= 1e-10 * max(size, values[0]):
        raise ValueError("the items' features differ in fewer than two directions in some layer: there is no plane")
    components = (q @ vectors[:, :2]).T
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[[0, 1], largest])[:, None]
    return components, values[:2] / np.sqrt(layer.items - 1), factor


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _procrustes(one: Array, other: Array) -> float | None:
    """1 - |X'Y|_* / (|X|_F |Y|_F) of centred features; 0 where a rotation and a scale take one to the other, at most 1.

    Half of the squared distance of Ding et al. 2021 (arXiv 2108.01661, section 2) after both have norm 1.
    """
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return max(0.0, 1 - float(np.linalg.svd(one @ other.T, compute_uv=False).sum()) / scale) if scale else None


def _cka(layer: Layer, one: Array, other: Array) -> float | None:
    """Linear CKA (Kornblith et al. 2019, arXiv 1905.00414) with the unbiased estimate of HSIC (Song et al. 2012), as
    in Nguyen et al. 2021 (arXiv 2010.15327, equation 3): the biased one nears 1 where items are fewer than width."""
    own = [_hsic(layer, i, i, (one, other)) for i in (BASE, TUNED)]
    if min(own) <= 0:
        return None
    return _hsic(layer, BASE, TUNED, (one, other)) / float(np.sqrt(own[0]) * np.sqrt(own[1]))


def _hsic(layer: Layer, i: int, j: int, factors: tuple[Array, Array]) -> float:
    """The unbiased HSIC of linear kernels K, L with their diagonals set to 0, from sums over items z about `origin`:

    tr KL + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2), over n (n-3)."""
    n = layer.items
    a, b = layer.means[i] - layer.origin[i], layer.means[j] - layer.origin[j]
    bend = float((layer.rows[i] @ a) @ (layer.rows[j] @ b)) + n * float(a @ a) * float(b @ b)  # a' (Z_i' Z_j) b
    square = float(((factors[i] @ factors[j].T) ** 2).sum())
    square += 2 * n * bend - n**2 * float(a @ a) * float(b @ b)
    trace = square - layer.fourths[i, j]
    ones = [n**2 * float(m @ m) - layer.traces[k] for m, k in ((a, i), (b, j))]
    both = n**2 * bend - n * float(layer.cubes[j, i] @ a) - n * float(layer.cubes[i, j] @ b) + layer.fourths[i, j]
    return float(trace + ones[0] * ones[1] / ((n - 1) * (n - 2)) - 2 * both / (n - 2)) / (n * (n - 3))


def _paired(
    base: Any, tuned: Any, texts: Sequence[Sequence[int]], pad_id: int, as_published: bool
) -> Iterator[tuple[Any, Any]]:
    """Both models' features of the same texts, a batch at a time."""
    from models.means import mean_states, mean_states_as_published

    read = mean_states_as_published if as_published else mean_states
    for (_, one), (_, other) in zip(read(base, texts, pad_id), read(tuned, texts, pad_id), strict=True):
        yield one, other


def measure(pair: Pair) -> dict[str, Any]:
    """Of the first drift.representation_items prompts a benchmark: `benchmarks`, `groups` (the items of all a group's
    benchmarks together) and `new_task` (prompts of what was trained on); with drift.representation_as_published,
    `as_published` too. A cell that cannot be made is {"reason": ...}."""
    asked = pair.configuration.drift
    by_group: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in pair.base.greedy:
        own = by_group.setdefault(row["group"], {}).setdefault(row["benchmark"], [])
        if len(own) < asked.representation_items:
            own.append(row)
    found: dict[str, Any] = {"benchmarks": {}, "groups": {}}
    for group, benchmarks in by_group.items():
        cells, whole = _group(pair, benchmarks)
        found["benchmarks"] |= {name: {"group": group, **cell} for name, cell in cells.items()}
        found["groups"][group] = whole
    prompts = list(pair.new_task[: asked.representation_items])
    if prompts:
        found["new_task"] = _cell(_accumulated(pair, prompts, [Moments()])[0])
    if asked.representation_as_published:
        found["as_published"] = _published(pair, by_group)
    return _rounded(found)


def _group(pair: Pair, benchmarks: dict[str, list[dict[str, Any]]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each benchmark's cell, and that of all their items."""
    whole, cells = Moments(), {}
    for name, rows in benchmarks.items():
        own, _ = _accumulated(pair, rendered(pair.tokenizer, rows), [Moments(), whole])
        cells[name] = _cell(own)
    return cells, _cell(whole)


def _accumulated(pair: Pair, texts: list[list[int]], into: list[Moments]) -> list[Moments]:
    for one, other in _paired(pair.base.model, pair.tuned.model, texts, pair.tokenizer.pad_token_id, False):
        for moments in into:
            moments.add(one, other)
    return into


def _cell(moments: Moments, as_published: bool = False) -> dict[str, Any]:
    try:
        return of_moments(moments, as_published)
    except ValueError as error:
        return {"items": moments.items, "reason": str(error)}


def _published(pair: Pair, by_group: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Prompt and reference joined, no template, the first CUT tokens; a group's `d` is the mean of its benchmarks'."""
    benchmarks = {}
    for group, own in by_group.items():
        for name, rows in own.items():
            texts = [COLUMNS.join((row["prompt"], row["reference"])) for row in rows]
            ids = pair.tokenizer(texts, truncation=True, max_length=CUT, padding=False)["input_ids"]
            moments = Moments()
            for states in _paired(pair.base.model, pair.tuned.model, ids, pair.tokenizer.pad_token_id, True):
                moments.add(*states)
            benchmarks[name] = {"group": group, **_cell(moments, as_published=True)}
    groups = {group: _mean_d(one for one in benchmarks.values() if one["group"] == group) for group in by_group}
    return {"benchmarks": benchmarks, "groups": groups}


def _mean_d(cells: Iterable[dict[str, Any]]) -> dict[str, Any]:
    values = [cell.get("d") for cell in cells]
    there = [value for value in values if value is not None]
    if len(there) < len(values):
        return {"d": None, "reason": "a benchmark of the group has no d"}
    return {"d": float(np.mean(there)), "benchmarks": len(there)}


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as features in float32 carry."""
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_rounded(own) for own in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
