"""Sampling targets from a server that may do anything, and from the base."""

import email.utils
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import models
from conf import freeze
from conf.errors import UserError
from conf.schema import Configuration
from data import endpoint, responses, targets
from data.compile import compile_dataset, read
from models.seeds import stream
from models.tiny import make_model, make_tokenizer
from tests.openai_server import USAGE, serve, text

ROOT = Path(__file__).parent.parent.parent
PROMPTS = 6


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tokenizer = make_tokenizer()
    make_model(tokenizer, seed=5).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def prompts(base, tmp_path_factory):
    """Compiled once for all of these tests; each has its own folder beside it."""
    return tmp_path_factory.mktemp("targets")


@pytest.fixture
def folder(prompts, request):
    own = prompts / request.node.name.replace("/", "-").replace(" ", "-")
    own.mkdir()
    return own


@pytest.fixture
def configure(base):
    def make(url: str = "", data: dict | None = None, **given) -> Configuration:
        recipe = {"name": "sft", "trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"}
        teacher = {"base_url": url, "model": "teacher", "samples": 2, "concurrency": 4, "retries": 0}
        return Configuration(
            experiment={},
            model={"path": str(base)},
            data={"rows": PROMPTS, **(data or {})},
            targets={**teacher, **given},
            train={},
            recipe=recipe,
            suite={"items": 20},
            hardware={},
            logger={},
        )

    return make


def table(folder):
    return pq.read_table(folder / "targets.parquet").to_pylist()


def every_other(body, times):
    return "right" if body["seed"] % 2 else "wrong"


def test_every_response_is_kept_with_its_verdict(configure, folder):
    with serve(every_other) as server:
        manifest = targets.make(configure(server.url), folder)
    rows, counts = table(folder), manifest["counts"]
    assert len(rows) == counts["asked"] == 2 * PROMPTS == len(server.asked) and counts["failed"] == 0
    assert list(rows[0]) == [*targets.verdicts.TEXTS, *targets.verdicts.NUMBERS]
    for row in rows:
        seed = stream(0, "targets", row["prompt"], row["sample"]) % 2**31
        assert (row["outcome"], row["reason"]) == (("right", "match") if seed % 2 else ("wrong", "mismatch"))
        assert row["response"] == text(row["prompt"], right=bool(seed % 2)) and row["finish_reason"] == "stop"
        assert {name: row[name] for name in USAGE} == USAGE
    right = [row for row in rows if row["outcome"] == "right"]
    assert counts["right"] == len(right) > 0 and counts["wrong"] == len(rows) - len(right) > 0
    assert counts["prompts_with_right"] == len({row["prompt"] for row in right})
    ledger = manifest["ledger"]
    assert ledger["tokens_generated"] == 11 * 12 and ledger["tokens_prompted"] == 7 * 12
    assert (ledger["responses"], ledger["rejected"]) == (12, 12 - len(right)) and ledger["flops_generate"] is None


def test_how_many_ask_at_a_time_changes_nothing(configure, folder):
    tables = []
    for concurrency in (1, 8):
        with serve(every_other) as server:
            targets.make(configure(server.url, concurrency=concurrency), folder / str(concurrency))
        tables.append((folder / str(concurrency) / "targets.parquet").read_bytes())
    assert tables[0] == tables[1]


def test_a_request_says_what_the_configuration_says(configure, folder):
    with serve() as server:
        targets.make(configure(server.url, temperature=0.6, top_p=0.95, max_new_tokens=33, thinking=True), folder)
    body = server.bodies[0]
    assert body["model"] == "teacher" and body["max_tokens"] == 33
    assert (body["temperature"], body["top_p"]) == (0.6, 0.95)
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    assert len({(b["messages"][0]["content"], b["seed"]) for b in server.bodies}) == 2 * PROMPTS


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("garbage", "not_json"),
        ("nested", "not_json"),
        ("half json", "not_json"),
        ("not gzip", "not_json"),
        ("closes in the middle", "closed"),
        ("closes at once", "unreachable"),
        ("wrong json", "malformed"),
        ("a list", "malformed"),
        ("parts", "malformed"),
        ("no message", "malformed"),
        ("no choices", "empty"),
        ("empty choice", "empty"),
        ("null", "empty"),
        ("abort", "aborted"),
        ("trickles", "timeout"),
        ("silent", "timeout"),
        ("400", "refused"),
        ("404", "denied"),
        ("429", "rate_limited"),
        ("503", "server_error"),
    ],
)
def test_a_bad_answer_costs_one_counted_failure_and_is_asked_again_next_time(configure, folder, how, kind):
    bad: list[str] = []

    def behave(body, times):
        if body["seed"] % 3 == 0 and not bad:
            bad.append(body["messages"][0]["content"])
            return how
        return "right"

    with serve(behave) as server:
        timeout = 2 if kind == "timeout" else 60
        first = targets.make(configure(server.url, timeout=timeout), folder)
        assert len(bad) == 1 and first["failures"] == {kind: 1}
        assert first["counts"]["right"] == 2 * PROMPTS - 1 == len(table(folder))
        again = targets.make(configure(server.url), folder)
    assert again["counts"]["right"] == 2 * PROMPTS and again["counts"]["failed"] == 0
    assert len(server.asked) == 2 * PROMPTS + 1 and again["ever"]["failures"] == 1


def test_garbage_alone_ends_in_a_summary_too(configure, folder):
    with serve(lambda body, times: "garbage") as server:
        manifest = targets.make(configure(server.url), folder)
    assert manifest["counts"]["failed"] == 2 * PROMPTS and manifest["failures"] == {"not_json": 2 * PROMPTS}
    assert table(folder) == []


def test_refusals_that_pass_are_tried_again(configure, folder):
    ways = ["429 0", "503 0", "500 0", "right"]
    with serve(lambda body, times: ways[times - 1]) as server:
        manifest = targets.make(configure(server.url, retries=3, samples=1), folder)
    assert manifest["counts"]["right"] == PROMPTS and manifest["counts"]["failed"] == 0
    assert set(Counter(server.asked).values()) == {4} and manifest["ever"]["retries"] == 3 * PROMPTS


def test_no_more_tries_than_asked_for(configure, folder):
    with serve(lambda body, times: "503 0") as server:
        manifest = targets.make(configure(server.url, retries=2, samples=1), folder)
    assert manifest["failures"] == {"server_error": PROMPTS} and set(Counter(server.asked).values()) == {3}


def test_retry_after_is_waited_out(configure, folder):
    with serve(lambda body, times: "429 1" if times == 1 else "right") as server:
        targets.make(configure(server.url, retries=1, samples=1, concurrency=8), folder)
    asked = {key: [t for k, t in zip(server.asked, server.times, strict=True) if k == key] for key in server.asked}
    assert all(second - first >= 1.0 for first, second in asked.values())


def test_pauses_grow_spread_and_have_an_end():
    for attempt in range(1, 12):
        told = min(2.0 ** (attempt - 1), endpoint.LONGEST_PAUSE)
        pauses = [endpoint.pause(attempt, None, seed) for seed in range(50)]
        assert all(0.5 * told <= pause <= 1.5 * told for pause in pauses) and len(set(pauses)) > 40
    assert 5.0 <= endpoint.pause(1, 5.0, 0) <= 5.5
    assert endpoint.pause(1, 1e12, 0) <= 1.1 * endpoint.LONGEST_TOLD
    assert endpoint.pause(3, None, 7) == endpoint.pause(3, None, 7)


def test_retry_after_is_a_number_or_a_date():
    date = email.utils.formatdate(1_000_030, usegmt=True)
    assert endpoint.retry_after("2.5", 0.0) == 2.5 and endpoint.retry_after(date, 1_000_000.0) == 30.0
    assert endpoint.retry_after(date, 2_000_000.0) == 0.0 and endpoint.retry_after("-3", 0.0) == 0.0
    assert [endpoint.retry_after(bad, 0.0) for bad in (None, "soon", "nan", "inf", "")] == [None] * 5


# --- what ends the run ------------------------------------------------------------------------------------------------


def refused(configuration, folder):
    with pytest.raises(UserError) as caught:
        targets.make(configuration, folder)
    assert all(part.strip() for part in (caught.value.given, caught.value.why, caught.value.change))
    return caught.value


def test_a_server_that_is_not_there(configure, folder):
    assert "cannot be reached" in refused(configure("http://127.0.0.1:9/v1"), folder).why


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://host/v1", "http://", "http://[/v1", ""])
def test_an_address_that_is_none(configure, folder, url):
    assert "no address" in refused(configure(url), folder).why


def test_a_password_in_the_address_is_refused_and_not_repeated(configure, folder):
    assert "secret" not in str(refused(configure("http://me:secret@127.0.0.1:9/v1"), folder))


@pytest.mark.parametrize("how", ["401", "403"])
@pytest.mark.parametrize("lists", [True, False])
def test_a_refused_key(configure, folder, monkeypatch, how, lists):
    monkeypatch.setenv(endpoint.KEY, "wrong")
    with serve(lambda body, times: how, key="good" if lists else "", models=["teacher"]) as server:
        error = refused(configure(server.url), folder)
    assert endpoint.KEY in error.change and not list(folder.glob("targets.parquet"))


@pytest.mark.parametrize("listed", [["other", "another"], None, []])
def test_a_model_that_the_server_lacks(configure, folder, listed):
    with serve(lambda body, times: "404", models=listed) as server:
        error = refused(configure(server.url), folder)
    assert "targets.model" in error.change and (not listed or "other, another" in error.change)


def test_a_server_lost_for_good_ends_the_run_and_loses_nothing(configure, folder):
    with serve(lambda body, times: "right" if len(server.asked) <= 20 else "503") as server:
        error = refused(configure(server.url, samples=20), folder)
        assert "503" in error.why and not (folder / "manifest.json").exists()
        kept = len(server.answered) - targets.PATIENCE
        server.behave, before = lambda body, times: "right", len(server.asked)
        manifest = targets.make(configure(server.url, samples=20), folder)
    assert manifest["counts"]["right"] == 20 * PROMPTS
    assert 20 * PROMPTS - kept <= len(server.asked) - before <= 20 * PROMPTS - 20 + 4


def test_prompts_that_are_refused_do_not_end_a_run_that_answers_others(configure, folder):
    first = []

    def behave(body, times):
        first.append(body["messages"][0]["content"])
        return "right" if first[0] == first[-1] else "400"

    with serve(behave) as server:
        manifest = targets.make(configure(server.url, samples=20), folder)
        assert manifest["counts"]["right"] == 20 and manifest["failures"] == {"refused": 20 * (PROMPTS - 1)}
        server.behave = lambda body, times: "400"
        error = refused(configure(server.url, samples=20), folder / "another")
    assert "400" in error.why


def test_the_key_is_sent_and_written_nowhere(configure, folder, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "sk-very-secret")
    seen = []

    def behave(body, times):
        seen.append(body)
        return '400 {"error": "sk-very-secret may not ask this"}' if len(seen) == 3 else "right"

    with serve(behave, key="sk-very-secret") as server:
        manifest = targets.make(configure(server.url), folder)
    assert manifest["failures"] == {"refused": 1} and "*** may not" in manifest["failure_examples"]["refused"]
    for path in folder.rglob("*"):
        assert path.is_dir() or b"very-secret" not in path.read_bytes(), path


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_kill_9_and_go_on(configure, folder):
    """Only what was under way when the process was killed is asked twice."""
    with serve(every_other, seconds=0.02) as server:
        configuration = configure(server.url, samples=40)
        targets.read_prompts(configuration, folder.parent)
        freeze.write(configuration, folder / "config.yaml")
        code = (
            "import sys; from pathlib import Path; from conf import freeze; from data.targets import make\n"
            "folder = Path(sys.argv[1]); make(freeze.read(folder / 'config.yaml'), folder)"
        )
        for _ in range(2):
            before = len(server.asked)
            process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT)
            while len(server.asked) < before + 50 and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            assert not (folder / "manifest.json").exists()
        manifest = targets.make(configuration, folder)
    assert manifest["counts"]["failed"] == 0 and len(table(folder)) == 40 * PROMPTS
    twice = sum(times - 1 for times in Counter(server.asked).values())
    assert len(set(server.asked)) == 40 * PROMPTS and twice <= 2 * configuration.targets.concurrency
    with serve(every_other) as server:
        targets.make(configure(server.url, samples=40), folder / "whole")
    assert (folder / "whole" / "targets.parquet").read_bytes() == (folder / "targets.parquet").read_bytes()


def test_a_line_cut_short_is_asked_again_alone(configure, folder):
    with serve() as server:
        targets.make(configure(server.url), folder)
        part = folder / "responses" / "part-000001.jsonl"
        part.write_bytes(part.read_bytes()[:-9])
        manifest = targets.make(configure(server.url), folder)
    assert len(server.asked) == 2 * PROMPTS + 1 and manifest["counts"]["right"] == 2 * PROMPTS


def test_a_finished_folder_needs_no_server(configure, folder):
    with serve() as server:
        first = targets.make(configure(server.url), folder)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert targets.make(configure("http://127.0.0.1:9/v1"), folder) == first
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_more_samples_ask_for_the_new_ones_alone(configure, folder):
    with serve() as server:
        targets.make(configure(server.url, samples=1), folder)
        manifest = targets.make(configure(server.url, samples=3), folder)
        assert len(server.asked) == 3 * PROMPTS and server.most() == 1 and manifest["counts"]["right"] == 3 * PROMPTS
        fewer = targets.make(configure(server.url, samples=2), folder)
    assert len(server.asked) == 3 * PROMPTS and len(table(folder)) == fewer["counts"]["right"] == 2 * PROMPTS
    assert fewer["ledger"]["responses"] == 3 * PROMPTS  # what was spent stays spent


def test_another_reference_is_judged_anew_and_not_asked_anew(configure, folder, tmp_path):
    def source(name, answer):
        path = tmp_path / name
        path.write_text("".join(json.dumps({"problem": f"{i}+1", "answer": str(answer(i))}) + "\n" for i in range(5)))
        return {"source": str(path)}

    with serve() as server:
        first = targets.make(configure(server.url, source("a.jsonl", lambda i: i + 1)), folder)
        second = targets.make(configure(server.url, source("b.jsonl", lambda i: i + 2)), folder)
    assert first["counts"]["right"] == 10 and second["counts"]["wrong"] == 10 and len(server.asked) == 10


def test_rows_without_solutions_are_asked(configure, folder, tmp_path):
    rows = [{"problem": "1+1", "answer": "2", "solution": "no"}, {"problem": "2+2", "answer": "4", "solution": None}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serve() as server:
        targets.make(configure(server.url, {"source": str(path)}), folder)
    assert {row["prompt"] for row in table(folder)} == {"1+1", "2+2"}


def test_the_compile_step_imitates_the_right_and_whole_ones(configure, folder):
    with serve(lambda body, times: ("right", "wrong", "cut")[body["seed"] % 3]) as server:
        manifest = targets.make(configure(server.url, samples=6), folder)
    compile_dataset(configure(data={"targets": str(folder)}), folder / "compiled")
    rows = read(folder / "compiled")[0]
    whole = [row for row in table(folder) if row["outcome"] == "right" and row["finish_reason"] == "stop"]
    assert len(rows) == manifest["counts"]["prompts_with_right"] > 0
    assert all(row["targets"] == [text(row["prompt"], right=True)] for row in rows)
    assert {row["prompt"] for row in rows} == {row["prompt"] for row in whole}


# --- what a response is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reasoning", "thinking", "expected"),
    [
        ("4", "\nhm\n", True, "<think>\nhm\n</think>4"),
        ("4", "\nhm\n", False, "4"),
        ("4", None, True, "4"),
        (None, "\nhm", True, "<think>\nhm"),
        (None, "\nhm", False, ""),
        ("<think>hm</think>4", None, True, "<think>hm</think>4"),
        ("hm</think>4", None, True, "<think>\nhm</think>4"),
    ],
)
def test_a_thought_is_kept_whole(content, reasoning, thinking, expected):
    assert endpoint.whole(content, reasoning, thinking) == expected


def test_a_thinking_teacher_is_right_by_its_answer(configure, folder):
    with serve(lambda body, times: "thought") as server:
        targets.make(configure(server.url, thinking=True), folder)
    assert all(
        row["outcome"] == "right" and row["response"].startswith("<think>\nhm\n</think>") for row in table(folder)
    )


def test_tokens_that_the_server_does_not_tell_are_counted_by_the_base(configure, folder):
    with serve(lambda body, times: "no usage" if body["seed"] % 2 else "mad usage") as server:
        manifest = targets.make(configure(server.url), folder)
    tokenizer = make_tokenizer()
    for row in table(folder):
        assert row["completion_tokens"] == len(models.response_ids(tokenizer, row["response"]))
        assert row["prompt_tokens"] == len(models.prompt_ids(tokenizer, row["prompt"]))
    assert manifest["ever"]["estimated"] == 2 * PROMPTS


def test_a_failure_costs_what_the_server_says(configure, folder):
    with serve(lambda body, times: "empty choice") as server:
        ledger = targets.make(configure(server.url, parameters=10.0), folder)["ledger"]
    assert ledger["responses"] == 0 and ledger["tokens_generated"] == 2 * PROMPTS * 11
    assert ledger["flops_generate"] == 2 * 10.0 * 2 * PROMPTS * 18 and ledger["teacher_parameters"] == 10.0


def test_cut_and_odd_responses_are_kept_as_they_are(configure, folder):
    with serve(lambda body, times: "cut" if body["seed"] % 2 else "half a character") as server:
        manifest = targets.make(configure(server.url), folder)
    rows = table(folder)
    counts, whole = manifest["counts"], {row["prompt"] for row in rows if row["finish_reason"] == "stop"}
    assert {row["finish_reason"] for row in rows} == {"length", "stop"} and counts["right"] == len(rows)
    assert counts["cut"] == counts["right_but_cut"] == manifest["ledger"]["rejected"] > 0
    assert counts["prompts_with_right"] == len(whole)
    assert any(row["response"].startswith("? ") for row in rows)


@pytest.mark.parametrize("name", ["chat_template_kwargs", "max_completion_tokens"])
def test_a_server_that_knows_other_names_is_asked_by_them(configure, folder, name):
    def behave(body, times):
        good = "chat_template_kwargs" not in body if name == "chat_template_kwargs" else name in body
        return "right" if good else f'400 {{"error": "use {name} otherwise"}}'

    with serve(behave) as server:
        manifest = targets.make(configure(server.url), folder)
    assert manifest["counts"]["right"] == 2 * PROMPTS and len(server.asked) == 2 * PROMPTS + 1


# --- the base, and the store ------------------------------------------------------------------------------------------


def test_the_base_samples_through_the_one_generator(configure, folder, base):
    given = configure(q="base", model="", temperature=1.0, max_new_tokens=24, samples=3)
    manifest = targets.make(given, folder)
    model, tokenizer = models.load(str(base))
    rows = table(folder)
    ids = models.generate(
        model,
        [models.prompt_ids(tokenizer, row["prompt"]) for row in rows],
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        max_new_tokens=24,
        temperature=1.0,
        seeds=[stream(0, "targets", row["prompt"], row["sample"]) % 2**31 for row in rows],
    )
    assert [row["response"] for row in rows] == [models.response_text(tokenizer, found) for found in ids]
    assert [row["completion_tokens"] for row in rows] == [len(found) for found in ids]
    ended = [found[-1] == tokenizer.eos_token_id for found in ids]
    assert [row["finish_reason"] == "stop" for row in rows] == ended
    ledger = manifest["ledger"]
    assert ledger["tokens_generated"] == sum(map(len, ids)) and manifest["counts"]["cut"] == ended.count(False)
    assert ledger["teacher_parameters"] == model.num_parameters()
    rough = 2 * model.num_parameters() * (ledger["tokens_prompted"] + ledger["tokens_generated"])
    assert 0.3 * rough < ledger["flops_generate"] < 2 * rough


def test_keys_that_contradict_each_other(configure):
    for given in (
        {"model": ""},
        {"q": "base", "model": "other"},
        {"q": "base", "model": "", "thinking": True},
        {"temperature": 0.0},
        {"backend": "transformers", "top_p": 0.9},
    ):
        with pytest.raises(UserError) as caught:
            targets.check(configure(**given))
        assert "targets." in caught.value.change
    targets.check(configure(q="base", model=""))


def test_whatever_changes_a_response_changes_the_folder(configure):
    plain = targets.name(configure(), "")
    same = ({"samples": 9}, {"concurrency": 9}, {"url": "http://elsewhere/v1"}, {"retries": 9}, {"parameters": 9.0})
    other = ({"temperature": 0.1}, {"seed": 9}, {"max_new_tokens": 9}, {"model": "a/b"}, {"backend": "transformers"})
    assert {targets.name(configure(**given), "") for given in same} == {plain}
    names = {targets.name(configure(**given), "") for given in other}
    assert len(names | {plain, targets.name(configure(thinking=True), ""), targets.name(configure(), "x")}) == 8
    assert all("/" not in name for name in names)


def test_parts_roll_over_and_are_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(responses, "PART_BYTES", 100)
    parts = responses.Parts(tmp_path)
    parts.append([])
    for i in range(9):
        parts.append([{"i": i, "text": "é" * i}, {"i": -i}])
    assert len(list(tmp_path.iterdir())) > 3
    found = list(responses.rows(tmp_path))
    assert [row["i"] for _, row in found] == [n for i in range(9) for n in (i, -i)]
    assert responses.at(tmp_path, [place for place, _ in found[::-1]]) == [row for _, row in found[::-1]]
    assert responses.Parts(tmp_path).number == parts.number + (parts.file is not None)
