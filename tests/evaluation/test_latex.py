"""LaTeX tables: whole, escaped, with units, and wide or long ones in a form that fits a page."""

import re

from evaluation.report.latex import escaped, latex

HOSTILE = r"\input{/etc/passwd}%$#_&^~{}"


def body(text):
    return [line for line in text.splitlines() if line.endswith(r"\\") and "caption" not in line]


def test_what_a_name_says_is_set_and_never_run():
    text = latex("scores", [{"model": HOSTILE, "score": 50.75, "low": None}])
    assert r"\input" not in text and r"\textbackslash{}input\{/etc/passwd\}\%\$\#\_\&" in text
    assert body(text)[1].endswith(r"& $50.8$ & -- \\")
    assert re.sub(r"\\textbackslash\{\}|\\text\w+\{\}|\\[&%$#_{}]", "", escaped(HOSTILE)) == "input/etc/passwd"


def test_header_has_units_and_the_table_its_caption_and_label():
    text = latex("gains", [{"from": "base", "to": "sft", "difference": -1.0, "low": -2.0, "spent_flops": 2.5e12}])
    assert "difference (points) & low (points) & spent flops (FLOPs)" in text
    assert r"\label{tab:gains}" in text and r"\caption{Differences" in text and "\\toprule" in text
    assert r"$2.500\times 10^{12}$" in text and "$-1.000$" in text


def test_wide_tables_come_in_parts_and_long_ones_over_pages():
    rows = [{"arm": f"a{n}", "seed": n} | {f"c{k}": float(k) for k in range(20)} for n in range(60)]
    text = latex("budgets", rows)
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 3 and "Part 3 of 3." in text
    assert {line.count("&") for line in body(text)} == {9, 5}
    assert latex("budgets", rows[:3]).count(r"\begin{tabular}") == 3
