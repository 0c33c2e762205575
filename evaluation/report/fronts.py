"""The fronts of a sweep: what each arm keeps at equal math gain, and what that says of each pair of arms."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from evaluation import fronts
from evaluation.fronts import Coordinates
from evaluation.inference import LEVEL, Estimate, holm
from evaluation.report.read import Experiment
from evaluation.rounding import fixed
from evaluation.statistics import Array
from evaluation.transfer import MATH

CHOSEN_ON, READ_ON = "validation", "test"  # fronts are chosen on one split and read on the other, where both are there
REST = "rest"  # mean of the groups that are not math: what fronts are drawn by
LETTERS = {"0": 0.0, "1": 1.0}
PLACES = 41  # gains at which a front is drawn

Result = dict[str, Any]


class Fronts(NamedTuple):
    """A sweep's points with their coordinates; number 0 of an arm and seed is the base."""

    groups: list[str]  # what `kept` measures
    rows: dict[tuple[str, int], list[Result]]  # (arm, seed) -> its points of sweep.json, in order
    chosen_on: dict[tuple[str, int], Coordinates]
    read_on: dict[tuple[str, int], Coordinates]
    splits: tuple[str, str]

    @property
    def arms(self) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for key in self.rows:
            found.setdefault(key[0], []).append(key)
        return found

    def kept(self, keys: Iterable[tuple[str, int]], gains: Iterable[float]) -> Array:
        """What the fronts keep at each gain: [S, K, G, D]."""
        listed = list(gains)
        return np.stack([fronts.along(self.chosen_on[key], self.read_on[key], listed) for key in keys])


def front(experiment: Experiment, pairs: Iterable[tuple[str, str]]) -> Result | None:
    """`front` of results.json: points, each arm's front, what it keeps at the stated gains, pairs of arms at equal
    gain, sentences; points of percent. None without a sweep, or where it scored math or the other groups nowhere."""
    sweep = experiment.sweep
    found = read(sweep) if sweep else None
    if sweep is None or found is None:
        return None
    about = experiment.runs[0].configuration.experiment
    gains, arms = sorted(gain for gain in about.front_gains), found.arms
    between = [row for a, b in pairs if a in arms and b in arms for row in _between(found, a, b, gains)]
    return {
        "chosen": sweep.get("chosen", {}),
        "seeds": sorted({seed for _, seed in found.rows}),
        "chosen_on": found.splits[0],
        "read_on": found.splits[1],
        "has_items": any(one.gain_PD.shape[1] > 1 for one in found.read_on.values()),
        "steps": sorted({row["step"] for own in found.rows.values() for row in own if row["step"] is not None}),
        "within": about.front_within,
        "points": _points(found, sweep.get("chosen", {}), about.front_within),
        "fronts": {arm: _drawn(found, keys) for arm, keys in arms.items()},
        "at": [row for arm, keys in arms.items() for row in _at(found, arm, keys, gains)],
        "between": between,
        "verdicts": _verdicts(found, [pair for pair in pairs if set(pair) <= set(arms)], between),
    }


# --- reading ----------------------------------------------------------------------------------------------------------


def read(sweep: Mapping[str, Any]) -> Fronts | None:
    """The fronts in a sweep.json, of single runs and items (`points`) or of rates alone, as older ones are."""
    if "points" not in sweep:
        return _of_rates(sweep)
    points = sweep["points"]
    there = [split for split in sweep["bases"] if points and all(split in row["splits"] for row in points)]
    if not there:
        return None
    splits = (CHOSEN_ON if CHOSEN_ON in there else there[0], READ_ON if READ_ON in there else there[0])
    rows: dict[tuple[str, int], list[Result]] = {}
    for row in points:
        rows.setdefault((row["arm"], row["seed"]), []).append(row)
    made = {split: _coordinates(sweep, rows, split, number) for number, split in enumerate(dict.fromkeys(splits))}
    if any(not found for found, _ in made.values()):
        return None
    groups = made[splits[1]][1]
    return Fronts(groups, rows, made[splits[0]][0], made[splits[1]][0], splits)


def _coordinates(
    sweep: Mapping[str, Any], rows: Mapping[tuple[str, int], list[Result]], split: str, number: int
) -> tuple[dict[tuple[str, int], Coordinates], list[str]]:
    """Of every arm and seed on the items that the base and all points have a verdict on, and the groups kept."""
    every = [row["splits"][split]["items"] for own in rows.values() for row in own]
    base: dict[str, str] = sweep["bases"][split]["items"]
    groups = {name: sweep["benchmarks"][name] for name in base if all(name in one for one in every)}
    tables = {name: _table([base[name], *(one[name] for one in every)]) for name in groups}
    groups = {name: group for name, group in groups.items() if tables[name].shape[1]}
    kept = list(dict.fromkeys(group for group in groups.values() if group != MATH))
    if not kept or MATH not in groups.values():
        return {}, []
    found, start = {}, 1
    for key, own in rows.items():
        places = [0, *range(start, start + len(own))]
        start += len(own)
        outcomes = {name: tables[name][places] for name in groups}
        found[key] = fronts.coordinates(outcomes, {n: tables[n][0] for n in groups}, groups, MATH, 1000 * number)
    return found, kept


def _table(letters: list[str]) -> Array:
    """Rows of 0 and 1, [P, items], without the items that any row has no verdict on."""
    table = np.array([[LETTERS.get(letter, np.nan) for letter in row] for row in letters], dtype=float)
    return table[:, ~np.isnan(table).any(axis=0)]


def _of_rates(sweep: Mapping[str, Any]) -> Fronts | None:
    """Of a file that has one score a rate: no items, so no intervals."""
    base: dict[str, float] = sweep["base"]
    kept = [group for group in base if group != MATH]
    if MATH not in base or not kept:
        return None
    rows, found = {}, {}
    for arm, rates in sweep["arms"].items():
        own = [{"arm": arm, "learning_rate": float(rate), "seed": 0, "step": None, "spent": {}} for rate in rates]
        scores = [base, *rates.values()]
        moved = {group: np.array([[one[group] - base[group]] for one in scores]) for group in base}
        rest = [moved[group] for group in kept]
        rows[arm, 0] = own
        found[arm, 0] = Coordinates(moved[MATH], np.stack([np.mean(rest, axis=0), *rest]))
    return Fronts(kept, rows, found, found, (CHOSEN_ON, CHOSEN_ON))


# --- telling ----------------------------------------------------------------------------------------------------------


def _points(found: Fronts, chosen: Mapping[str, float], within: float) -> list[Result]:
    """One row a run and checkpoint: where it lies on the split that is read, whether it is on its front."""
    told = []
    for key, rows in found.rows.items():
        here, there = found.read_on[key], found.chosen_on[key]
        selected = there.gain_PD[:, 0], there.kept_KPD[0, :, 0]
        on, near = fronts.pareto(*selected), fronts.near(*selected, within)
        for place, row in enumerate(rows, start=1):
            kept = here.kept_KPD[:, place, 0].tolist()
            last = row["step"] is None or row["step"] == max(one["step"] for one in rows)
            about = {name: row[name] for name in ("arm", "learning_rate", "seed", "step")}
            about |= {"chosen": last and chosen.get(row["arm"]) == row["learning_rate"]}
            about |= {"on_front": bool(on[place]), "near_front": bool(near[place])}
            about |= {"math": float(here.gain_PD[place, 0]), REST: kept[0]}
            told.append(about | {"gains": dict(zip(found.groups, kept[1:], strict=True)), "spent": row["spent"]})
    return told


def _reach(found: Fronts, keys: list[tuple[str, int]]) -> float:
    """The highest gain that the front has at every seed."""
    return min(fronts.reach(found.chosen_on[key], found.read_on[key]) for key in keys)


def _drawn(found: Fronts, keys: list[tuple[str, int]]) -> Result:
    """The front as a curve from no gain to its reach, with a pointwise 95% interval, and its own points by seed."""
    reach = _reach(found, keys)
    gains = np.linspace(min(0.0, reach), reach, PLACES) if reach else np.zeros(1)
    values = found.kept(keys, gains)[:, 0]
    curve = [fronts.estimate(values[:, place]) for place in range(len(gains))]
    vertices = {}
    for key in keys:
        there, here = found.chosen_on[key], found.read_on[key]
        on = fronts.pareto(there.gain_PD[:, 0], there.kept_KPD[0, :, 0])
        pairs = zip(here.gain_PD[on, 0].tolist(), here.kept_KPD[0, on, 0].tolist(), strict=True)
        vertices[str(key[1])] = sorted([list(pair) for pair in pairs])
    return {
        "reach": reach,
        "gains": gains.tolist(),
        **{name: [_plain(one)[name] for one in curve] for name in ("difference", "low", "high")},
        "kept": values[:, :, 0].mean(axis=0).tolist(),
        "vertices": vertices,
    }


def _at(found: Fronts, arm: str, keys: list[tuple[str, int]], gains: list[float]) -> list[Result]:
    """What the arm keeps at each stated gain that it reaches: one row a gain and measure."""
    values = found.kept(keys, gains)
    rows = []
    for place, gain in enumerate(gains):
        for number, name in enumerate((REST, *found.groups)):
            one = fronts.estimate(values[:, number, place])
            if one is not None:
                rows.append({"arm": arm, "gain": gain, "of": name, **_plain(one), "seeds": one.seeds})
    return rows


def _between(found: Fronts, a: str, b: str, gains: list[float]) -> list[Result]:
    """What `b` keeps more than `a` at each stated gain that both reach, of the seeds that both have, and on average
    over all gains up to the last that both reach (times its width the area between the fronts)."""
    seeds = sorted({seed for _, seed in found.arms[a]} & {seed for _, seed in found.arms[b]})
    if not seeds:
        return []
    left, right = ([(arm, seed) for seed in seeds] for arm in (a, b))
    width = min(_reach(found, left), _reach(found, right))
    rows = []
    gaps = found.kept(right, gains) - found.kept(left, gains)
    for number, name in enumerate((REST, *found.groups)):
        about = {"from": a, "to": b, "of": name}
        for place, gain in enumerate(gains):
            one = fronts.estimate(gaps[:, number, place])
            if one is not None:
                rows.append({**about, "gain": gain, **_told(one)})
    if width > 0:
        everywhere = np.linspace(0, width, fronts.PLACES)
        one_side, other = found.kept(left, everywhere), found.kept(right, everywhere)
        for number, name in enumerate((REST, *found.groups)):
            one = fronts.estimate(fronts.mean_between(one_side[:, number], other[:, number]))
            if one is not None:
                area = {"area": one.difference * width, "width": width}
                rows.append({"from": a, "to": b, "of": name, "gain": None, **_told(one), **area})
    return rows


def _verdicts(found: Fronts, pairs: list[tuple[str, str]], between: list[Result]) -> list[Result]:
    """What is said of each pair: at the highest stated gain that both reach, a rule that looks at no retention, and on
    average over all gains that both reach. p values of the first are corrected over the pairs (Holm)."""
    told = []
    over = {(row["from"], row["to"]): row for row in between if row["of"] == REST and row["gain"] is None}
    for pair in pairs:
        own = [
            row for row in between if (row["from"], row["to"]) == pair and row["of"] == REST and row["gain"] is not None
        ]
        told.append((*pair, max(own, key=lambda row: row["gain"]) if own else None))
    adjusted = holm({f"{a}\n{b}": row["p"] for a, b, row in told if row and row["p"] is not None})
    return [
        {
            "from": a,
            "to": b,
            "gain": row and row["gain"],
            "p_holm": p,
            "sentence": _sentence(found, a, b, row, p) + _mean(b, over.get((a, b))),
        }
        for a, b, row in told
        for p in [adjusted.get(f"{a}\n{b}")]
    ]


def _sentence(found: Fronts, a: str, b: str, row: Result | None, p: float | None) -> str:
    if row is None:
        ends = [fixed(_reach(found, found.arms[arm])) for arm in (a, b)]
        return (
            f"No stated math gain is one that {a} and {b} both surely reached (their fronts end at {ends[0]} and "
            f"{ends[1]} points; in more than 5% of the resamples one of them falls short), so none is compared."
        )
    where = f"At an equal math gain of {row['gain']:g} points"
    more = "more" if row["difference"] > 0 else "less"
    keeps = f"{b} keeps {fixed(abs(row['difference']))} points {more} of the other groups than {a}"
    if row["low"] is None:
        return f"{where}, {keeps}; without items, no interval."
    basis = _basis(row)
    if p is None or p >= 1 - LEVEL or row["low"] <= 0 <= row["high"]:
        told = f"{fixed(row['difference'], sign=True)} points, {_interval(row)}, {basis}"
        return f"{where}, {a} and {b} are not shown to differ in what they keep of the other groups ({told})."
    low, high = (fixed(value) for value in sorted(abs(row[name]) for name in ("low", "high")))
    return f"{where}, {keeps} (95% interval {low} to {high}, {basis})."


def _mean(b: str, row: Result | None) -> str:
    """The same over all gains, where it has an interval."""
    if row is None or row["low"] is None:
        return ""
    where = f"On average over the gains up to {fixed(row['width'])} points that both reach"
    more = "more" if row["difference"] > 0 else "less"
    keeps = f"{b} keeps {fixed(abs(row['difference']))} points {more} of the other groups"
    return f" {where}, {keeps} ({fixed(row['difference'], sign=True)} points, {_interval(row)}, {_basis(row)})."


def _basis(row: Result) -> str:
    seeds = f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
    return seeds if row["over_seeds"] else f"{seeds}, so of these checkpoints only"


def _interval(row: Result) -> str:
    return f"95% interval {fixed(row['low'], sign=True)} to {fixed(row['high'], sign=True)}"


def _told(one: Estimate) -> Result:
    return {**_plain(one), "p": None if np.isnan(one.p) else one.p, "seeds": one.seeds, "over_seeds": one.over_seeds}


def _plain(one: Estimate | None) -> dict[str, float | None]:
    names = ("difference", "low", "high")
    return {name: None if one is None or np.isnan(getattr(one, name)) else getattr(one, name) for name in names}
