"""A table as LaTeX (booktabs; longtable where it is longer than a page), escaped, with its units in the header."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.rounding import fixed

Row = Mapping[str, Any]
LONG = 40  # rows; from there on over several pages
WIDE = 8  # columns of numbers side by side; a wider table comes in parts, each with its first columns
KEYS = 4  # columns at the left that name a row, at most
SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"},
    **{"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "\\textquotedbl{}"},
    **{"−": "$-$", "–": "--", "‖": "$\\Vert$", "β": "$\\beta$", "√": "$\\surd$", "σ": "$\\sigma$", "…": "\\dots{}"},
}
CAPTIONS = {
    "answer": "Greedy score minus the base's by group, 95\\% intervals, and what each arm cost; means over seeds.",
    "arms": "Objective, learning rate, gains, response length, drift and cost of each arm.",
    "scores": "Scores of base and arms, means over seeds, 95\\% intervals over items.",
    "gains": "Differences between models on the same items, 95\\% intervals over items.",
    "verdicts": "What is shown of each pair of models: estimate, 95\\% interval over seeds and items, p and p by Holm.",
    "transfer": "Index of each group and Transferability Index in every form.",
    "budgets": "What each run spent up to the compared checkpoint.",
    "spending": "Group scores against what was spent.",
    "pass_at_k": "pass@k, unbiased.",
    "steps": "Greedy and sampled group scores along training.",
    "training": "What each training step logged: mean, lowest and highest seed.",
    "counts": "Responses that could not be scored or were cut.",
    "forms": "Ability, format loss, extractor artefact and likelihood of the same responses.",
}
POINTS = dict.fromkeys(("difference", "low", "high"), "points")
PERCENT = dict.fromkeys(("score", "low", "high", "seed_std", "greedy", "sampled", "pass_at_k"), r"\%")
OF_TABLE: dict[str, Mapping[str, str]] = {  # table -> column -> unit
    "scores": PERCENT,
    "suites": PERCENT,
    "gains": POINTS,
    "verdicts": POINTS,
    "steps": PERCENT,
    "pass_at_k": PERCENT,
    "forms": dict.fromkeys(("aware", "strict", "paper", "acc", "acc_norm", "truncated", "unscorable"), r"\%")
    | dict.fromkeys(("format_loss", "extractor_artefact"), "points"),
    "transfer": {"ti": r"\%", "sigma": "points"},
    "answer": {"difference": "points"},
}
ENDINGS = {  # of a column's name, in every table
    "prompts": "prompts",
    "epochs": "epochs",
    "tokens": "tokens",
    "tokens_trained": "tokens",
    "tokens_prompted": "tokens",
    "tokens_generated": "tokens",
    "completion_tokens": "tokens",
    "length": "tokens",
    "flops": "FLOPs",
    "flops_with_targets": "FLOPs",
    "seconds": "s",
    "device_seconds": "s",
    "bytes": "bytes",
    "kl_base": "nats a token",
    "reference_logp": "nats a token",
    "_difference": "points",
    "_low": "points",
    "_high": "points",
}


def latex(name: str, rows: Sequence[Row]) -> str:
    """The whole table, in parts where it is wide; it needs the packages booktabs and longtable."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    keys = _keys(columns, rows)
    rest = columns[len(keys) :]
    parts = [rest[at : at + WIDE] for at in range(0, len(rest), WIDE)] or [[]]
    caption = CAPTIONS.get(name, escaped(name.replace("_", " ").capitalize()) + ".")
    texts = []
    for number, part in enumerate(parts, 1):
        label = f"tab:{name.replace('_', '-')}" + (f"-{number}" if len(parts) > 1 else "")
        told = f"{caption} Part {number} of {len(parts)}." if len(parts) > 1 else caption
        texts.append(_table(name, [*keys, *part], len(keys), rows, told, label))
    return "% \\usepackage{booktabs,longtable}\n" + "\n".join(texts)


def escaped(text: object) -> str:
    """Text that LaTeX sets as it stands: no letter of it is a command."""
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(str(text).split()))


def _keys(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The columns at the left that hold words or whole numbers such as a seed or a step."""
    found: list[str] = []
    for column in columns[:KEYS]:
        if any(isinstance(row.get(column), float) for row in rows):
            break
        found.append(column)
    return found or list(columns[:1])


def _table(name: str, columns: Sequence[str], keys: int, rows: Sequence[Row], caption: str, label: str) -> str:
    shape = "l" * keys + "r" * (len(columns) - keys)
    head = " & ".join(_header(name, column) for column in columns) + r" \\"
    body = "\n".join(" & ".join(_cell(row.get(column)) for column in columns) + r" \\" for row in rows)
    if len(rows) > LONG:
        top = f"\\caption{{{caption}}}\\label{{{label}}}\\\\\n\\toprule\n{head}\n\\midrule\n\\endfirsthead\n"
        again = f"\\toprule\n{head}\n\\midrule\n\\endhead\n\\bottomrule\n\\endlastfoot\n"
        return f"{{\\small\n\\begin{{longtable}}{{{shape}}}\n{top}{again}{body}\n\\end{{longtable}}\n}}\n"
    tabular = f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{head}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}"
    return (
        f"\\begin{{table}}\n\\centering\\small\n\\caption{{{caption}}}\\label{{{label}}}\n{tabular}\n\\end{{table}}\n"
    )


def _header(table: str, column: str) -> str:
    told = escaped(column.replace("_", " "))
    unit = OF_TABLE.get(table, {}).get(column) or _by_ending(column)
    return f"{told} ({unit})" if unit else told


def _by_ending(column: str) -> str:
    fitting = [end for end in ENDINGS if column == end or column.endswith(end if end[0] == "_" else f"_{end}")]
    return ENDINGS[max(fitting, key=len)] if fitting else ""


def _cell(value: Any) -> str:
    """A number with four digits that count, or one decimal where it is large; nothing where there is none."""
    if value is None or value == "":
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return escaped(" ".join(map(str, value)) if isinstance(value, list) else value)
    if value != value or abs(value) == float("inf"):
        return "--"
    if value and not 1e-3 <= abs(value) < 1e6:
        digits, power = f"{value:.3e}".split("e")
        return f"${digits}\\times 10^{{{int(power)}}}$"
    return "$" + fixed(value, 1 if abs(value) >= 10 else 3) + "$"
