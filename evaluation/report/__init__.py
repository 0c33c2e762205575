"""The report of one experiment, from the files of its folder alone: no torch, no network, no training code."""

from pathlib import Path
from typing import Any

from conf.files import write_json, write_text
from evaluation.report import gate, intact
from evaluation.report.figures import write_figures
from evaluation.report.page import render
from evaluation.report.read import read_experiment
from evaluation.report.summary import summarize
from evaluation.report.tables import write_tables

FEW = 5  # named one by one


def write_report(experiment_folder: Path, fail_if: str = "", unsure: bool = False) -> Path:
    """Write report/index.html, results.json, figures/ and tables/ into the experiment's folder; the path of index.html.

    `fail_if`: conditions on every model (evaluation/report/gate.py), judged in results.json under `gate`; with `unsure`
    one fails that its interval leaves open. UserError where the folder holds no evaluation of the base, or none of any
    arm, and for a condition that is none.
    """
    folder = Path(experiment_folder) / "report"
    results = write_results(Path(experiment_folder), fail_if, unsure)
    (folder / "figures").mkdir(exist_ok=True)
    figures = write_figures(results, folder / "figures")
    write_text(folder / "index.html", render(results, figures))
    return folder / "index.html"


def write_results(experiment_folder: Path, fail_if: str = "", unsure: bool = False) -> dict[str, Any]:
    """Write report/results.json and tables/, all but the page and its figures; what results.json holds."""
    results = results_of(experiment_folder)
    conditions = gate.parse(fail_if, gate.names_of(results)) if fail_if else []
    results["gate"] = gate.judge(results, conditions, unsure) if conditions else None
    folder = experiment_folder / "report"
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    write_tables(results, folder / "tables")
    without_texts = {key: value for key, value in results["explorer"].items() if key not in ("items", "few")}
    write_json(folder / "results.json", {**results, "explorer": without_texts})
    return results


def results_of(experiment_folder: Path) -> dict[str, Any]:
    """All numbers of the report; one that is nan or infinite is none, and said to be."""
    undefined: list[str] = []
    results: dict[str, Any] = intact.finite(summarize(read_experiment(experiment_folder)), undefined)
    if undefined:
        named = ", ".join(undefined[:FEW]) + (" and more" if len(undefined) > FEW else "")
        results["problems"].append(
            f"{len(undefined)} numbers came out as nan or infinite and are shown as none: {named}"
        )
    return results
