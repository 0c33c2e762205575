"""The colours can be told apart by eyes with and without all cones, and a figure without any colour at all."""

import numpy as np

from evaluation.report.style import ARM_COLORS, BASE_COLOR, LINES, MARKERS, glyphs, marks
from tests.evaluation.seen import SIGHT, contrast, distances


def test_colours_look_different_to_every_eye_and_stand_out_from_white():
    for count, least in ((3, 28), (6, 18), (len(ARM_COLORS), 15)):
        some = [*ARM_COLORS[:count], BASE_COLOR]
        for sight in SIGHT:
            apart = distances(some, sight) + 1e9 * np.eye(len(some))
            assert apart.min() >= least, (count, sight)
    assert contrast([*ARM_COLORS, BASE_COLOR]).min() >= 2.9  # of a mark with what is around it, WCAG 2.1 asks for 3


def test_the_simulation_knows_red_from_green_as_people_do():
    red_and_green = ["#d03030", "#508030"]
    assert distances(red_and_green, "normal")[0, 1] > 70 > 35 > distances(red_and_green, "deuteranopia")[0, 1]


def test_arms_differ_by_marker_and_neighbours_by_line():
    looks = marks({"arms": [f"arm {n}" for n in range(12)]})
    assert len({look.marker for look in looks.values()}) == len(looks) == 13 == len(MARKERS)
    lines = [str(look.linestyle) for look in looks.values()][1:]
    assert all(len(set(lines[at : at + len(LINES)])) == len(LINES) for at in range(12 - len(LINES) + 1))
    assert len(set(glyphs({"arms": [f"arm {n}" for n in range(12)]}).values())) == 13
