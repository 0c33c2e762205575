"""Token shift: how differently base and tuned model continue the same texts, token by token; docs/method.md.

The texts are the tuned model's own greedy responses to the suite's items (`own`), and the base's (`base`), which are
the same for every model that is compared.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from evaluation import parts, words
from evaluation.drift import Model, Pair, rendered
from evaluation.scores import mean_of
from evaluation.statistics import group_draws, interval
from models.comparing import Array, Compared, compare, compare_logits

OWN, BASE = "own", "base"
SMALLEST = 1e-10  # added to a probability before its logarithm is taken, as published
UNSHIFTED, MARGINAL = 1, 3  # the base's rank of a token up to which it is unshifted, or marginal; Lin et al. 2024
LEAST_USES = 3  # shifted ones that a word needs to be listed by its rank shift
TOKENS_KEPT = 3  # texts of its shifted tokens listed with a word
FILE = "responses.parquet"
MEANS = ("kl_tuned_base", "kl_base_tuned", "rank_shift", "unshifted", "marginal", "shifted", "beyond")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("text", "benchmark", "group", "item")),
        ("tokens", pa.int32()),
        ("written", pa.int32()),
        *((name, pa.float64()) for name in (*MEANS, "log_ratio")),
    ]
)

Cell = dict[str, Any]


def token_shift(
    base: Any,
    tuned: Any,
    texts: Sequence[Any],
    *,
    definition: Literal["exact", "as_published"] = "exact",
    shifted_rank: int = UNSHIFTED,
    ended: Sequence[bool] | None = None,
    pad_id: int = 0,
) -> Cell:
    """Plain numbers of the shift between two models on the same responses; `kl` is what `definition` says.

    Of models, `texts` are (prompt, response) pairs of token ids. Of arrays, `base` and `tuned` are logits [tokens,
    vocabulary], one array a response, and `texts` the responses' token ids. `exact`: KL(tuned || base) over the whole
    vocabulary, in nats a token, the mean over all tokens. `as_published` (Huan et al. 2025, arXiv 2507.00432, section
    4.1, and its code): the mean of log p_tuned - log p_base of the responses' own tokens, over the tokens of each
    response without its first and its end token, then over responses, without its sign. A token is counted as `beyond`
    where the base ranks it below `shifted_rank`. `ended`: which responses have an end token last; all, where not given.
    """
    if isinstance(base, torch.nn.Module):
        found = compare(base, tuned, texts, pad_id)
    else:
        rows = [[torch.as_tensor(np.asarray(one)) for one in row] for row in zip(base, tuned, texts, strict=True)]
        found = [Compared(*compare_logits(*row).numpy()) for row in rows]
    ends = [True] * len(found) if ended is None else ended
    measured = [_means(one, end, shifted_rank) for one, end in zip(found, ends, strict=True) if len(one.forward)]
    if not measured:
        raise ValueError("token_shift: no response has a token")
    cell = benchmark_cell(measured)
    kl = cell["kl_tuned_base"]["tokens"] if definition == "exact" else cell["published"]
    return {"kl": kl, "definition": definition, **cell}


def measure(pair: Pair) -> Cell:
    """Both kinds of text over the first `drift.tokens_items` items of each benchmark; a row a response goes into
    FILE. ValueError where the two models answered no common item."""
    asked = pair.configuration.drift
    read = _texts(pair)
    found = compare(pair.base.model, pair.tuned.model, [one.ids for one in read], pair.tokenizer.pad_token_id)
    rows = [
        one.about | _means(of_tokens, one.ended, asked.tokens_shifted_rank)
        for one, of_tokens in zip(read, found, strict=True)
    ]
    parts.write(pa.Table.from_pylist(rows, schema=SCHEMA), pair.out / FILE)
    own = [(one, of_tokens) for one, of_tokens in zip(read, found, strict=True) if one.about["text"] == OWN]
    return {
        "items": asked.tokens_items,
        "shifted_rank": asked.tokens_shifted_rank,
        "dtypes": [str(next(one.model.parameters()).dtype) for one in (pair.base, pair.tuned)],
        "texts": {kind: cells([row for row in rows if row["text"] == kind]) for kind in (OWN, BASE)},
        "positions": _positions(own),
        **_listed(own, asked.tokens_shifted_rank, asked.tokens_top),
    }


@dataclass(frozen=True)
class Text:
    """A response as it is read: `pieces` are its tokens' texts, `stands` the word of each and where that begins."""

    about: dict[str, Any]
    ids: tuple[list[int], list[int]]
    ended: bool
    pieces: list[str]
    stands: list[tuple[str, int]]


def _texts(pair: Pair) -> list[Text]:
    """Of the first items of each benchmark that both models answered; a response without a token is none."""
    sides = {kind: _first(one, pair.configuration.drift.tokens_items) for kind, one in _sides(pair).items()}
    shared = [key for key in sides[OWN] if key in sides[BASE]]
    if not shared:
        raise ValueError("base and tuned model have no common item with a greedy response")
    asked = rendered(pair.tokenizer, [sides[OWN][key] for key in shared])
    found = [
        _text(pair.tokenizer, kind, side[key], prompt)
        for kind, side in sides.items()
        for key, prompt in zip(shared, asked, strict=True)
    ]
    return [one for one in found if one.ids[1]]


def _sides(pair: Pair) -> dict[str, Model]:
    return {OWN: pair.tuned, BASE: pair.base}


def _first(model: Model, count: int) -> dict[tuple[str, str], dict[str, Any]]:
    taken: Counter[str] = Counter()
    found = {}
    for row in model.greedy:
        taken[row["benchmark"]] += 1
        if taken[row["benchmark"]] <= count:
            found[row["benchmark"], row["item"]] = row
    return found


def _text(tokenizer: Any, kind: str, row: dict[str, Any], prompt: list[int]) -> Text:
    ended = row["finish_reason"] == "stop"
    ids, pieces, stands = words.tokens(tokenizer, row["response"], ended)
    about = {"text": kind, **{name: row[name] for name in ("benchmark", "group", "item")}}
    about |= {"tokens": len(ids), "written": row["completion_tokens"]}
    return Text(about, (prompt, ids), ended, pieces, stands)


def _means(found: Compared, ended: bool, shifted_rank: int) -> Cell:
    """Means over a response's tokens; `log_ratio` is the published one, None where no token is left for it."""
    rank = found.base_rank
    shares = {"unshifted": rank <= UNSHIFTED, "shifted": rank > MARGINAL, "beyond": rank > shifted_rank}
    shares["marginal"] = ~shares["unshifted"] & ~shares["shifted"]
    sampled = (_published(found.tuned_logp) - _published(found.base_logp))[1 : -1 if ended else None]
    return {
        "tokens": len(rank),
        "kl_tuned_base": float(found.reverse.mean()),
        "kl_base_tuned": float(found.forward.mean()),
        "rank_shift": float((rank - found.tuned_rank).mean()),
        "log_ratio": float(sampled.mean()) if len(sampled) else None,
        **{name: float(own.mean()) for name, own in shares.items()},
    }


def _published(logp: Array) -> Array:
    return np.log(np.exp(logp) + SMALLEST)


def cells(rows: Sequence[Cell]) -> Cell:
    """By benchmark; by group, in which benchmarks count equally."""
    benchmarks: dict[str, list[Cell]] = {}
    for row in rows:
        benchmarks.setdefault(row["benchmark"], []).append(row)
    cells = {name: {"group": own[0]["group"], **benchmark_cell(own)} for name, own in benchmarks.items()}
    groups = dict.fromkeys(cell["group"] for cell in cells.values())
    return {"benchmarks": cells, "groups": {group: _group(group, cells, benchmarks) for group in groups}}


def benchmark_cell(rows: Sequence[Cell]) -> Cell:
    """Each mean over all tokens (`tokens`) and over responses (`responses`, with its interval over them)."""
    weights = np.array([row["tokens"] for row in rows], dtype=np.float64)
    values_MR = _table(rows)
    over = zip(np.average(values_MR, axis=1, weights=weights), values_MR.mean(axis=1), strict=True)
    cell: Cell = {"responses": len(rows), "tokens": int(weights.sum())}
    cell |= _bounded([(float(tokens), float(responses)) for tokens, responses in over], [values_MR])
    ratios = [row["log_ratio"] for row in rows if row["log_ratio"] is not None]
    cell["published"] = abs(float(np.mean(ratios))) if ratios else None
    if "written" in rows[0]:
        cell["read_otherwise"] = sum(row["tokens"] != row["written"] for row in rows)
    return cell


def _group(group: str, cells: dict[str, Cell], rows: dict[str, list[Cell]]) -> Cell:
    names = [name for name, cell in cells.items() if cell["group"] == group]
    found: Cell = {key: sum(cells[name][key] for name in names) for key in ("responses", "tokens", "read_otherwise")}
    over = [
        (
            mean_of([cells[name][key]["tokens"] for name in names]),
            mean_of([cells[name][key]["responses"] for name in names]),
        )
        for key in MEANS
    ]
    found |= _bounded(over, [_table(rows[name]) for name in names])
    return found | {"published": mean_of([cells[name]["published"] for name in names])}


def _table(rows: Sequence[Cell]) -> Array:
    """[MEANS, rows]"""
    return np.array([[row[name] for row in rows] for name in MEANS])


def _bounded(over: Sequence[tuple[float | None, float | None]], benchmarks: Sequence[Array]) -> Cell:
    """Of each of MEANS its mean over tokens and over responses, and the interval of the second: responses are drawn
    within each of the `benchmarks` [MEANS, responses]."""
    draws = group_draws(benchmarks)
    bounds = [interval(one) for one in draws]
    return {
        name: {"tokens": tokens, "responses": responses, "low": low, "high": high}
        for name, (tokens, responses), (low, high) in zip(MEANS, over, bounds, strict=True)
    }


def _positions(own: Sequence[tuple[Text, Compared]]) -> dict[str, list[Cell]]:
    """Group -> means over the tokens at positions 1, 2, 3-4, 5-8, ... of the tuned model's own responses."""
    found: dict[str, dict[int, list[Array]]] = {}
    for text, one in own:
        numbers = np.stack([one.reverse, one.base_rank - one.tuned_rank])
        bins = np.ceil(np.log2(np.arange(1, numbers.shape[1] + 1))).astype(int)
        for place in np.unique(bins):
            cells = found.setdefault(text.about["group"], {})
            cells.setdefault(int(place), []).append(numbers[:, bins == place])
    return {group: [_position(n, cells[n]) for n in sorted(cells)] for group, cells in found.items()}


def _position(place: int, numbers: list[Array]) -> Cell:
    joined = np.concatenate(numbers, axis=1)
    kl, rank = (float(one) for one in joined.mean(axis=1))
    first = 2 ** (place - 1) + 1 if place else 1
    return {"from": first, "to": 2**place, "tokens": joined.shape[1], "kl_tuned_base": kl, "rank_shift": rank}


@dataclass
class Use:
    """How often a word, or a token's text, was used, and where it was shifted."""

    uses: int = 0
    shifted: int = 0
    ranks: list[float] = field(default_factory=list)
    pieces: Counter[str] = field(default_factory=Counter)

    def add(self, places: Sequence[int], text: Text, shift: Array, beyond: Any) -> None:
        where = [place for place in places if beyond[place]]
        self.uses, self.shifted = self.uses + 1, self.shifted + bool(where)
        self.ranks += [float(shift[place]) for place in where]
        self.pieces.update(words.visible(text.pieces[place]) for place in where)


def _listed(own: Sequence[tuple[Text, Compared]], shifted_rank: int, most: int) -> Cell:
    """Words and tokens of the tuned model's own responses: those shifted most often, and those by the most ranks."""
    of_words: dict[str, Use] = {}
    of_tokens: dict[str, Use] = {}
    for text, one in own:
        beyond, shift = one.base_rank > shifted_rank, one.base_rank - one.tuned_rank
        used: dict[tuple[str, int], list[int]] = {}
        for place, stand in enumerate(text.stands):
            used.setdefault(stand, []).append(place)
            of_tokens.setdefault(words.visible(text.pieces[place]), Use()).add([place], text, shift, beyond)
        for (word, _), places in used.items():
            of_words.setdefault(word, Use()).add(places, text, shift, beyond)
    kinds: Counter[str] = Counter()
    for word, use in of_words.items():
        kinds[words.kind(word)] += use.shifted
    return {
        "top_words": _top(of_words, most),
        "top_tokens": _top(of_tokens, most),
        "kinds": {name: kinds[name] for name in words.CLASSES},
    }


def _top(uses: dict[str, Use], most: int) -> list[Cell]:
    """`most` of the most often shifted, and as many of those with the largest mean rank shift; each once."""
    there = [(word, use, float(np.mean(use.ranks))) for word, use in uses.items() if use.shifted]
    often = sorted(there, key=lambda one: (-one[1].shifted, one[0]))[:most]
    far = sorted((one for one in there if one[1].shifted >= LEAST_USES), key=lambda one: (-one[2], one[0]))[:most]
    return [_row(*one) for one in {id(one[1]): one for one in (*often, *far)}.values()]


def _row(word: str, use: Use, rank_shift: float) -> Cell:
    pieces = [piece for piece, _ in sorted(use.pieces.items(), key=lambda one: (-one[1], one[0]))[:TOKENS_KEPT]]
    about: Cell = {"word": word, "kind": words.kind(word), "uses": use.uses, "shifted": use.shifted}
    return about | {"rank_shift": rank_shift, "tokens": pieces}
