"""The figures of token shift: KL along training, and the words that are shifted."""

import math
from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from evaluation.report.style import FEW_ARMS, legend, marks, panels_of

SPREAD = 20.0  # times the smallest KL that the largest must be for a logarithmic axis
WORDS = 40  # in a picture
LONGEST = 18  # letters of a word that are shown
WIDE, HIGH = 100.0, 46.0  # of a picture, in units of its own
SIZES = 4.5, 15.0  # of letters, in these units
TRIES = 1500  # places along the spiral
GAP = 0.5
# class -> how its words look: each is told by its letters alone, too
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "structural": ("#111827", {"weight": "bold"}),
    "content": ("#00796b", {"style": "oblique"}),
    "form": ("#8a8f98", {"family": "DejaVu Sans Mono"}),
}
CLASS_NAMES = {
    "structural": "structural words, bold",
    "content": "content words, slanted",
    "form": "digits, signs and spaces, monospaced",
}

Box = tuple[float, float, float, float]  # left, bottom, right, top


def tokens_steps(results: dict[str, Any]) -> Figure | None:
    """KL(tuned || base) on the tuned model's own responses against the step, a panel a group; each seed thin."""
    found = results["tokens"]
    if not found or not any(len(run["steps"]) > 1 for runs in found["steps"].values() for run in runs):
        return None
    figure, panels = panels_of(results["groups"])
    looks = marks(results)
    values = []
    for axes, group in zip(panels, results["groups"], strict=True):
        for arm, runs in found["steps"].items():
            for number, run in enumerate(runs):
                own = run["own"]["kl_tuned_base"][group]
                pairs = [(step, kl) for step, kl in zip(run["steps"], own, strict=True) if kl is not None]
                values += [kl for _, kl in pairs if kl]
                look, label = looks[arm], arm if not number else None
                thin: dict[str, Any] = (
                    {"alpha": 0.55, "linewidth": 0.9} if len(results["arms"]) > FEW_ARMS else {"linewidth": 1.4}
                )
                axes.plot(
                    *zip(*pairs, strict=True),
                    color=look.color,
                    marker=look.marker,
                    linestyle=look.linestyle,
                    markersize=3.5,
                    label=label,
                    **thin,
                )
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if values and max(values) > SPREAD * min(values):
        panels[0].set_yscale("symlog", linthresh=min(values))  # shared by all
    panels[0].set_ylabel("KL(tuned ‖ base), nats a token")
    legend(figure, panels[0])
    return figure


def words(results: dict[str, Any]) -> Figure | None:
    """The words of each arm's own responses that are shifted most often: the larger, the oftener."""
    found = {arm: rows for arm, rows in (results["tokens"] or {"words": {}})["words"].items() if rows}
    if not found:
        return None
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(4.4 * columns, 2.3 * rows + 0.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for axes, (arm, own) in zip(panels, found.items(), strict=False):
        axes.set_title(arm, loc="left", fontweight="bold", parse_math=False)
        _picture(axes, own[:WORDS])
    for name, (color, _) in LOOKS.items():
        panels[0].plot([], [], "s", color=color, markersize=5, label=CLASS_NAMES[name])
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _picture(axes: Axes, rows: list[dict[str, Any]]) -> None:
    axes.set_xlim(-WIDE / 2, WIDE / 2)
    axes.set_ylim(-HIGH / 2, HIGH / 2)
    axes.set_xticks([])
    axes.set_yticks([])
    most = max(row["shifted"] for row in rows)
    taken: list[Box] = []
    for row in sorted(rows, key=lambda row: (-row["shifted"], row["word"])):
        color, style = LOOKS[row["kind"]]
        size = SIZES[0] + (SIZES[1] - SIZES[0]) * math.sqrt(row["shifted"] / most)
        path = _outline(row["word"], size, FontProperties(**({"family": "DejaVu Sans"} | style)))
        box = path.get_extents()
        place = _place(box.x1 - box.x0, box.y1 - box.y0, taken)
        if place is None:
            continue
        taken.append(place)
        moved = path.transformed(Affine2D().translate(place[0] - box.x0, place[1] - box.y0))
        axes.add_patch(PathPatch(moved, facecolor=color, linewidth=0))


def _outline(word: str, size: float, font: FontProperties) -> Path:
    """A word as a shape, so that nothing in it is read as a formula or as markup; a letter that the font lacks, or that
    cannot be seen, is a box."""
    known = get_font(findfont(font))
    letters = "".join(letter if known.get_char_index(ord(letter)) and letter.strip() else "□" for letter in word)
    shown = letters[: LONGEST - 1] + "…" if len(letters) > LONGEST else letters
    corners, codes = text_to_path.get_text_path(font, shown)
    return Path(corners, codes).transformed(Affine2D().scale(size / text_to_path.FONT_SCALE))


def _place(width: float, height: float, taken: list[Box]) -> Box | None:
    """The first free place along a spiral from the middle; None where there is none."""
    for x, y in _spiral():
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        inside = box[0] > -WIDE / 2 and box[2] < WIDE / 2 and box[1] > -HIGH / 2 and box[3] < HIGH / 2
        if inside and not any(_touch(box, other) for other in taken):
            return box
    return None


def _spiral() -> Iterator[tuple[float, float]]:
    for number in range(TRIES):
        angle = 0.35 * math.sqrt(number) * 2.2
        yield 0.62 * angle * WIDE / HIGH * math.cos(angle), 0.62 * angle * math.sin(angle)


def _touch(one: Box, other: Box) -> bool:
    return not (
        one[2] + GAP < other[0] or other[2] + GAP < one[0] or one[3] + GAP < other[1] or other[3] + GAP < one[1]
    )
