"""index.html: one page that needs no other file. Everything a model or a file says is escaped."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from evaluation.report.explorer import LETTERS, payload
from evaluation.report.overview import KL_STEPS
from evaluation.report.style import FEW_ARMS, GROUP_NAMES, UNIT_NAMES, colors, glyphs
from evaluation.rounding import fixed

PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
FEW_RUNS = 8  # shown one by one in the budgets' tables without a click
HERE = Path(__file__).parent
# in their order on the page: sections/<name>.html.j2 and what the list at the top calls it; one that comes out empty is
# left out
SECTIONS = {
    "board": "Leaderboard",
    "answer": "The answer",
    "steps": "Along training",
    "scores": "Scores",
    "transfer": "Transfer",
    "distance": "Forgetting against distance",
    "tokens": "Token shift",
    "representation": "Representation",
    "weights": "Weights",
    "front": "Fronts",
    "second": "A second task",
    "reach": "Reach",
    "skills": "Skills",
    "budgets": "Budgets",
    "responses": "Items",
    "compared": "What was compared",
    "forms": "Ability and form",
    "counts": "What could not be scored",
    "beside": "Beside",
}
OF_TRAINING = ("answer", "compared", "budgets", "steps", "front")  # that models not trained here have nothing for
OUTCOMES = {letter: word for word, letter in LETTERS.items()}
TRANSFER_FORMS = {
    "none": "no sigma",
    "signed_root": "signed_root, as printed in v2",
    "published": "published, sigma fitted",
    "relative": "relative, v1",
}


def render(results: dict[str, Any], figures: dict[str, Path]) -> str:
    """The whole page as text; `figures` are SVG files, taken in as data URIs."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[..., Any]] = {
        "points": points,
        "signed": signed,
        "count": count,
        "memory": memory,
        "prefixed": prefixed,
        "short": short,
        "rate": rate,
        "nats": nats,
        "breakable": breakable,
    }
    environment.filters |= filters
    looks = {label: (colors(results)[label], glyph) for label, glyph in glyphs(results).items()}
    script = (HERE / "explorer.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        r=results,
        figures={name: _data_uri(path) for name, path in figures.items()},
        colors=colors(results),
        group_names=GROUP_NAMES,
        transfer_forms=TRANSFER_FORMS,
        unit_names=UNIT_NAMES,
        few_arms=FEW_ARMS,
        few_runs=FEW_RUNS,
        kl_steps=KL_STEPS,
        sections={key: SECTIONS[key] for key in SECTIONS if not (results["compared"] and key in OF_TRAINING)},
        outcome_words=OUTCOMES,
        items=Markup(payload(results["explorer"], looks)),
        looks=looks,
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
    )


def _data_uri(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def points(value: float | None, digits: int = 1) -> str:
    """A score or bound; a dash where there is none."""
    return "–" if value is None else fixed(value, digits).replace("-", "−")


def signed(value: float | None, digits: int = 1) -> str:
    """A difference with its sign."""
    return "–" if value is None else fixed(value, digits, sign=True).replace("-", "−")


def nats(value: float | None) -> str:
    """A divergence, which may be of any size: three decimals, or two digits where it is below 0.1."""
    if value is None:
        return "–"
    small = np.format_float_positional(value, precision=2, unique=False, fractional=False, trim="-")
    return (f"{value:.3f}" if abs(value) >= 0.1 else small).replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with thin spaces between thousands."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def memory(value: float | None) -> str:
    """Bytes as MiB or GiB."""
    if value is None:
        return "–"
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def prefixed(value: float | None, digits: int = 4) -> str:
    """A count too large to read, such as FLOPs, with a prefix: 1.23 T."""
    if value is None:
        return "–"
    power = max([n for n in range(len(PREFIXES)) if abs(value) >= 1000**n], default=0)
    return f"{value / 1000**power:.{digits}g}\u202f{PREFIXES[power]}".rstrip()


def breakable(value: str) -> Markup:
    """A name that may be cut after its underscores where a column is narrow."""
    return escape(value).replace("_", Markup("_<wbr>"))


def rate(value: float) -> str:
    return f"{value:g}"


def short(value: Any) -> str:
    """A value on one line; a long digest by its first 16 characters."""
    text = str(value)
    is_digest = len(text) >= 40 and all(letter in "0123456789abcdef" for letter in text)
    return text[:16] + "…" if is_digest else text
