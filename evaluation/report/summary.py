"""All numbers of the report, as one dictionary: what results.json holds and what page, figures and tables show."""

from itertools import combinations
from typing import Any

from evaluation.report import beside, board, budgets, measures, profiles, transfer
from evaluation.report.answer import answer
from evaluation.report.distance import distance
from evaluation.report.explorer import explorer
from evaluation.report.forms import forms, shots
from evaluation.report.fronts import front
from evaluation.report.likely import likely
from evaluation.report.overview import overview
from evaluation.report.reach import reach
from evaluation.report.read import Experiment, Run
from evaluation.report.representation import representation
from evaluation.report.second import second
from evaluation.report.setting import changed_keys, flat, notes, packages, unmatched
from evaluation.report.tokens import tokens
from evaluation.report.training import curves
from evaluation.report.verdicts import claim, verdicts
from evaluation.report.weights import gradient_norms, weights
from evaluation.scores import mean_of

BASE = "base"
SCHEMA_VERSION = 1  # of results.json: docs/results.schema.json
MEASURES = ("greedy", "sampled")
PAIRS = 6  # up to which all arms are compared with one another; beyond it each with the first


def summarize(experiment: Experiment) -> dict[str, Any]:
    """results.json: scores in percent, differences in points, intervals 95% over items."""
    benchmarks, missing = shared_benchmarks(experiment)
    pairs = list(combinations(experiment.arms, 2))
    if len(pairs) > PAIRS:
        pairs = [pair for pair in pairs if pair[0] == pairs[0][0]]
    found = _set_up(experiment) | {"benchmarks": benchmarks, "missing": missing}
    found |= _answered(experiment, benchmarks, pairs)
    found |= _drifted(experiment, benchmarks, found["steps"])
    found |= {"answer": answer(found), "compared": experiment.compared or None, "board": []}
    if experiment.compared:
        found |= board.untrained(found, experiment) | {
            "board": board.board(found, experiment),
            "model": experiment.compared["base"],
        }
    return found | {"problems": list(dict.fromkeys(experiment.told))}  # whatever was found out above, too


def _set_up(experiment: Experiment) -> dict[str, Any]:
    """What was compared, under what, and what it cost."""
    first = experiment.runs[0].configuration
    kept = experiment.data.get("counts", {}).get("kept")
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": experiment.name,
        "world": first.data.source == "world",
        "model": first.model.path,
        "notes": notes(experiment),
        "unmatched": unmatched(experiment.runs),
        "arms": {arm: _arm(runs) for arm, runs in experiment.arms.items()},
        "equal": flat(experiment.lock),
        "data": flat(experiment.data),
        "changed": changed_keys(experiment),
        "budget": budgets.rule(experiment),
        "budgets": [budgets.budget(run, kept) for run in experiment.runs],
        "training": curves(experiment),
        "suite": _suite(experiment),
        "failed": experiment.failed,
        "audit": experiment.audit,
        "gate": None,  # judged later, where one is asked for
        "packages": packages(experiment),
        "files": {run.arm + "/" + str(run.seed): [one.step for one in run.evaluations] for run in experiment.runs},
    }


def _answered(experiment: Experiment, benchmarks: dict[str, str], pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """What stored responses tell."""
    sides = {BASE: measures.side([experiment.base], benchmarks)}
    sides |= {arm: measures.side([run.last for run in runs], benchmarks) for arm, runs in experiment.arms.items()}
    gains = {arm: measures.differences(sides[BASE], sides[arm]) for arm in experiment.arms}
    suites = beside.suites(experiment)
    return {
        "groups": list(dict.fromkeys(benchmarks.values())),
        "overview": overview(experiment, benchmarks),
        "scores": {label: side.scores for label, side in sides.items()},
        "gains": gains,
        "between": [{"from": a, "to": b, **measures.differences(sides[a], sides[b])} for a, b in pairs],
        "verdicts": verdicts(experiment, benchmarks, pairs),
        "claim": claim(experiment),
        "transfer": transfer.transfer(experiment, benchmarks),
        "transfer_steps": transfer.along(experiment, benchmarks),
        "carried": transfer.flagged(gains, benchmarks),
        "pass_at_k": {label: side.pass_at_k for label, side in sides.items()},
        "steps": {arm: [_curve(experiment, run, benchmarks) for run in runs] for arm, runs in experiment.arms.items()},
        "reach": reach(experiment),
        "strategies": _strategies(experiment),
        "counts": {label: side.counts for label, side in sides.items()},
        "forms": forms(experiment, benchmarks),
        "few_shots": shots(experiment.base),
        "front": front(experiment, pairs),
        "second": second(experiment, benchmarks),
        "explorer": explorer(experiment, benchmarks),
        "suites": suites,
        "transfer_suites": transfer.beside(experiment, suites),
        "skills": profiles.profiles(experiment, gains),
    }


def _drifted(experiment: Experiment, benchmarks: dict[str, str], steps: dict[str, Any]) -> dict[str, Any]:
    """What was measured of the models beside."""
    return {
        "distance": distance(experiment, steps),
        "tokens": tokens(experiment, benchmarks, steps),
        "likely": likely(experiment),
        "functions": beside.functions(experiment),
        "representation": representation(experiment),
        "weights": weights(experiment),
        "gradient_norms": gradient_norms(experiment),
    }


def shared_benchmarks(experiment: Experiment) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """{benchmark: group} of those that base and every run have a greedy score on, and the others by name."""
    sources = {BASE: experiment.base.scores} | {
        f"{run.arm}, seed {run.seed}": run.last.scores for run in experiment.runs
    }
    groups = {name: one["group"] for scores in sources.values() for name, one in scores["benchmarks"].items()}
    told = {name: own for scores in sources.values() for name, own in scores.get("missing", {}).items()}
    lacking: dict[str, list[str]] = {
        name: [label for label, scores in sources.items() if not _scored(scores, name)]
        for name in (*groups, *experiment.runs[0].configuration.suite.benchmarks, *told)
    }
    missing = [
        {
            **{"benchmark": name, "group": groups.get(name) or told.get(name, {}).get("group")},
            **{"missing_in": labels, "reason": told.get(name, {}).get("reason", "")},
        }
        for name, labels in lacking.items()
        if labels
    ]
    return {name: group for name, group in groups.items() if not lacking[name]}, missing


def _scored(scores: dict[str, Any], benchmark: str) -> bool:
    return benchmark in scores["benchmarks"] and scores["benchmarks"][benchmark]["greedy"]["score"] is not None


def _arm(runs: list[Run]) -> dict[str, Any]:
    recipe = runs[0].configuration.recipe
    keys = ("trainer", "q", "w", "surrogate", "beta", "learning_rate", "num_generations")
    return {key: getattr(recipe, key) for key in keys} | {
        "seeds": [run.seed for run in runs],
        "step": runs[0].last.step,
    }


def _curve(experiment: Experiment, run: Run, benchmarks: dict[str, str]) -> dict[str, Any]:
    """Group scores at each evaluated step; step 0 is the base, `end` the last step of the budget."""
    points = [experiment.base, *(one for one in run.evaluations if one.step > 0)]
    curves = {
        m: {
            group: [_group(one.scores, group, benchmarks, m) for one in points]
            for group in dict.fromkeys(benchmarks.values())
        }
        for m in MEASURES
    }
    about = {
        "seed": run.seed,
        "end": run.end,
        "beyond": run.evaluations[-1].step > run.end,
        "steps": [0, *(one.step for one in points[1:])],
    }
    return {**about, **curves, **budgets.along(run)}


def _group(scores: dict[str, Any], group: str, benchmarks: dict[str, str], measure: str) -> float | None:
    """The plain mean over the shared benchmarks of the group; None where this evaluation lacks one of them."""
    own = [name for name, where in benchmarks.items() if where == group]
    if any(name not in scores["benchmarks"] for name in own):
        return None
    return mean_of([scores["benchmarks"][name][measure]["score"] for name in own])


def _strategies(experiment: Experiment) -> dict[str, dict[str, dict[str, float]]]:
    """arm -> step -> share of each way of answering, over benchmarks and seeds alike; step 0 is the base."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for arm, runs in experiment.arms.items():
        steps: dict[int, list[dict[str, float]]] = {0: _mixes(experiment.base.scores)}
        for one in (one for run in runs for one in run.evaluations if one.step > 0):
            steps.setdefault(one.step, []).extend(_mixes(one.scores))
        found[arm] = {str(step): _mean_mix(mixes) for step, mixes in sorted(steps.items()) if mixes}
    return {arm: steps for arm, steps in found.items() if steps}


def _mixes(scores: dict[str, Any]) -> list[dict[str, float]]:
    return [one["strategies"] for one in scores["benchmarks"].values() if one.get("strategies")]


def _mean_mix(mixes: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: sum(mix.get(name, 0.0) for mix in mixes) / len(mixes)
        for name in sorted({name for mix in mixes for name in mix})
    }


def _suite(experiment: Experiment) -> dict[str, Any]:
    suite = experiment.runs[0].configuration.suite
    return {
        key: getattr(suite, key)
        for key in ("name", "split", "items", "samples", "temperature", "max_new_tokens", "seed")
    }


def _evaluations(run: Run) -> dict[str, Any]:
    return {"arm": run.arm, "seed": run.seed, "evaluations": [one.scores for one in run.evaluations]}
