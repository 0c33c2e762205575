"""Are runs equal but for what was declared? Every difference between their folders, sorted, explained. No torch here.

What a difference is stands in conf/control.py; the comparison is conf/freeze.py's, as in the refusal of a used folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conf import freeze
from conf.control import CONFOUND, DERIVED, HARMLESS, TREATMENT, Facts, entry
from conf.errors import UserError
from conf.freeze import Difference
from train import facts

CLASSES = (TREATMENT, DERIVED, HARMLESS, CONFOUND)
CHANGED = "it changed between the starts of one run, so the run is half of each"
ABSENT, BASE = "absent", "base"


def audit(folders: Sequence[Path]) -> dict[str, Any]:
    """audit.json of the runs in `folders`: {runs, verdict, counts, compared, equal, differences}.

    A folder is a run's, or an experiment's for all of its runs. Where runs lie in one experiment, what it states about
    its base and data is compared too, as `base`. UserError for fewer than two runs and for a folder that is none.
    """
    read = {path: facts.of_run(path) for path in _runs(folders)}
    if len(read) < 2:
        given = ", ".join(map(str, folders)) or "no folder"
        raise UserError(given, "an audit compares two runs or more", "name their folders, or an experiment's")
    labels = _labels(read)
    stated = {labels[path]: one for path, one in read.items()}
    moved = {labels[path]: facts.moved(path) for path in read}
    base = _base(list(read))
    found = _gravest([freeze.classify_all(list(stated.values())), *(_against(base, one) for one in stated.values())])
    found |= _changed(stated, moved, found) | _missing(stated, found)
    told = {label: {key: ", then ".join(values) for key, values in own.items()} for label, own in moved.items()}
    columns = {label: one | told[label] for label, one in stated.items()} | _column(base)
    rows = [_row(one, columns) for one in sorted(found.values(), key=_place)]
    compared = len({key for one in stated.values() for key in one})
    return {
        "runs": list(stated),
        "verdict": "confounded" if any(row["class"] == CONFOUND for row in rows) else "controlled",
        "counts": {name: sum(row["class"] == name for row in rows) for name in CLASSES},
        "compared": compared,
        "equal": compared - len(rows),
        "differences": rows,
    }


def experiment_of(folder: Path) -> Path | None:
    """The experiment that a run's folder lies in, as far as its path says; None for a folder copied alone."""
    inside = folder.absolute()
    return inside.parents[2] if len(inside.parents) > 2 and inside.parents[1].name == "arms" else None


def _runs(folders: Sequence[Path]) -> list[Path]:
    """Folders of runs, in order, each once; an experiment's stands for all of its runs that have begun."""
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}", "there is no such folder", "name the folders of runs, or of an experiment")
        inside = sorted(path for path in folder.glob("arms/*/seed-*") if _has_begun(path))
        if (folder / "arms").is_dir() and not inside:
            raise UserError(f"{folder}", "no arm of this experiment has begun", "run its arms first")
        found += inside or [folder]
    return list(dict.fromkeys(path.resolve() for path in found))


def _has_begun(folder: Path) -> bool:
    return (folder / "lock.json").is_file() or any(folder.glob("checkpoints/step-*"))


def _labels(read: Mapping[Path, Facts]) -> dict[Path, str]:
    """Folder -> arm/seed-n; with the experiment's or the folder's name before it where that is not one run's alone."""
    plain = {path: f"{one['recipe.name']}/seed-{one['seed']}" for path, one in read.items()}
    named = {path: f"{_before(path)}: {label}" if _twice(label, plain) else label for path, label in plain.items()}
    return {path: str(path) if _twice(label, named) else label for path, label in named.items()}


def _twice(label: str, labels: Mapping[Path, str]) -> bool:
    return list(labels.values()).count(label) > 1


def _before(folder: Path) -> str:
    experiment = experiment_of(folder)
    return experiment.name if experiment else folder.name


def _base(runs: list[Path]) -> Facts:
    """What the one experiment of all `runs` states; nothing where they have no such folder in common."""
    experiments = {experiment_of(run) for run in runs}
    one = next(iter(experiments))
    if len(experiments) > 1 or one is None or not ((one / "config.yaml").is_file() and (one / "lock.json").is_file()):
        return {}
    return facts.of_experiment(one)


def _against(base: Facts, run: Facts) -> dict[str, Difference]:
    """Differences between what the experiment states and one of its runs, without what only arms have."""
    return freeze.classify(*facts.common(dict(base), dict(run)), skip=facts.ARM_ONLY) if base else {}


def _gravest(several: list[dict[str, Difference]]) -> dict[str, Difference]:
    found: dict[str, Difference] = {}
    for differences in several:
        for key, one in differences.items():
            found[key] = freeze.graver(found.get(key, one), one)
    return found


def _changed(
    stated: Mapping[str, Facts], moved: Mapping[str, dict[str, list[str]]], found: Mapping[str, Difference]
) -> dict[str, Difference]:
    """What changed within a run and matters: a confound, whatever the other runs are like."""
    changed: dict[str, Difference] = {}
    for label, own in moved.items():
        for key, values in ((key, values) for key, values in own.items() if entry(key).kind == "locked"):
            allowed = freeze.matches(key, tuple(stated[label]["allow_confound"]))
            one = Difference(key, (values[0], values[-1]), CONFOUND, f"{CHANGED}: {entry(key).reason}", allowed=allowed)
            changed[key] = freeze.graver(one, found.get(key, one))
    return changed


def _missing(stated: Mapping[str, Facts], found: dict[str, Difference]) -> dict[str, Difference]:
    """Files that every run lacks: equal, and yet nothing is shown."""
    keys = [f"files.{name}" for name in facts.FILES]
    lacking = [key for key in keys if key not in found and any(one[key] == "missing" for one in stated.values())]
    return {key: Difference(key, ("missing", "missing"), CONFOUND, entry(key).reason) for key in lacking}


def _place(one: Difference) -> tuple[int, str]:
    return CLASSES.index(one.kind), one.key


def _column(base: Facts) -> dict[str, Facts]:
    """The column of the base: what its experiment states, less what only arms have."""
    stated = {key: value for key, value in base.items() if not freeze.matches(key, facts.ARM_ONLY)}
    return {BASE: stated} if stated else {}


def _row(one: Difference, columns: Mapping[str, Facts]) -> dict[str, Any]:
    """One row of audit.json."""
    shown = {label: own for label, own in columns.items() if label != BASE or one.key in own}
    return {
        "key": one.key,
        "class": one.kind,
        "reason": one.reason,
        "follows_from": one.cause,
        "allowed": one.allowed,
        "values": {label: own.get(one.key, ABSENT) for label, own in shown.items()},
    }
