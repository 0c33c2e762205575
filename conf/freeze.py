"""The frozen configuration of a run (config.yaml), and the one comparison: of configurations, locks and manifests."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from conf import control
from conf.control import CONFOUND, DERIVED, HARMLESS, TREATMENT, Facts, matches
from conf.errors import UserError
from conf.files import read_json, write_json, write_text
from conf.schema import Configuration
from conf.validate import validate

LACKING = "only one of the runs has such a setting"


@dataclass(frozen=True)
class Difference:
    """One key in which two runs differ: the class of the difference, why, and the key it follows from, if any."""

    key: str
    values: tuple[Any, Any]
    kind: str
    reason: str
    cause: str = ""
    allowed: bool = False  # allow_confound names the key, or the one it follows from


def write(configuration: Configuration, path: Path | str) -> None:
    """Freeze `configuration` into `path`, every key written out."""
    write_text(path, yaml.safe_dump(configuration.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def read(path: Path | str) -> Configuration:
    """The configuration frozen in `path`; UserError where a key is unknown or a value impossible."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is, ten times as fast
    return validate(yaml.load(Path(path).read_text(encoding="utf-8"), Loader=loader))


def digest(path: Path | str) -> str:
    """sha256 of the file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def mark(folder: Path | str, name: str) -> None:
    """Write `folder/name` (done.json, prepared.json): the work that folder/config.yaml asks for is finished."""
    write_json(Path(folder) / name, {"config": digest(Path(folder) / "config.yaml")})


def marked(folder: Path | str, name: str) -> bool:
    """Whether `folder/name` stands and speaks of the present folder/config.yaml."""
    marker, config = Path(folder) / name, Path(folder) / "config.yaml"
    return marker.exists() and config.exists() and bool(read_json(marker)["config"] == digest(config))


def differences(a: Configuration | Facts, b: Configuration | Facts) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value in a, value in b) wherever they differ; None stands for a key that one lacks."""
    left, right = _flat(a), _flat(b)
    keys = list(left) + [key for key in right if key not in left]
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def classify(a: Configuration | Facts, b: Configuration | Facts, skip: tuple[str, ...] = ()) -> dict[str, Difference]:
    """Every difference between two runs, sorted by the table of conf/control.py; keys that match `skip` are left out.

    What their recipes declare is read from the facts themselves (`recipe.treatment`), and so is `allow_confound`.
    """
    left, right = _flat(a), _flat(b)
    found = differences(left, right)
    allowed = (*left.get("allow_confound", ()), *right.get("allow_confound", ()))
    sorted_ = {}
    for key in (key for key in found if not matches(key, skip)):
        kind, reason, cause = _judged(key, found, left, right)
        passes = kind != HARMLESS and (matches(key, allowed) or bool(cause) and matches(cause, allowed))
        sorted_[key] = Difference(key, found[key], kind, reason, cause, passes)
    return sorted_


def classify_all(runs: Sequence[Facts]) -> dict[str, Difference]:
    """Every key in which any two of `runs` differ, with the gravest difference that a pair of them has in it."""
    gravest: dict[str, Difference] = {}
    for a, b in combinations(runs, 2):
        for key, one in classify(a, b).items():
            gravest[key] = graver(gravest.get(key, one), one)
    return gravest


def graver(a: Difference, b: Difference) -> Difference:
    """The one that weighs more against a comparison; the first of equals."""
    weight = [2 * (HARMLESS, DERIVED, TREATMENT, CONFOUND).index(one.kind) - one.allowed for one in (a, b)]
    return b if weight[1] > weight[0] else a


def confounds(a: Configuration | Facts, b: Configuration | Facts, skip: tuple[str, ...] = ()) -> list[Difference]:
    """What confounds a comparison of two runs and is not allowed."""
    return [one for one in classify(a, b, skip).values() if one.kind == CONFOUND and not one.allowed]


def changes(a: Configuration | Facts, b: Configuration | Facts) -> list[Difference]:
    """What may not differ between two states of one run: whatever is not harmless and not allowed."""
    return [one for one in classify(a, b).values() if one.kind != HARMLESS and not one.allowed]


def refuse(found: Iterable[Difference], what: str, change: str, allowable: bool = True) -> None:
    """UserError that begins with `what` and names every difference of `found`, if there is any."""
    wrong = list(found)
    if wrong:
        listed = ", ".join(f"{one.key} (there {one.values[0]!r}, now {one.values[1]!r})" for one in wrong)
        reasons = "; ".join(dict.fromkeys(one.reason for one in wrong))
        allow = f", or pass allow_confound=[{','.join(one.key for one in wrong)}], which the report then shows"
        raise UserError(f"{what}: {listed}", reasons, change + (allow if allowable else ""))


def _judged(key: str, found: Mapping[str, Any], a: Facts, b: Facts) -> tuple[str, str, str]:
    """(class, reason, cause) of the difference in `key`."""
    row = control.entry(key)
    if row.kind in ("harmless", "run"):
        return HARMLESS, row.reason, ""
    lacking = (key in a) != (key in b)
    cause = next((one for one in (*row.of, *(row.lacking if lacking else ())) if one in found), "")
    if cause:
        kind = _judged(cause, found, a, b)[0]
        return (DERIVED if kind == TREATMENT else kind), LACKING if lacking else row.reason, cause
    if row.proof and all(one in a and one in b and one not in found for one in row.proof):
        return HARMLESS, "another place; what it holds is the same", row.proof[0]
    if row.given and a.get(row.given[0]) == b.get(row.given[0]) and a.get(row.given[0]) in row.given[1]:
        return DERIVED, row.reason, row.given[0]
    if declared(key, a, b):
        return TREATMENT, "declared in recipe.treatment", ""
    return CONFOUND, row.reason, ""


def declared(key: str, a: Facts, b: Facts) -> bool:
    """Whether two runs of different arms may differ in `key`: the recipe of one of them declares it."""
    treatments = (*a.get("recipe.treatment", ()), *b.get("recipe.treatment", ()))
    return a.get("recipe.name") != b.get("recipe.name") and matches(key, treatments)


def _flat(given: Configuration | Facts) -> dict[str, Any]:
    return flatten(given.model_dump(mode="json") if isinstance(given, Configuration) else given)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as one with dotted keys; an empty mapping has none."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
