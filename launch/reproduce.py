"""Published numbers beside ours: `python -m launch.reproduce [FOLDER ...]`.

A FOLDER is an experiment's, runs/EXPERIMENT. Prints the tables, and writes report/reproduce.html,
report/tables/reproduce.csv and report/tables/reproduce_order.csv into it. Without any: what was published, and what of
it follows from the numbers beside it.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conf.errors import UserError
from evaluation.rounding import as_printed
from launch import command

WIDTH = 150  # characters, where the output is no terminal
STYLES = {
    **{"within our interval": "green", "same sign": "green", "same": "green", "follows": "green"},
    **{"outside our interval": "red", "other sign": "red", "reversed": "red", "does not follow": "red"},
}


def main(arguments: list[str]) -> None:
    """Print and write the comparison of each folder, or of none."""
    parser = argparse.ArgumentParser(prog="python -m launch.reproduce", add_help=False)
    parser.add_argument("folders", nargs="*", type=Path)
    folders = parser.parse_args(arguments).folders
    for folder in folders:
        check(folder)
    if not folders:
        show_published()
    for folder in folders:
        page = write(folder)
        print(f"reproduce: {page}")


def check(folder: Path) -> None:
    """UserError where there is no such folder."""
    if not folder.is_dir():
        beside = sorted(path.name for path in folder.parent.glob("*") if (path / "arms").is_dir())
        there = f"there are {', '.join(beside)}" if beside else f"{folder.parent} holds no experiment"
        raise UserError(
            f"{folder} is not a folder",
            "published numbers are set beside those of an experiment that was evaluated",
            f"name one, runs/EXPERIMENT ({there}), or run it with `python -m launch.pair experiment=NAME`",
        )


def write(folder: Path) -> Path:
    """Print the rows of an experiment and write them; the path of the page."""
    from evaluation.report.read import read_experiment
    from evaluation.report.reproduce_page import write as write_page
    from evaluation.report.reproduced import orders, rows

    experiment = read_experiment(folder)
    found = rows(experiment)
    order = orders(found)
    page = write_page(experiment, found, order)
    show(experiment.name, found, order)
    return page


def show(name: str, found: Sequence[Any], order: Sequence[Any]) -> None:
    """The rows with a number of ours table by table, the order of arms, and what has no number."""
    console = _console()
    for table in dict.fromkeys(row.table for row in found if row.ours is not None):
        own = [row for row in found if row.table == table and row.ours is not None]
        columns = ["published row, our arm", "column", "published", "ours, 95% interval", "difference", "compared"]
        lines = [
            [f"{row.row}, {row.arm}", row.column, as_printed(row.published) + (" *" if row.erratum else "")]
            + [as_printed(row.ours) + _interval(row), as_printed(row.difference, sign=True), row.verdict]
            for row in own
        ]
        console.print(_table(f"{name}: {table}", columns, lines))
        for why in dict.fromkeys(row.why for row in own if row.why):
            console.print(f"  {own[0].level}: {why}", style="dim", markup=False)
        for told in dict.fromkeys(row.erratum for row in own if row.erratum):
            console.print(f"  * {told}", style="dim", markup=False)
    if order:
        lines = [[one.table, one.column, one.higher, one.lower, one.verdict] for one in order]
        console.print(
            _table("Order of arms", ["table", "column", "published higher", "published lower", "ours"], lines)
        )
    counts = Counter((row.table, row.why) for row in found if row.ours is None)
    lines = [[table, str(count), why] for (table, why), count in counts.items()]
    console.print(_table("No number of ours", ["table", "values", "why"], lines))


def show_published() -> None:
    """Every published table, what of it follows, and what cannot be computed."""
    from evaluation.published import tables
    from evaluation.recomputed import checks, not_computed

    console = _console()
    for name, table in tables().items():
        lines = [[row, *(as_printed(value) for value in values)] for row, values in table.rows.items()]
        console.print(_table(f"{name}: {table.source} ({table.evidence}); {table.unit}", ["", *table.columns], lines))
        for note in table.notes:
            console.print(f"  {note}", style="dim", markup=False)
    lines = [
        [one.table, one.row, one.column, as_printed(one.published), as_printed(one.recomputed), one.verdict, one.how]
        for one in checks()
    ]
    columns = ["table", "row", "column", "published", "computed", "", "from"]
    console.print(_table("What follows from the numbers beside it", columns, lines))
    named = [list(pair) for pair in not_computed().items()]
    console.print(_table("What cannot be computed from what is published", ["table", "why"], named))
    counts = Counter(one.verdict for one in checks())
    console.print("; ".join(f"{count} {verdict}" for verdict, count in counts.items()), markup=False)


def _console() -> Any:
    from rich.console import Console

    console = Console(soft_wrap=False)
    return console if console.is_terminal else Console(soft_wrap=False, width=WIDTH)


def _table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in line))
    return table


def _interval(row: Any) -> str:
    return "" if row.low is None else f" ({as_printed(row.low)} to {as_printed(row.high)})"


if __name__ == "__main__":
    command.run(main, __doc__)
