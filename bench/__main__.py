"""Run every module of this folder that has `figures`, print what came out, and write it to `runs/bench.json`.

`python -m bench MODULE ...` runs only those, and keeps what the file says of the others.
"""

import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import bench

FILE = Path("runs") / "bench.json"


def measured(names: list[str]) -> Iterator[tuple[str, bench.Figure]]:
    """(module, figure) of everything there is to measure, one after the other, so that nothing disturbs it."""
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        for figure in getattr(module, "figures", tuple)():
            yield name, figure


def kept(names: list[str]) -> list[dict[str, Any]]:
    """What the file says of other modules."""
    before = json.loads(FILE.read_text(encoding="utf-8"))["figures"] if FILE.exists() else []
    return [row for row in before if row["module"] not in names]


def main(chosen: list[str]) -> None:
    """Print one line for each figure as it comes, then write them all."""
    names = chosen or [found.name for found in pkgutil.iter_modules(bench.__path__) if found.name != "__main__"]
    console = Console()
    table = Table("", "figure", "measured", "wanted", "unit", "")
    rows = kept(names)
    for module, figure in measured(names):
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
    main(sys.argv[1:])
