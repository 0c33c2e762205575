"""What the papers printed, number by number, as data: huan2025.yaml, yue2025.yaml, others.yaml.

A file holds tables by name. A table has `source` (paper, version, table), `evidence` (primary: read in the paper or its
repository; second-hand: in notes on it; recalled: from memory), `unit`, `columns`, and `rows` (a value a column, null
where none was printed). `base` names the row a tuned model started from, `groups` sorts columns, `errata` holds values
that the paper's own numbers contradict (the value stays as printed), `notes` what a reader must know.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

HERE = Path(__file__).parent


class Erratum(BaseModel):
    """A printed value that the paper's own numbers contradict."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str
    column: str
    correct: float
    why: str


class Table(BaseModel):
    """One published table; values as printed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    evidence: str
    unit: str
    columns: list[str]
    rows: dict[str, list[float | None]]
    groups: dict[str, list[str]] = {}
    base: dict[str, str] = {}
    errata: list[Erratum] = []
    notes: list[str] = []

    @model_validator(mode="after")
    def _whole(self) -> "Table":
        uneven = [name for name, values in self.rows.items() if len(values) != len(self.columns)]
        strange = [one.row for one in self.errata if one.row not in self.rows or one.column not in self.columns]
        strange += [name for own in self.groups.values() for name in own if name not in self.columns]
        if uneven or strange:
            raise ValueError(f"{self.source}: rows without a value a column {uneven}, unknown names {strange}")
        return self

    def value(self, row: str, column: str) -> float | None:
        """As printed; None where the paper has none. KeyError for a row, ValueError for a column it has not."""
        return self.rows[row][self.columns.index(column)]

    def erratum(self, row: str, column: str) -> Erratum | None:
        return next((one for one in self.errata if (one.row, one.column) == (row, column)), None)

    def scores(self, row: str) -> dict[str, dict[str, float]]:
        """{group: {benchmark: percent}} of a row, as `transfer_index` takes it."""
        found = {group: {name: self.value(row, name) for name in names} for group, names in self.groups.items()}
        return {group: {k: v for k, v in own.items() if v is not None} for group, own in found.items()}


@cache
def tables() -> Mapping[str, Table]:
    """Every table by name, in the order of the files."""
    found: dict[str, Table] = {}
    for name in ("huan2025", "yue2025", "others"):
        for key, own in yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8")).items():
            found[key] = Table.model_validate(own)
    return found
