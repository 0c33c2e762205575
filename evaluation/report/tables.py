"""The report's tables as CSV and LaTeX, one fact a row."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conf.files import write_text
from evaluation.report import tables_drift, tables_fronts, tables_reach, tables_tokens, tables_transfer
from evaluation.report.latex import latex
from evaluation.skills import BY

Rows = Iterator[dict[str, Any]]
SPENT = ("spent", "spent_with_targets")


def write_tables(results: dict[str, Any], folder: Path) -> None:
    """Write every table of `results` into `folder`; an empty one is not written, and removed."""
    for name, rows in _tables(results).items():
        listed = list(rows)
        if listed:
            write_text(folder / f"{name}.csv", as_csv(listed))
            write_text(folder / f"{name}.tex", latex(name, listed))
            continue
        for ending in ("csv", "tex"):
            (folder / f"{name}.{ending}").unlink(missing_ok=True)


def _tables(results: dict[str, Any]) -> dict[str, Rows]:
    return {
        "answer": _answer(results),
        "arms": _arms(results),
        "leaderboard": _leaderboard(results),
        "gate": iter((results["gate"] or {"rows": []})["rows"] if "gate" in results else ()),
        "scores": _scores(results),
        "gains": _gains(results),
        "verdicts": iter(results["verdicts"]),
        "transfer": tables_transfer.transfer(results),
        "transfer_steps": tables_transfer.steps(results),
        "budgets": iter(results["budgets"]),
        "spending": _spending(results),
        "pass_at_k": tables_reach.curves(results),
        "reach": tables_reach.arms(results),
        "explored": tables_reach.explored(results),
        "reach_steps": tables_reach.steps(results),
        "accuracies": tables_reach.histogram(results),
        "likely": tables_reach.likely(results),
        "entropy_matched": tables_reach.matched(results),
        "steps": _steps(results),
        "training": _training(results),
        "strategies": _strategies(results),
        "counts": _counts(results),
        "forms": _forms(results),
        "suites": _suites(results),
        "functions": ({**{k: row[k] for k in ("function", "value")}, **row["models"]} for row in results["functions"]),
        "skills": _skills(results),
        "twins": _twins(results),
        "skill_steps": _skill_steps(results),
        "representation": tables_drift.representation(results),
        "representation_layers": tables_drift.representation_layers(results),
        "representation_steps": tables_drift.steps(results, "representation"),
        "weights": tables_drift.weights(results),
        "weights_steps": tables_drift.steps(results, "weights"),
        "gradient_norms": tables_drift.gradient_norms(results),
        "front": tables_fronts.points(results),
        "front_at": tables_fronts.at(results),
        "front_between": tables_fronts.between(results),
        "second": tables_fronts.second(results),
        "distance": iter((results["distance"] or {"points": []})["points"]),
        "distance_relations": tables_tokens.relations(results),
        "tokens": tables_tokens.tokens(results),
        "tokens_steps": tables_tokens.steps(results),
        "tokens_positions": tables_tokens.positions(results),
        "tokens_words": tables_tokens.words(results),
        "changed": ({"key": row["key"], "class": row["class"], **row["values"]} for row in results["changed"]),
    }


def _skills(results: dict[str, Any]) -> Rows:
    """Scores by skill, domain, cell and difficulty; of an arm's skills what they moved by, too."""
    for form, own in results["skills"].items():
        for label, profile in own["profiles"].items():
            for kind in BY:
                for name, cell in profile[kind].items():
                    moved = own["changes"][label]["skills"][name] if kind == "skills" and label != "base" else {}
                    moved = {f"change_{key}" if key in ("low", "high") else key: value for key, value in moved.items()}
                    yield {"form": form, "model": label, "by": kind, "name": name, **cell, **moved}


def _skill_steps(results: dict[str, Any]) -> Rows:
    """Each skill at every evaluated step of a run: score, ability, the skills' spread, and whether it had fallen
    against the base by then, or collapsed: fallen while math rose."""
    for form, own in results["skills"].items():
        for arm, runs in own["steps"].items():
            for run in runs:
                for skill, scores in run["skills"].items():
                    for place, (step, score) in enumerate(zip(run["steps"], scores, strict=True)):
                        about = {"form": form, "arm": arm, "seed": run["seed"], "skill": skill, "step": step}
                        about |= {"score": score, "ability": run["ability"][skill][place]}
                        about |= {key: skill in run[key][place] for key in ("fell", "collapsed")}
                        yield about | {"spread": run["spread"][place]}


def _twins(results: dict[str, Any]) -> Rows:
    for form, own in results["skills"].items():
        for label, profile in own["profiles"].items():
            for change, found in profile["twins"].items():
                flat = {f"{name}_{key}": value for name in ("alike", "kept") for key, value in found[name].items()}
                rest = {key: value for key, value in found.items() if key not in ("alike", "kept")}
                yield {"form": form, "model": label, "change": change, **rest, **flat}


def as_csv(rows: list[dict[str, Any]]) -> str:
    """One column a key of any row, in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _answer(results: dict[str, Any]) -> Rows:
    """Page one's table, a row an arm and group."""
    for arm, own in results["answer"]["rows"].items():
        spent = {key: value for key, value in own.items() if key.startswith(("epochs", "spent"))}
        for group, one in own["groups"].items():
            found = {key: one[key] for key in ("difference", "low", "high", "p_holm", "seeds", "over_seeds")}
            yield {"arm": arm, "group": group, **found, **spent, "audit": own["conditions"]["audit"]}


def _arms(results: dict[str, Any]) -> Rows:
    """The report's first table; models that were not trained here have `leaderboard` in its place."""
    if results["compared"]:
        return
    for arm, own in results["arms"].items():
        found, rate = results["overview"]["arms"][arm], results["overview"]["rates"][arm]
        row = {"arm": arm, **{key: own[key] for key in ("q", "w", "surrogate", "beta", "learning_rate")}}
        row |= {"rate_is": rate["verdict"]}
        for group, cells in results["gains"][arm]["groups"].items():
            row |= {f"{group}_{key}": value for key, value in cells["greedy"].items()}
        confounds = found["confounds"]
        yield row | found | {"confounds": "" if confounds is None else " ".join(confounds)}


def _leaderboard(results: dict[str, Any]) -> Rows:
    """A row a model, form and group."""
    for row in results["board"]:
        for form, own in row["forms"].items():
            for group, index in own["di"].items():
                cell = {
                    f"ti_{key}" if key != "value" else "ti": value for key, value in own["ti"].get(group, {}).items()
                }
                gain = {"gain" if key == "difference" else f"gain_{key}": v for key, v in row["gains"][group].items()}
                yield {
                    "rank": row["rank"],
                    "model": row["model"],
                    "form": form,
                    "group": group,
                    **gain,
                    "di": index,
                    **cell,
                }


def _scores(results: dict[str, Any]) -> Rows:
    for label, kinds in results["scores"].items():
        for kind, names in kinds.items():
            for name, own in names.items():
                for measure, cell in own.items():
                    yield {"model": label, "kind": kind.removesuffix("s"), "name": name, "measure": measure, **cell}


def _suites(results: dict[str, Any]) -> Rows:
    """Scores on the further suites."""
    for suite, own in results["suites"].items():
        for row in _scores(own):
            yield {"suite": suite, **row}


def _gains(results: dict[str, Any]) -> Rows:
    pairs = [("base", arm, found) for arm, found in results["gains"].items()]
    pairs += [(one["from"], one["to"], one) for one in results["between"]]
    for before, after, found in pairs:
        for kind in ("benchmarks", "groups"):
            for name, own in found[kind].items():
                for measure, cell in own.items():
                    yield {
                        "from": before,
                        "to": after,
                        "kind": kind.removesuffix("s"),
                        "name": name,
                        "measure": measure,
                        **cell,
                    }


def _steps(results: dict[str, Any]) -> Rows:
    for arm, runs in results["steps"].items():
        for run in runs:
            for group, values in run["greedy"].items():
                for step, greedy, sampled in zip(run["steps"], values, run["sampled"][group], strict=True):
                    yield {
                        "arm": arm,
                        "seed": run["seed"],
                        "group": group,
                        "step": step,
                        "beyond": step > run["end"],
                        "greedy": greedy,
                        "sampled": sampled,
                    }


def _spending(results: dict[str, Any]) -> Rows:
    """Group scores against what was spent, one row an evaluated step of a run."""
    for arm, runs in results["steps"].items():
        for run in runs:
            for place, step in enumerate(run["steps"]):
                units = {f"{name}_{unit}": values[place] for name in SPENT for unit, values in run[name].items()}
                scores = {f"greedy_{group}": values[place] for group, values in run["greedy"].items()}
                yield {"arm": arm, "seed": run["seed"], "step": step, **units, **scores}


def _training(results: dict[str, Any]) -> Rows:
    for metric, arms in results["training"].items():
        for arm, curve in arms.items():
            for point in zip(*curve.values(), strict=True):
                yield {"metric": metric, "arm": arm} | dict(zip(("step", "mean", "low", "high"), point, strict=True))


def _strategies(results: dict[str, Any]) -> Rows:
    for arm, steps in results["strategies"].items():
        for step, mix in steps.items():
            for name, share in mix.items():
                yield {"arm": arm, "step": step, "strategy": name, "share": share}


def _counts(results: dict[str, Any]) -> Rows:
    for label, benchmarks in results["counts"].items():
        for name, own in benchmarks.items():
            yield {"model": label, "benchmark": name, **own}


def _forms(results: dict[str, Any]) -> Rows:
    for label, benchmarks in results["forms"].items():
        for name, own in benchmarks.items():
            yield {"model": label, "benchmark": name, **own}
