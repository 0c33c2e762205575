"""What a person reads when an evaluation has ended."""

from typing import Any

from evaluation.summing import unscored
from launch.command import WorkerFailed

NO_SCORE = 4  # exit code


def check_scored(scores: dict[str, Any]) -> None:
    """Name what was asked for and has no score."""
    lacking = unscored(scores)
    if lacking:
        lines = "".join(f"\n  {name}: {reason}" for name, reason in lacking.items())
        asked = len(scores["benchmarks"]) + len(scores.get("missing", {}))
        raise WorkerFailed(f"{len(lacking)} of {asked} benchmarks have no score{lines}", NO_SCORE)


def print_scores(scores: dict[str, Any]) -> None:
    """A line a benchmark and group, percent: the score and its interval, ability whatever the form, what the form and
    the published extractor take off it, the likeliest choice, the mean over samples, responses cut at the limit."""
    heads = ("items", "greedy", "95%", "ability", "format", "extractor", "likelihood", "sampled", "cut")
    width = max((len(name) + 3 for name in scores["benchmarks"]), default=0)
    print(_line("", heads, width))
    for group, own in scores["groups"].items():
        print(_line(group, ("", *_scores(own)), width))
        for name in own["benchmarks"]:
            one = scores["benchmarks"][name]
            cut = f"{100 * one['truncated'] / one['responses']:.1f}" if one["responses"] else ""
            print(_line(f"  {name}", (one["items"], *_scores(one), cut), width))
        for name in own["missing"]:
            print(f"  {name}: missing, the group's score is without it")


def _scores(own: dict[str, Any]) -> tuple[str, ...]:
    greedy, aware = own["greedy"], (own.get("modes") or {}).get("aware") or {}
    between = "" if greedy["low"] is None else f"{greedy['low']:.1f}-{greedy['high']:.1f}"
    losses = [_number((own.get(key) or {}).get("greedy")) for key in ("format_loss", "extractor_artefact")]
    likely = _number(own.get("likelihood", {}).get("acc"))
    return (_number(greedy), between, _number(aware.get("greedy")), *losses, likely, _number(own["sampled"]))


def _number(cell: Any) -> str:
    """A score, or the score or difference of a cell."""
    value = cell.get("score", cell.get("difference")) if isinstance(cell, dict) else cell
    return "" if value is None else f"{value:.1f}"


def _line(name: str, values: tuple[object, ...], width: int) -> str:
    return (f"{name:<{max(16, width)}}" + "".join(f"{value:>11}" for value in values)).rstrip()
