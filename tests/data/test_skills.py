"""The skills: every answer by a second method, verifiers, twins, splits, the tiny base's alphabet."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from conf.schema import Suite
from data import skills, suite
from data.items import GROUPS
from data.skills import tiny
from data.skills.words import LEVELS
from models.render import prompt_ids
from models.tiny import make_tokenizer
from rewards import verify
from tests.data.second.solve import solve

ALL = {**dict.fromkeys(skills.BENCHMARKS, skills), **dict.fromkeys(tiny.BENCHMARKS, tiny)}


@cache
def drawn(name: str, split: str = "test", count: int = 90):
    return ALL[name].items(name, split, count)


def every_item(count: int = 90):
    return [item for name in ALL for item in drawn(name, "test", count)]


def test_twenty_cells_and_more_than_fifty_variants_in_each_form():
    for benchmarks in (skills.BENCHMARKS, tiny.BENCHMARKS):
        cells = {(b.skill, b.domain): b.variants for b in benchmarks.values()}
        assert len(cells) == 5 * 4
        assert sum(map(len, cells.values())) >= 50
    assert len(ALL) == 2 * (16 + 8)  # diagnostics has two parts


@pytest.mark.parametrize("name", ALL)
def test_every_answer_by_a_second_method(name):
    for item in drawn(name):
        answer = solve(item)
        if item.options.get("mode") == "set":
            assert sorted(answer.split(", ")) == sorted(item.reference.split(", ")), item.prompt
        elif item.options.get("mode") == "normalised":
            assert answer.lower() == item.reference.lower(), item.prompt
        else:
            assert answer == item.reference, item.prompt


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_hundreds_of_answers_a_variant_by_a_second_method(name):
    for item in ALL[name].items(name, "test", 1200, seed=1):
        assert verify(item.kind, solve(item), item.reference, **item.options).outcome == "right", item.prompt


def test_other_seeds_give_other_items_without_end():
    first, other = (skills.items("calculation_math", "test", 800, seed) for seed in (0, 1))
    assert len(first) == len(other) == 800
    assert len({item.prompt for item in first} & {item.prompt for item in other}) < 400


@pytest.mark.parametrize("name", ALL)
def test_there_are_enough_items_and_a_longer_list_begins_with_a_shorter(name):
    assert len(drawn(name)) == 90 and len({item.prompt for item in drawn(name)}) == 90
    assert len({item.id for item in drawn(name)}) == 90
    assert ALL[name].items(name, "test", 20) == list(drawn(name))[:20]
    levels = Counter(item.labels["difficulty"] for item in drawn(name))
    assert set(levels) == set(LEVELS) and max(levels.values()) <= 3 * min(levels.values())


@pytest.mark.parametrize("name", ALL)
def test_splits_share_no_prompt(name):
    found = [{item.prompt for item in drawn(name, split, 60)} for split in skills.SPLITS]
    assert all(len(prompts) >= 40 for prompts in found)
    assert sum(map(len, found)) == len(set.union(*found))


@pytest.mark.parametrize("name", ALL)
def test_twins_stand_side_by_side_and_differ_in_text_alone(name):
    items = drawn(name)
    for one, other in zip(items[::2], items[1::2], strict=True):
        assert one.twin == other.id and other.twin == one.id and other.id.endswith("-twin")
        assert one.labels == other.labels and one.prompt != other.prompt
        assert (one.kind, one.options, one.benchmark, one.group) == (
            other.kind,
            other.options,
            other.benchmark,
            other.group,
        )
    assert {item.labels["change"] for item in items} == {"numbers", "words"}


def test_a_twin_in_other_words_has_the_same_answer_where_no_name_is_asked_for():
    for name in ("calculation_math", "enumeration_science", "diagnostics_code_mend", "simulation_science_tiny"):
        items = [item for item in drawn(name) if item.labels["change"] == "words"]
        assert items and all(a.reference == b.reference for a, b in zip(items[::2], items[1::2], strict=True))


def test_finding_and_mending_ask_about_the_same_cases():
    for domain in skills.DOMAINS:
        find, mend = (drawn(f"diagnostics_{domain}_{part}") for part in ("find", "mend"))
        assert [item.labels["case"] for item in find] == [item.labels["case"] for item in mend]
        assert all(a.prompt != b.prompt for a, b in zip(find, mend, strict=True))
        assert len({item.reference for item in find}) > 2  # the fault moves


def test_the_group_follows_from_skill_and_domain():
    groups = {name: b.group for name, b in skills.BENCHMARKS.items()}
    assert groups["calculation_math"] == groups["diagnostics_math_find"] == "math"
    assert groups["simulation_science"] == groups["enumeration_code"] == "other_reasoning"
    assert groups["fact_retrieval_math"] == groups["calculation_question_answering"] == "non_reasoning"
    assert set(groups.values()) == set(GROUPS)


def test_the_suite_takes_both_forms_side_by_side():
    items = suite.items(Suite(collections=["world", "skills", "skills_tiny"], items=2))
    assert len(items) == len({item.id for item in items}) == 2 * (14 + 24 + 24)
    assert all(isinstance(v, str) for item in items for v in item.labels.values())


# --- the tiny form ----------------------------------------------------------------------------------------------------


def test_tiny_prompts_are_in_the_base_s_alphabet_and_leave_room_for_an_answer():
    tokenizer = make_tokenizer()
    unknown, longest = tokenizer.convert_tokens_to_ids("<|unknown|>"), 0
    for name in tiny.BENCHMARKS:
        for item in drawn(name):
            ids = prompt_ids(tokenizer, item.prompt)
            assert unknown not in ids, item.prompt
            assert unknown not in tokenizer.encode(item.reference), item.reference
            longest = max(longest, len(ids))
    assert longest + 112 <= 256  # max_new_tokens of conf/suite/skills_tiny.yaml, positions of the base


# --- verifiers --------------------------------------------------------------------------------------------------------


def written(item) -> list[str]:
    """The reference in ways that a model may write it, right even where form counts."""
    answer = item.reference
    if item.kind == "math":
        return [f"\\boxed{{{answer}}}", f"So 1 + 1. The answer is $\\boxed{{{answer}}}$.", f"\\boxed{{ {answer} }}"]
    if item.kind == "choice":
        return [answer, f"\\boxed{{{answer}}}", f"\\boxed{{\\text{{{answer}}}}}", f"The answer is ({answer})."]
    forms = [answer, f" {answer}\n"]
    if item.options["mode"] in ("list", "set"):
        forms += [answer.replace(", ", ","), answer.replace(", ", " "), f"[{answer}]", f"({answer})"]
    if item.options["mode"] == "set":
        forms.append(", ".join(reversed(answer.split(", "))))
    if item.options["mode"] == "normalised":
        forms += [answer.capitalize(), f"{answer}."]
    if item.options.get("asked") == "boxed":
        return [f"I think.\n\\boxed{{{form}}}" for form in forms] + [f"\\boxed{{\\text{{{answer}}}}}"]
    return forms


def near_misses(item) -> list[str]:
    """Answers that are nearly right, in the right form."""
    answer, wrap = item.reference, "{}"
    if item.kind == "math" or item.options.get("asked") == "boxed":
        wrap = "\\boxed{{{}}}"
    if item.kind == "choice":
        others = [letter for letter in ("a", "b") if letter != answer.lower()]
        return [*others, f"({answer}) or ({others[0]})"]
    if answer.lstrip("-").isdigit():
        misses = [str(int(answer) + 1), str(-int(answer) - 1), f"{answer}.5", ""]
    else:
        misses = [answer[:-1] + ("b" if answer[-1] != "b" else "c"), f"{answer}{answer[-1]}", "", "none of these"]
    parts = answer.split(", ")
    if item.options.get("mode") in ("list", "set") and len(parts) > 1:
        misses += [", ".join(parts[:-1]), ", ".join([*parts, parts[0]]), answer.replace(", ", "")]
        if item.options["mode"] == "list":
            misses.append(", ".join(reversed(parts)))
    return [wrap.format(miss) for miss in misses if miss != answer]


@pytest.mark.parametrize("name", ALL)
def test_verifiers_accept_what_is_right_however_it_is_written_and_refuse_near_misses(name):
    for item in drawn(name)[:36]:
        for text in written(item):
            for extraction in ("strict", "aware"):
                found = verify(item.kind, text, item.reference, extraction=extraction, **item.options)
                assert found.outcome == "right", (text, item.reference, extraction, item.options)
        for text in near_misses(item):
            for extraction in ("strict", "aware"):
                found = verify(item.kind, text, item.reference, extraction=extraction, **item.options)
                assert found.outcome == "wrong", (text, item.reference, extraction, item.options)


def test_where_a_box_is_asked_for_bare_text_is_right_for_ability_and_wrong_for_form():
    item = next(item for item in drawn("enumeration_math") if item.options.get("mode") == "list")
    text = f"The answer is {item.reference}"
    assert verify(item.kind, text, item.reference, extraction="strict", **item.options).reason == "no_answer"
    assert verify(item.kind, text, item.reference, extraction="aware", **item.options).outcome == "right"


# --- the same everywhere ----------------------------------------------------------------------------------------------

DIGEST = """
import hashlib, json
from data import skills
from data.skills import tiny
items = [i for m in (skills, tiny) for b in m.BENCHMARKS for i in m.items(b, "test", 6)]
found = [[i.id, i.prompt, i.reference, i.labels] for i in items]
print(hashlib.sha256(json.dumps(found).encode()).hexdigest())
"""


def test_items_are_the_same_in_every_process():
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    found = [
        [i.id, i.prompt, i.reference, i.labels]
        for m in (skills, tiny)
        for b in m.BENCHMARKS
        for i in m.items(b, "test", 6)
    ]
    assert digests == {hashlib.sha256(json.dumps(found).encode()).hexdigest()}


# --- facts ------------------------------------------------------------------------------------------------------------


def test_capitals_and_continents_against_the_time_zones():
    pytz = pytest.importorskip("pytz")
    from data.skills import facts

    codes = {name: code for code, name in pytz.country_names.items()}
    zones = {name: pytz.country_timezones[code] for name, code in codes.items() if code in pytz.country_timezones}
    regions = {"Europe": ("Europe", "Atlantic"), "Asia": ("Asia", "Indian"), "Africa": ("Africa",)}
    checked = 0
    for level in facts.CONTINENTS:
        for country, continent in level:
            if country in zones:
                own = {zone.split("/")[0] for zone in zones[country]}
                assert own & set(regions.get(continent, ("America", "Pacific"))), country
                checked += 1
    cities = {zone.split("/")[-1].replace("_", " "): name for name, own in zones.items() for zone in own}
    for level in facts.CAPITALS:
        for country, capital in level:
            if capital in cities and country in zones:
                assert cities[capital] == country
                checked += 1
    assert checked > 80
