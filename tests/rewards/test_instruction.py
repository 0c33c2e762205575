import hashlib
import json
import random
import subprocess
import sys
from concurrent.futures import TimeoutError
from pathlib import Path

import pytest
from pebble import ProcessPool

from rewards.instruction import ARGUMENTS, followed, judge, prepare
from rewards.verdict import Verdict

ROOT = Path(__file__).parents[2]

# instruction, arguments, a response that follows it, one that does not
CASES = [
    ("keywords:existence", {"keywords": ["River", "stone"]}, "A stone in the river.", "A stone in the lake."),
    (
        "keywords:frequency",
        {"keyword": "river", "frequency": 2, "relation": "at least"},
        "River by river.",
        "One river.",
    ),
    ("keywords:forbidden_words", {"forbidden_words": ["cat", "dog"]}, "They concatenate.", "My cat sleeps."),
    (
        "keywords:letter_frequency",
        {"letter": "Z", "let_frequency": 2, "let_relation": "less than"},
        "A zoo.",
        "Zigzag.",
    ),
    (
        "language:response_language",
        {"language": "de"},
        "Das ist ein einfacher Satz über das Wetter.",
        "This is a simple sentence about the weather.",
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "Dr. Smith met Mr. Jones at 5 p.m. in Washington. They talked.",
        "One here. Two here. Three here.",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\nTwo.", "One.\n\nTwo."),
    (
        "length_constraints:number_words",
        {"num_words": 4, "relation": "at least"},
        "Four words are here.",
        "Only three words.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Second"},
        "First one.\n\nsecond one.",
        "Second one.\n\nFirst one.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [address]", "[name] (address)"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. Write.", "Bye. Write."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two", "one\ntwo"),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "My answer is green."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", "*one* and two"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\nText.\nSection 2\nText.",
        "Section 1\nText.",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1, 2]}\n```', '{"a": [1, 2}'),
    ("detectable_format:title", {}, "<<A song>>\nLa.", "<A song>\nLa."),
    ("combination:two_responses", {}, "Yes.\n******\nNo.", "Yes.\n******\nYes."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "say hi. Hi!", "Hi! Say hi."),
    ("startend:end_checker", {"end_phrase": "That is all."}, "Yes. THAT IS ALL.", "That is all. Bye."),
    ("startend:quotation", {}, ' "Yes." ', '"Yes.'),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "It is VERY GOOD.",
        "It is VERY good.",
    ),
    ("change_case:english_capital", {}, "THIS IS A LOUD SENTENCE ABOUT RAIN.", "This is a sentence about rain."),
    ("change_case:english_lowercase", {}, "this is a calm sentence about rain.", "This is a sentence about rain."),
    ("punctuation:no_comma", {}, "One and two.", "One, two."),
]
NAMES = {name: None for *_, arguments in ((c[0], c[1]) for c in CASES) for name in arguments}


def row(*instructions):
    """A row as IFEval publishes it: every argument is named everywhere, None where it is another instruction's."""
    return {
        "key": 1,
        "prompt": "Say hi.",
        "instruction_id_list": [identifier for identifier, _ in instructions],
        "kwargs": [NAMES | arguments for _, arguments in instructions],
    }


def judged(response, reference, **options) -> Verdict:
    """The verdict, with the worker's part done here."""
    found = judge(response, reference, **options)
    if isinstance(found, Verdict):
        return found
    outcome, reason, score = found.function(*found.arguments)
    return Verdict(outcome, reason, found.extracted, score)


def test_the_cases_are_all_of_lm_evals_checkers():
    from rewards import ifeval

    known = ifeval._checkers().instructions_registry.INSTRUCTION_DICT
    assert [case[0] for case in CASES] == list(ARGUMENTS)
    assert set(ARGUMENTS) == set(known) and len(known) == 25


@pytest.mark.parametrize(("identifier", "arguments", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_every_checker(identifier, arguments, good, bad):
    for mode in ("strict", "loose"):
        assert judged(good, row((identifier, arguments)), mode=mode) == Verdict("right", "match", None, 1.0)
        assert judged(bad, row((identifier, arguments)), mode=mode) == Verdict("wrong", "mismatch", None, 0.0)
    assert followed(good, row((identifier, arguments))) == [True]


@pytest.mark.parametrize(("identifier", "arguments", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_every_checker_needs_its_arguments_and_no_others(identifier, arguments, good, bad):
    def reason(name, value):
        return judged(good, row((identifier, arguments | {name: value}))).reason

    assert reason("else", 1) == "bad_reference"
    for name, value in arguments.items():
        others = ["two", -1, 2.5, True] if isinstance(value, int) else [7, {"a": 1}, b"x"]
        for other in [*others, None, 0, "", [], ["*"]]:
            assert reason(name, other) == "bad_reference", (name, other)


def test_right_where_all_are_followed_and_the_score_is_their_share():
    three = row(CASES[24][:2], CASES[12][:2], CASES[20][:2])
    assert judged('"My answer is yes."', three) == Verdict("right", "match", None, 1.0)
    assert judged("My answer is yes.", three) == Verdict("wrong", "mismatch", None, pytest.approx(2 / 3))
    assert followed("My answer is yes.", json.dumps(three)) == [True, True, False]
    assert judged(" \n", three) == Verdict("wrong", "no_answer", None, 0.0)


def test_the_reference_may_be_json_or_bare():
    reference = row(CASES[24][:2], CASES[0][:2])
    bare = {"instruction_id_list": ("punctuation:no_comma",), "kwargs": ({},)}
    assert judged("A stone in the river.", json.dumps(reference)).outcome == "right"
    assert judged("One.", bare).outcome == "right"


@pytest.mark.parametrize(
    "response",
    [
        '*"Hello."*',
        'Sure:\n"Hello."',
        '"Hello."\nBye.',
        'Sure:\n"Hello."\nBye.',
        'Sure:\n*"Hello."*',
        '*"Hello."*\nBye.',
        'Sure:\n*"Hello."*\nBye.',
    ],
)
def test_loose_forgives_the_first_line_the_last_and_asterisks(response):
    reference = row(("startend:quotation", {}))
    assert judged(response, reference).outcome == "wrong"
    assert judged(response, reference, mode="loose").outcome == "right"
    assert followed(response, reference, "loose") == [True]


@pytest.mark.parametrize("letter", ["#", "!"])
def test_a_character_that_is_no_letter_is_counted(letter):
    reference = row(("keywords:letter_frequency", {"letter": letter, "let_frequency": 3, "let_relation": "at least"}))
    assert judged(f"one {letter}{letter}{letter}", reference).outcome == "right"
    assert judged("aaaa bbbb eeee tttt " * 20 + letter * 2, reference).outcome == "wrong"


NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}


@pytest.mark.parametrize(
    "reference",
    [
        None,
        3,
        "",
        "no JSON",
        "[" * 100000,
        "[]",
        "3",
        {},
        [NO_COMMA],
        NO_COMMA | {"kwargs": []},
        NO_COMMA | {"kwargs": [{}, {}]},
        NO_COMMA | {"kwargs": [None]},
        NO_COMMA | {"kwargs": {}},
        NO_COMMA | {"kwargs": None},
        NO_COMMA | {"instruction_id_list": [], "kwargs": []},
        NO_COMMA | {"instruction_id_list": "punctuation:no_comma"},
        NO_COMMA | {"instruction_id_list": ["punctuation:no_colon"]},
        NO_COMMA | {"instruction_id_list": [["punctuation:no_comma"]]},
        {"instruction_id_list": ["punctuation:no_comma"]},
        {"kwargs": [{}]},
        row(("language:response_language", {"language": "tlh"})),
        row(("keywords:existence", {"keywords": ["good", "(bad"]})),
        row(("keywords:existence", {"keywords": "word"})),
        row(("length_constraints:number_words", {"num_words": 4, "relation": "at most"})),
        row(("keywords:letter_frequency", {"letter": "ab", "let_frequency": 3, "let_relation": "at least"})),
        row((CASES[8][0], CASES[8][1] | {"nth_paragraph": 3})),
        row(CASES[0][:2], ("punctuation:no_colon", {})),
    ],
)
def test_bad_references(reference):
    for response in ("A stone in the river.", ""):
        assert judged(response, reference) == Verdict("unscorable", "bad_reference")
    with pytest.raises(ValueError, match="instructions"):
        followed("One.", reference)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="strict or loose"):
        judge("One.", NO_COMMA, mode="exact")
    with pytest.raises(ValueError, match="strict or loose"):
        followed("One.", NO_COMMA, "exact")


def test_a_response_that_breaks_a_checker_does_not_follow_it():
    reference = row(("detectable_format:json_format", {}), ("punctuation:no_comma", {}))
    for mode in ("strict", "loose"):
        assert judged("[" * 100000, reference, mode=mode) == Verdict("wrong", "mismatch", None, 0.5)


_PIECES = [
    "*",
    "**",
    "\n",
    "\n\n",
    "***",
    "[",
    "]",
    '"',
    "P.S.",
    "Section 1",
    "<<",
    ">>",
    "```",
    "{",
    "Dr.",
    ". ",
    "? ",
]
_PIECES += ["\x00", "\ud800", "\u2028", "İ", "\u0301", "ONE", "two ", ",river", "-", "1", "語", "http://a.b", "a@b.c"]


def test_no_response_raises_and_each_is_judged_the_same_twice():
    rng = random.Random(0)
    everything = row(*(case[:2] for case in CASES))
    for _ in range(60):
        response = "".join(rng.choice(_PIECES) for _ in range(rng.randint(0, 40)))
        for mode in ("strict", "loose"):
            verdict = judged(response, everything, mode=mode)
            assert verdict.outcome == "wrong" and verdict.reason in ("mismatch", "no_answer")
            assert judged(response, everything, mode=mode) == verdict


@pytest.mark.parametrize(("language", "text"), [("fi", "Otec matka syn."), ("pl", "Otec matka syn."), ("sw", "war")])
def test_languages_are_detected_without_chance(language, text):
    """Texts too short to be sure of: without a seed langdetect takes them now for one language, now for another."""
    reference = row(("language:response_language", {"language": language}))
    assert len({followed(text, reference)[0] for _ in range(30)}) == 1


def test_the_sentence_tables_are_nltks():
    """The digest was taken of the English model in nltk's own `punkt_tab`."""
    from rewards.ifeval import _sentence_tokenizer

    tables = _sentence_tokenizer()._params
    kinds = (tables.abbrev_types, tables.collocations, tables.sent_starters, tables.ortho_context.items())
    written = json.dumps([sorted(kind) for kind in kinds])
    assert hashlib.sha256(written.encode()).hexdigest() == PUNKT_TAB


PUNKT_TAB = "05d1b12e48957bd1e1d458276076802cde540d5f3c0785efbd5c522ad2703023"


def test_a_worker_can_do_it_and_be_killed():
    good = judge("Dr. Smith met Mr. Jones. They talked.", row(CASES[5][:2]))
    endless = judge("x" + " " * 300_000 + "x", row(CASES[10][:2]))  # quadratic in the blanks
    with ProcessPool(max_workers=1, initializer=prepare) as pool:
        assert pool.schedule(good.function, args=good.arguments, timeout=30).result() == ("right", "match", 1.0)
        with pytest.raises(TimeoutError):
            pool.schedule(endless.function, args=endless.arguments, timeout=1).result()
        assert pool.schedule(good.function, args=good.arguments, timeout=30).result() == ("right", "match", 1.0)


def test_a_checker_that_asks_for_a_download_is_an_error_and_no_wrong_response():
    from rewards import ifeval

    for ask in (
        ifeval._checkers().instructions_util.nltk.download,
        ifeval._checkers().instructions_util.nltk.data.load,
    ):
        with pytest.raises(ImportError, match="no network"):
            ask("taggers/averaged_perceptron_tagger")


OFFLINE = """
import socket, sys

def refuse(*arguments, **options):
    raise SystemExit("the network was asked for")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from rewards.instruction import followed, prepare
assert not {"torch", "lm_eval", "nltk", "langdetect", "conf"} & set(sys.modules)
import json
prepare()
for reference, good, bad in json.load(sys.stdin):
    assert followed(good, reference) == [True] and followed(bad, reference) == [False], reference
assert not {"torch", "lm_eval", "lm_eval.tasks", "lm_eval.tasks.ifeval", "datasets", "conf"} & set(sys.modules)
import nltk
assert nltk.corpus and nltk.download.__module__ == "nltk.downloader"
print("done")
"""


def test_all_of_it_runs_without_the_network_or_any_data_of_nltk(tmp_path):
    cases = json.dumps([(row(case[:2]), *case[2:]) for case in CASES])
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "NLTK_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], input=cases, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout.split(), done.returncode) == (["done"], 0), done.stderr
