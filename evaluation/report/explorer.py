"""The explorer of single items: which stand on the page, what changed in them, and how many there are in all."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from evaluation.report.read import Evaluation, Experiment
from evaluation.scores import GREEDY

BASE = "base"
ANY = "any arm"
MOST_ITEMS = 2000  # on the page
MOST_BYTES = 8 * 2**20  # of their texts
LENGTHS = (4000, 2000, 1000, 500, 250)  # characters of a text that are kept: the first that fits
CHANGES = {  # letters of base and arm -> what changed
    "rw": "base right, arm wrong",
    "wr": "base wrong, arm right",
    "rr": "both right",
    "ww": "both wrong",
}
OTHER = "one unscorable"
ITEMS, CHANGED = "items", "any change"  # all, and those whose outcome is another
LETTERS = {"right": "r", "wrong": "w", "unscorable": "u"}

TEXTS = ("prompt", "reference", "response")
EMPTY = ("", 0)

Key = tuple[str, str]  # benchmark, item
Outcomes = dict[Key, str]  # -> a letter
Text = tuple[str, int]  # both ends of it, and its length
Texts = dict[Key, dict[str, Text]]


def explorer(experiment: Experiment, benchmarks: dict[str, str], per_group: int = 3) -> dict[str, Any]:
    """{models, seeds, counts, of, longest, items, few}: the compared checkpoints' greedy responses.

    `items`: at most MOST_ITEMS, of base and the first seed of each arm, those in which an arm's outcome is not the
    base's before the others; `longest` characters of each text, taken from both ends. `counts`: benchmark -> arm ->
    change -> [items of the first seed, of all seeds], of every item. `few`: for a page without scripts.
    """
    models = {BASE: experiment.base} | {arm: runs[0].last for arm, runs in experiment.arms.items()}
    outcomes = {label: _outcomes(one, benchmarks) for label, one in models.items()}
    shared = [key for key in outcomes[BASE] if all(key in own for own in outcomes.values())]
    letters = {key: "".join(own[key] for own in outcomes.values()) for key in shared}
    chosen, few = _chosen(letters), _few(letters, benchmarks, per_group)
    texts = {label: _texts(one, {*chosen, *few}) for label, one in models.items()}
    longest = _longest(texts, chosen)
    return {
        "models": list(models),
        "seeds": {arm: runs[0].seed for arm, runs in experiment.arms.items()},
        "counts": _counts(experiment, outcomes, letters),
        "of": len(letters),
        "longest": longest,
        "items": [_item(key, letters[key], texts, longest) for key in chosen],
        "few": [{"group": benchmarks[key[0]], **_item(key, letters[key], texts, longest)} for key in few],
    }


def payload(found: dict[str, Any], looks: dict[str, tuple[str, str]]) -> str:
    """The items, counts and how each model looks (colour, glyph) as JSON that may stand inside a script element,
    whatever a model wrote."""
    known = {key: found[key] for key in ("models", "counts")} | {"items": found.get("items", []), "any": ANY}
    known |= {"changes": [*CHANGES.values(), OTHER], "change_names": CHANGES, "other": OTHER}
    known |= {"changed": CHANGED, "all": ITEMS}
    known |= {"colors": [looks[label][0] for label in found["models"]]}
    known |= {"glyphs": [looks[label][1] for label in found["models"]]}
    text = json.dumps(known, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def change(letters: str) -> str:
    """What the outcomes of base and arm, a letter each, come to."""
    return CHANGES.get(letters, OTHER)


def _outcomes(one: Evaluation, benchmarks: dict[str, str]) -> Outcomes:
    table = one.table(("benchmark", "item", "outcome"), [("sample", "=", GREEDY)])
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    return {(name, item): LETTERS[outcome] for name, item, outcome in rows if name in benchmarks}


def _counts(experiment: Experiment, outcomes: dict[str, Outcomes], letters: dict[Key, str]) -> dict[str, Any]:
    base = outcomes[BASE]
    found: dict[str, Any] = {}
    for (benchmark, _), own in letters.items():
        _add(found, benchmark, ANY, {kind for letter in own[1:] for kind in _kinds(own[0] + letter)}, 0)
    names = {name: "" for name, _ in base}
    for arm, runs in experiment.arms.items():
        for place, run in enumerate(runs):
            ours = _outcomes(run.last, names) if place else outcomes[arm]
            for key in (key for key in ours if key in base):
                _add(found, key[0], arm, _kinds(base[key] + ours[key]), place)
    return found


def _kinds(letters: str) -> set[str]:
    """What an item counts as: one, changed or not, and how."""
    return {ITEMS, change(letters)} | ({CHANGED} if letters[0] != letters[1] else set())


def _add(found: dict[str, Any], benchmark: str, arm: str, kinds: set[str], place: int) -> None:
    cells = found.setdefault(benchmark, {}).setdefault(arm, {})
    for kind in kinds:
        cell = cells.setdefault(kind, [0, 0])
        cell[0] += place == 0
        cell[1] += 1


def _chosen(letters: dict[Key, str]) -> list[Key]:
    """Changed items before others; in turns over benchmarks and patterns of outcomes, so that each has its share."""
    order = {key: number for number, key in enumerate(letters)}
    found: list[Key] = []
    for changed in (True, False):
        cells: dict[tuple[str, str], list[Key]] = {}
        for key, own in letters.items():
            if (len(set(own)) > 1) == changed:
                cells.setdefault((key[0], own), []).append(key)
        turns = chain.from_iterable(zip_longest(*cells.values()))
        taken = [key for key in turns if key is not None][: MOST_ITEMS - len(found)]
        found += sorted(taken, key=order.__getitem__)
    return found


def _few(letters: dict[Key, str], benchmarks: dict[str, str], per_group: int) -> list[Key]:
    """Per group, the first item of each pattern of outcomes; patterns in which the models differ come first."""
    found: list[Key] = []
    for group in dict.fromkeys(benchmarks.values()):
        patterns: dict[str, Key] = {}
        for key, own in letters.items():
            if benchmarks[key[0]] == group:
                patterns.setdefault(own, key)
        found += [key for _, key in sorted(patterns.items(), key=lambda pair: len(set(pair[0])) == 1)][:per_group]
    return found


def _texts(one: Evaluation, keys: set[Key]) -> Texts:
    """Prompt, reference and greedy response of the items, from the file a piece at a time."""
    file = pq.ParquetFile(one.folder / "items.parquet")
    columns = [name for name in TEXTS if name in file.schema_arrow.names]
    found: Texts = {}
    for batch in file.iter_batches(4096, columns=["benchmark", "item", "sample", *columns]):
        greedy = batch.filter(pc.equal(batch["sample"], GREEDY))
        names = zip(greedy["benchmark"].to_pylist(), greedy["item"].to_pylist(), strict=True)
        for row, key in enumerate(names):
            if key in keys and key not in found:
                found[key] = {name: _ends(str(greedy[name][row].as_py() or "")) for name in columns}
    return found


def cut(text: Text, longest: int) -> str:
    """At most so many characters of a text, half of them from its end, where an answer stands; what is cut is said."""
    kept, length = text
    if length <= longest:
        return kept
    half = longest // 2
    return f"{kept[:half]}\n[… {length - 2 * half:,} characters left out …]\n{kept[-half:]}"


def _ends(text: str) -> Text:
    """Both ends of a text, as much as is ever shown, and its length."""
    half = LENGTHS[0] // 2
    return (text if len(text) <= 2 * half else text[:half] + text[-half:]), len(text)


def _longest(texts: dict[str, Texts], chosen: Iterable[Key]) -> int:
    """The first of LENGTHS at which the chosen items take no more than MOST_BYTES."""
    every = [text for key in chosen for label, own in texts.items() for text in _shown(own[key], label)]
    for longest in LENGTHS:
        if sum(len(cut(text, longest).encode("utf-8", "replace")) for text in every) <= MOST_BYTES:
            return longest
    return LENGTHS[-1]


def _shown(own: dict[str, Text], label: str) -> Iterator[Text]:
    """A prompt and a reference are shown once, of the base."""
    yield from (own[name] for name in own if name == "response" or label == BASE)


def _item(key: Key, letters: str, texts: dict[str, Texts], longest: int) -> dict[str, Any]:
    asked = texts[BASE][key]
    return {
        "benchmark": key[0],
        "item": key[1],
        "prompt": cut(asked.get("prompt", EMPTY), longest),
        "reference": cut(asked.get("reference", EMPTY), longest),
        "outcomes": letters,
        "responses": [cut(own[key].get("response", EMPTY), longest) for own in texts.values()],
    }
