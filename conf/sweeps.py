"""Under what a sweep chose its learning rates, and whether an experiment is run under the same."""

from collections.abc import Mapping
from typing import Any

from conf.control import entry, matches
from conf.freeze import flatten
from conf.schema import Configuration

# keys in which a run of a sweep is not as its experiment's: it tries rates, is scored greedily on others' items, and
# nothing else is measured beside or beyond its budget; what that takes from its training rows shows in the lock
OWN = (
    *(
        "recipe.name",
        "recipe.learning_rate",
        "train.save_steps",
        "suite.split",
        "suite.samples",
        "suite.items",
        "suite.likelihood",
    ),
    *("suites", "hooks", "drift", "budget.overrun"),
)
MEASURED = ("base.weights", "data.rows", "data.order")  # of a lock: what two folders of equal settings may differ in

Settings = dict[str, Any]  # {"shared": {key: value}, "arms": {arm: what is not the same in every arm}, "lock": digests}


def settings(configurations: Mapping[str, Configuration], lock: Mapping[str, Any]) -> Settings:
    """Of one configuration an arm: every key that is not harmless; and the digests of the lock they share."""
    flats = {arm: _flat(one) for arm, one in configurations.items()}
    first = next(iter(flats.values()))
    shared = {key: value for key, value in first.items() if all(own.get(key) == value for own in flats.values())}
    apart = {arm: {key: value for key, value in own.items() if key not in shared} for arm, own in flats.items()}
    return {"shared": shared, "arms": apart, "lock": _digests(lock)}


def departures(stated: Settings, arm: str, configuration: Configuration, lock: Mapping[str, Any]) -> list[str]:
    """What differs between the settings of `arm` in a sweep and a run: `key (there, here)`, keys known to both."""
    there = {**stated["shared"], **stated["arms"].get(arm, {}), **_named(stated["lock"])}
    here = _flat(configuration) | _named(_digests(lock))
    return [
        f"{key} ({_short(there[key])} there, {_short(here[key])} here)"
        for key in there
        if key in here and there[key] != here[key]
    ]


def _flat(configuration: Configuration) -> dict[str, Any]:
    flat = flatten(configuration.model_dump(mode="json"))
    return {k: v for k, v in flat.items() if entry(k).kind not in ("harmless", "run") and not matches(k, OWN)}


def _digests(lock: Mapping[str, Any]) -> dict[str, Any]:
    flat = flatten(lock)
    return {name: flat[name] for name in MEASURED if name in flat}


def _named(digests: Mapping[str, Any]) -> dict[str, Any]:
    return {f"lock.{name}": value for name, value in digests.items()}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:16]}…"
