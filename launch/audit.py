"""Do runs differ only where it was declared? `python -m launch.audit FOLDER FOLDER ... [--out FILE]`.

A FOLDER is a run's (runs/EXPERIMENT/arms/ARM/seed-N, or a copy of one) or an experiment's, for all of its runs. Prints
every difference by class, writes audit.json into the runs' experiment (or --out), and exits with 3 for a confound.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml

from conf.control import CONFOUND, DERIVED, HARMLESS, TABLE, TREATMENT, Entry
from conf.errors import UserError
from conf.files import write_json
from launch import command
from train.audit import ABSENT, audit, experiment_of

CONFOUNDED = 3
TITLES = {
    TREATMENT: "Treatment: declared by the recipes",
    DERIVED: "Derived: follows from it",
    HARMLESS: "Harmless: does not enter the result",
    CONFOUND: "Confound: may explain the result",
}
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OSError, yaml.YAMLError)  # what a damaged file raises
SHORT = 24  # characters shown of a digest
FEW = 4  # runs named one by one, and keys shown one by one
Row = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Audit the folders, print the table, write audit.json; SystemExit(3) where a confound was found."""
    parser = argparse.ArgumentParser(prog="python -m launch.audit", add_help=False)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    found = audit(given.folders)
    show(found)
    out = given.out or place(given.folders)
    write_json(out, found)
    print(f"audit: {out}")
    if found["verdict"] != "controlled":
        raise SystemExit(CONFOUNDED)


def write(experiment: Path) -> dict[str, Any] | None:
    """Audit every evaluated run of an experiment, and write its audit.json; None where that cannot be done."""
    runs = [path for path in sorted(experiment.glob("arms/*/seed-*")) if any(path.glob("evaluation/step-*"))]
    try:
        found = audit(runs)
    except UserError as error:
        why = f"{error.given}: {error.why}"
    except DAMAGED as error:
        why = f"a file of a run cannot be read: {' '.join(str(error).split())[:200]}"
    else:
        write_json(experiment / "audit.json", found)
        return found
    (experiment / "audit.json").unlink(missing_ok=True)
    print(f"not audited: {why}", flush=True)
    return None


def place(folders: list[Path]) -> Path:
    """Where audit.json goes: into the one experiment that all folders are of, else here."""
    experiments = {folder.absolute() if (folder / "arms").is_dir() else experiment_of(folder) for folder in folders}
    one = next(iter(experiments))
    return (one if len(experiments) == 1 and one else Path.cwd()) / "audit.json"


def verdict(found: dict[str, Any]) -> str:
    """One sentence."""
    counts = found["counts"]
    compared = f"{found['compared']} facts of {len(found['runs'])} runs compared, {found['equal']} equal"
    if not counts[CONFOUND]:
        return f"Controlled: {compared}; the runs differ only where it was declared."
    return f"Confounded: {compared}; {counts[CONFOUND]} differ without being declared."


def show(found: dict[str, Any]) -> None:
    """The differences as tables, one a class, and the verdict."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=False)
    for name, title in TITLES.items():
        rows = [row for row in found["differences"] if row["class"] == name]
        if rows:
            console.print(_table(title, rows, "red" if name == CONFOUND else ""))
    confounded = found["verdict"] != "controlled"
    console.print(Text(verdict(found), style="bold red" if confounded else "bold green"))


def _table(title: str, rows: list[Row], style: str) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style=f"bold {style}", expand=True, show_lines=True)
    table.add_column("key", style=style, ratio=3, overflow="fold")
    table.add_column("values", ratio=4, overflow="fold")
    table.add_column("why", ratio=4)
    for row in gathered(rows):
        table.add_row(row["key"], Text(values(row)), Text(why(row)))
    return table


def gathered(rows: list[Row]) -> list[Row]:
    """Many keys that the same runs lack, for the same reason, as one row; the others as they are."""
    alike: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        lacking = tuple(label for label, value in row["values"].items() if value == ABSENT)
        alike.setdefault((lacking, why(row)) if lacking else (row["key"],), []).append(row)
    return [one for own in alike.values() for one in (own if len(own) <= FEW else [_together(own)])]


def _together(rows: list[Row]) -> Row:
    section, names = rows[0]["key"].split(".")[0], sorted(row["key"].partition(".")[2] for row in rows)
    told = {label: ABSENT if value == ABSENT else ", ".join(names) for label, value in rows[0]["values"].items()}
    return rows[0] | {"key": f"{section}: {len(rows)} keys", "values": told}


def values(row: Row) -> str:
    """runs: value, one line a value; runs are counted where there are many."""
    having: dict[str, list[str]] = {}
    for label, value in row["values"].items():
        having.setdefault(_short(value), []).append(label)
    lines = [f"{', '.join(own) if len(own) <= FEW else f'{len(own)} runs'}: {value}" for value, own in having.items()]
    return "\n".join(lines)


def why(row: Row) -> str:
    """The reason, what it follows from, and whether it was let pass."""
    follows = f" (from {row['follows_from']})" if row["follows_from"] else ""
    return row["reason"] + follows + (" [let pass by allow_confound]" if row["allowed"] else "")


def markdown() -> str:
    """The table of conf/control.py as docs/control.md prints it."""
    lines = ["| key | a difference is | because |", "|---|---|---|"]
    for one in TABLE:
        keys = " ".join(f"`{key}`" for key in one.keys)
        lines.append(f"| {keys} | {_kind(one)} | {one.reason} |")
    return "\n".join(lines)


def _kind(one: Entry) -> str:
    """What a difference in the entry's keys is, with its conditions."""
    named = ", ".join(f"`{key}`" for key in (*one.of, *one.lacking))
    if one.kind == "derived":
        return f"what it is in {named}; else confound"
    words = {"locked": "confound unless declared", "recipe": "treatment where declared, else confound", "run": HARMLESS}
    unless = [f"where one run lacks it, what it is in {named}"] if one.lacking else []
    unless += [f"harmless where {' and '.join(f'`{key}`' for key in one.proof)} are equal"] if one.proof else []
    unless += [f"derived under `{one.given[0]}` {'/'.join(one.given[1])}"] if one.given else []
    return "; ".join([words.get(one.kind, one.kind), *unless])


def _short(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if " " in text or len(text) <= SHORT else text[: SHORT - 1] + "…"


if __name__ == "__main__":
    command.run(main, __doc__)
