"""Benchmarks out of packages: golden rows in the real schemas, written here, and what is wrong with a file, by name."""

import gzip
import json

import pyarrow as pa
import pytest

from conf.schema import Suite
from data import offline, suite
from data.items import GROUPS, Missing
from data.offline.rows import ROOT
from evaluation.grade import judged
from rewards import verify

STORY = "Anna has a red kite. It flies over the barn."
FUNCTION = 'def one():\n    """Return 1."""\n'
# benchmark -> rows of its file; the first is whole
ROWS = {
    "gsm8k": [
        {
            "question": "Ann has 1,000 nuts and eats 2. How many are left?",
            "answer": "1000 - 2 = <<1000-2=998>>998\n#### 998",
            "short_answer": "998",
        }
    ],
    "math500": [
        {
            "problem": "Convert $(0,3)$.",
            "solution": "It is $\\boxed{1}$, no: $\\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}.$",
            "answer": "\\le(3,\\frac{\\pi}{2}\\right)",  # as the package has it
        }
    ],
    "basic_arithmetic": [{"question": "4 * 8 =", "choices": ["40", "24", "32"], "gold": 2}],
    "arc_challenge": [
        {"query": "Question: Where is it dark?\nAnswer:", "choices": ["in a cave", "outside"], "gold": 0}
    ],
    "arc_easy": [{"query": "Question: What is wet?\nAnswer:", "choices": ["sand", "water", "salt"], "gold": 1}],
    "humaneval": [
        {
            "prompt": FUNCTION,
            "test": "def check(candidate):\n    assert candidate() == 1\n",
            "entry_point": "one",
            "canonical_solution": "    return 1\n",
        }
    ],
    "drop": [
        {
            "query": f"Passage: {STORY}\nQuestion: How many kites?\nAnswer:",
            "passage": STORY,
            "answers": [["1"], ["one"], ["a kite", "red"]],
        }
    ],
    "basic_logic": [{"question": "All cats purr. Tom is a cat.", "choices": ["Tom barks.", "Tom purrs."], "gold": 1}],
    "basic_coding": [{"question": "def add(a, b):\n    return", "choices": ["a + b", "a - b"], "gold": 0}],
    "basic_pattern": [{"question": "++ -- ++", "choices": ["--", "++"], "gold": 0}],
    "basic_string": [
        {"question": "The length of 'hello' is", "choices": ["4", "5"], "gold": 1},
        {"question": "Trimming ' a' gives", "choices": [" a", "a"], "gold": 1},
        {"question": "The length of '' is", "choices": ["0", " "], "gold": 0},
    ],
    "coqa": [
        {
            "query": f"Passage: {STORY}\n\nFinal question:\n\nQuestion: What colour?\nAnswer:",
            "story": STORY,
            "answers": ["red", "Red", "a red one"],
        }
    ],
    "triviaqa": [{"question": "Who?", "answer": {"value": "Sunset Blvd.", "aliases": ["Sunset Boulevard"]}}],
    "mmlu": [{"question": "What is 1?", "subject": "anatomy", "choices": ["a number", "a nerve"], "answer": 0}],
    "hellaswag": [{"query": "A man is on a roof. He", "choices": [" flies.", " rips tiles off."], "gold": 1}],
    "squad": [
        {
            "query": f"Title: K\nBackground: {STORY}\nQuestion: Where?\nAnswer:",
            "title": "K",
            "answers_text": ["over the barn", "the barn"],
        }
    ],
    "boolq": [{"query": f"K -- {STORY}\nQuestion: is it red?\nAnswer:", "choices": ["yes", "no"], "gold": 0}],
    "sciq": [{"query": f"Question: {n}?\nAnswer:", "choices": ["b", "c", "d", "darwin"], "gold": 3} for n in range(40)],
    "basic_knowledge": [{"question": "The legs of a cat are", "choices": ["five", "four"], "gold": 1}],
}
RIGHT = {  # and what is right beside the reference
    "drop": ["one", "a kite, red"],
    "coqa": ["A red one."],
    "triviaqa": ["sunset boulevard"],
    "squad": ["the barn"],
    "boolq": ["Yes."],
}


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """Write the rows of a benchmark where `make fetch-offline` would, for both splits."""
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path))
    offline._all.cache_clear()

    def write(name, rows):
        for pattern in offline.BENCHMARKS[name].files.values():
            path = tmp_path / ROOT / pattern.replace("*.arrow", "data-00000-of-00001.arrow").replace("*", "anatomy")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".gz":  # every document once for each choice, and all of them twice
                lines = [json.dumps({"doc": row, "idx": i}) for row in rows for i in range(2)] * 2
                path.write_bytes(gzip.compress("\n".join(lines).encode()))
            else:
                batch = pa.RecordBatch.from_pylist(rows)
                with pa.ipc.new_stream(str(path), batch.schema) as stream:
                    stream.write_batch(batch)
        return path

    yield write
    offline._all.cache_clear()


def all_items(name):
    found = []
    for split in ("validation", "test"):
        try:
            found.append(offline.items(name, split, 1000))
        except Missing:
            found.append([])
    return found


@pytest.mark.parametrize("name", sorted(offline.BENCHMARKS))
def test_a_row_becomes_one_item_that_its_answers_solve(cached, name):
    cached(name, ROWS[name])
    validation, test = all_items(name)
    own_splits = "" not in offline.BENCHMARKS[name].files
    assert len(validation + test) == (40 if name == "sciq" else 1)
    assert not (own_splits and test), "a row of both splits stands in the first"
    item = (validation + test)[0]
    first = ROWS[name][0]
    assert item.group in GROUPS and item.id.startswith(f"{name}-")
    if "choices" in first and name != "sciq":
        assert item.choices == tuple(choice.strip() for choice in first["choices"])
        assert item.reference == item.choices[first["gold"] if "gold" in first else first["answer"]]
    options = {key: value for key, value in item.options.items() if key != "paper"}
    boxed = f"\\boxed{{{item.reference}}}" if item.kind == "math" else item.reference
    program = f"```python\n{FUNCTION}    return 1\n```"
    for answer in [program if name == "humaneval" else boxed, *RIGHT.get(name, ())]:
        assert verify(item.kind, answer, item.reference, **{"extraction": "strict"} | options).outcome == "right"
    assert verify(item.kind, "I cannot tell", item.reference, **options).outcome == "wrong"


LOOSE = {"math": "So the answer is {}.", "choice": "I think it is {}, for it fits.", "text": "Let me see.\n{}"}


def graded(item, right):
    """(strict, aware) of right, unformatted, truncated, in-thought, wrong and empty responses."""
    if item.kind == "code":
        body = right.removeprefix("```python\n").removesuffix("```")
        loose, wrong = f"It is this:\n{body}Good luck.", f"```python\n{FUNCTION}    return 2\n```"
    else:
        loose, wrong = LOOSE[item.kind].format(item.reference), "\\boxed{no such}"
    texts = [right, loose, f"<think>{right}, but", f"<think>{right}</think>\nSo", wrong, ""]
    return [(row["strict"], row["aware"]) for row in judged([item] * len(texts), texts)]


@pytest.mark.parametrize("name", sorted(offline.BENCHMARKS))
def test_golden_responses_are_graded_as_expected(cached, name):
    cached(name, ROWS[name])
    item = sum(all_items(name), [])[0]
    right = f"\\boxed{{{item.reference}}}" if item.kind == "math" else item.reference
    found = graded(item, f"```python\n{FUNCTION}    return 1\n```" if item.kind == "code" else right)
    wrong = ("wrong", "wrong")
    assert found == [("right", "right"), ("wrong", "right"), wrong, wrong, wrong, wrong]


def test_every_group_has_two_benchmarks_or_more():
    groups = [one.group for one in offline.BENCHMARKS.values()]
    assert all(groups.count(group) >= 2 for group in GROUPS)


def test_the_gold_of_math500_is_the_last_box_and_not_the_mangled_answer(cached):
    cached("math500", ROWS["math500"])
    (item,) = sum(all_items("math500"), [])
    assert item.reference == "\\left( 3, \\frac{\\pi}{2} \\right)"


def test_the_right_choice_of_sciq_is_not_always_in_one_place(cached):
    cached("sciq", ROWS["sciq"])
    places = {item.choices.index(item.reference) for item in sum(all_items("sciq"), [])}
    assert places == {0, 1, 2, 3}


def test_splits_are_disjoint_a_story_stays_in_one_and_more_items_hold_the_fewer(cached):
    rows = [
        ROWS["coqa"][0] | {"story": f"story {s}", "query": f"Passage: story {s}\nQuestion: {q}?\nAnswer:"}
        for s in range(30)
        for q in range(4)
    ]
    cached("coqa", rows)
    stories = [{item.prompt.partition("\n")[0] for item in split} for split in all_items("coqa")]
    assert stories[0] and stories[1] and not stories[0] & stories[1] and len(stories[0] | stories[1]) == 30
    assert offline.items("coqa", "test", 10) == offline.items("coqa", "test", 50)[:10]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([*ROWS["gsm8k"], {"question": "Q", "answer": "#### 1"}], "row 3 is broken .KeyError: 'short_answer'"),
        ([ROWS["gsm8k"][0] | {"short_answer": "997"}], "row 1 is broken .*two answers"),
        ([ROWS["gsm8k"][0] | {"question": 7, "answer": "#### ", "short_answer": ""}], "row 1 is broken.*empty"),
        ([], "is damaged|no rows in split test"),
    ],
)
def test_a_broken_row_and_an_empty_file_are_named(cached, rows, told):
    cached("gsm8k", rows)
    with pytest.raises(Missing, match=told) as caught:
        offline.items("gsm8k", "test", 10)
    assert caught.value.benchmark == "gsm8k"


def test_another_schema_and_a_damaged_file_are_named(cached):
    path = cached("gsm8k", ROWS["gsm8k"])
    path.write_bytes(gzip.compress(b'{"document": 1}\n'))
    with pytest.raises(Missing, match="has no `doc`: another schema"):
        offline.items("gsm8k", "test", 10)
    path.write_bytes(gzip.compress(b"x" * 2000)[:-12])
    with pytest.raises(Missing, match="make fetch-offline"):
        offline.items("gsm8k", "test", 10)
    arrow = cached("mmlu", ROWS["mmlu"])
    arrow.write_bytes(b"no arrow")
    with pytest.raises(Missing, match="damaged"):
        offline.items("mmlu", "test", 10)


def test_what_is_not_there_is_named_and_the_rest_is_scored(cached):
    cached("basic_pattern", [{"question": f"{n} {n + 1}", "choices": ["a", "b"], "gold": 0} for n in range(30)])
    asked = Suite(collections=["offline"], benchmarks=["basic_pattern", "hellaswag"], items=5)
    items, missing = suite.found(asked)
    assert [item.benchmark for item in items] == ["basic_pattern"] * 5
    assert list(missing) == ["hellaswag"] and "make fetch-offline" in missing["hellaswag"]


FETCHED = (offline.cache.folder() / ROOT).is_dir()


@pytest.mark.slow
@pytest.mark.skipif(not FETCHED, reason="make fetch-offline brings the benchmarks")
@pytest.mark.parametrize("name", sorted(offline.BENCHMARKS))
def test_the_real_rows(name):
    offline._all.cache_clear()
    validation, test = all_items(name)
    assert len(validation) > 30 and len(test) > 100
    assert not {item.id for item in validation} & {item.id for item in test}
    assert all(item.reference in item.choices for item in test if item.choices)
    math = [item for item in test if item.kind == "math"][:50]
    assert all(verify("math", f"\\boxed{{{item.reference}}}", item.reference).outcome == "right" for item in math)
