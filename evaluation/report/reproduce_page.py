"""report/reproduce.html and its tables: published numbers beside an experiment's. Names are escaped."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conf.files import write_text
from evaluation.recomputed import checks, not_computed
from evaluation.report.page import HERE, breakable
from evaluation.report.read import Experiment
from evaluation.report.reproduced import NOT_BESIDE, Order, Row, plain, published
from evaluation.report.tables import as_csv
from evaluation.rounding import as_printed


def write(experiment: Experiment, rows: Sequence[Row], orders: Sequence[Order]) -> Path:
    """Write the page and its tables into the experiment's report; the path of the page."""
    report = experiment.folder / "report"
    (report / "tables").mkdir(parents=True, exist_ok=True)
    write_text(report / "tables" / "reproduce.csv", as_csv(plain(rows)))
    write_text(report / "tables" / "reproduce_order.csv", as_csv(plain(orders)))
    write_text(report / "reproduce.html", render(experiment.name, rows, orders))
    return (report / "reproduce.html").resolve()


def render(name: str, rows: Sequence[Row], orders: Sequence[Order]) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": as_printed, "breakable": breakable}
    by_table: dict[str, list[Row]] = {}
    for row in rows:
        by_table.setdefault(row.table, []).append(row)
    return environment.get_template("reproduce.html.j2").render(
        name=name,
        rows=by_table,
        orders=orders,
        published=published(),
        checks=checks(),
        not_computed=not_computed(),
        not_beside=NOT_BESIDE,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
    )
