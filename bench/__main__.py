"""Run every module of this folder that has `figures`, print what came out, and write it to `runs/bench.json`."""

import importlib
import json
import os
import pkgutil
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

import bench

FILE = Path("runs") / "bench.json"


def measured() -> Iterator[tuple[str, bench.Figure]]:
    """(module, figure) of everything there is to measure, one after the other, so that nothing disturbs it."""
    for found in pkgutil.iter_modules(bench.__path__):
        if found.name != "__main__":
            module = importlib.import_module(f"bench.{found.name}")
            for figure in getattr(module, "figures", tuple)():
                yield found.name, figure


def main() -> None:
    """Print one line for each figure as it comes, then write them all."""
    console = Console()
    table = Table("", "figure", "measured", "wanted", "unit", "")
    rows = []
    for module, figure in measured():
        console.print(f"{module}: {figure.name}: {figure.measured:,.5g} {figure.unit}", highlight=False)
        bound = f"{'at least' if figure.at_least else 'at most'} {figure.wanted:,.6g}"
        told = "[green]met[/]" if figure.met else "[red]missed[/]"
        table.add_row(module, figure.name, f"{figure.measured:,.5g}", bound, figure.unit, told)
        rows.append({"module": module, **asdict(figure), "met": figure.met})
    console.print(table)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"machine": machine, "figures": rows}, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {FILE}")


if __name__ == "__main__":
    main()
