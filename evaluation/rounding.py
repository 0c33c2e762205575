"""The one way a number is rounded for a reader, so that a table, a sentence and a figure never disagree."""

from decimal import ROUND_HALF_EVEN, Decimal

NOISE = 9  # decimals after which two sums of the same scores may differ by the order they were added in


def fixed(value: float, digits: int = 1, sign: bool = False) -> str:
    """`value` with so many decimals, halves to the even digit: 50.75 -> 50.8, 50.65 -> 50.6; nan as such.

    Halves are those of the decimal number, not of its binary neighbour: what two ways of adding up leave beyond the
    ninth decimal is taken off first, so 50.74999999999999 and 50.75000000000001 both read 50.8. There is no minus zero.
    """
    text = f"{value:.{NOISE}f}"
    if text.strip("-") in ("nan", "inf"):
        return text
    rounded = Decimal(text).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    rounded = rounded or abs(rounded)
    return f"{rounded:+f}" if sign else f"{rounded:f}"


def as_printed(value: float | None, sign: bool = False) -> str:
    """With about as many digits as papers print: one decimal from 10 on, three below; a dash where there is none."""
    if value is None:
        return "–"
    text = fixed(value, 1 if abs(value) >= 10 else 3, sign)
    return text.rstrip("0").rstrip(".").replace("-", "−") if "." in text else text
