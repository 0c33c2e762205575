"""Token shift and forgetting against distance on the report, from written results of both measures."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.files import write_json
from evaluation import tokens
from evaluation.report import write_results
from evaluation.report.draw_distance import distance
from evaluation.report.draw_tokens import tokens_steps, words
from evaluation.report.page import render
from evaluation.report.tables import write_tables
from tests.evaluation.folders import BENCHMARKS, write_experiment

HOSTILE = "<script>alert(1)</script>"
ITEMS = 6


def bounded(mean):
    return {"mean": mean, "low": 0.9 * mean, "high": 1.1 * mean}


def write_distance(folder, forward, reverse=0.5):
    cells = {
        name: {"per_token": bounded(kl), "per_response": bounded(9 * kl), "responses": 4, "tokens": 36, "cut": 0}
        for name, kl in (("forward", forward), ("reverse", reverse))
    }
    about = {"prompts": 4, "samples": 1, "max_new_tokens": 12, "dtypes": ["torch.float32"] * 2}
    (folder / "drift/distance").mkdir(parents=True)
    write_json(folder / "drift/distance/result.json", {"step": 1, "values": {**about, **cells}, "seconds": 1.0})


def write_tokens(folder, kl, word="so"):
    rows = []
    for text in (tokens.OWN, tokens.BASE):
        for benchmark, group in BENCHMARKS.items():
            for number in range(ITEMS):
                numbers = dict.fromkeys(tokens.MEANS, 0.0) | {"kl_tuned_base": kl * (1 + number % 2), "log_ratio": -kl}
                about = {"text": text, "benchmark": benchmark, "group": group, "item": f"{benchmark}-{number}"}
                rows.append(about | {"tokens": 3, "written": 3} | numbers)
    use = {"uses": 9, "shifted": 4, "rank_shift": 2.5, "tokens": [word]}
    listed = [{"word": word, "kind": "content", **use}, {"word": "so", "kind": "structural", **use}]
    values = {"items": ITEMS, "shifted_rank": 1, "dtypes": ["torch.float32", "torch.bfloat16"]}
    values |= {"texts": {text: tokens.cells([one for one in rows if one["text"] == text]) for text in ("own", "base")}}
    position = {"from": 1, "to": 1, "tokens": 5, "kl_tuned_base": kl, "rank_shift": 1.0}
    values |= {"positions": {"math": [position]}, "top_words": listed, "top_tokens": listed}
    values |= {"kinds": {"structural": 4, "content": 4, "form": 0}}
    (folder / "drift/tokens").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "drift/tokens" / tokens.FILE)
    write_json(folder / "drift/tokens/result.json", {"step": 1, "values": values, "seconds": 1.0})


KL = {"sft": 1.0, "grpo": 0.02}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = write_experiment(tmp_path_factory.mktemp("drift") / "tiny", seeds=(0, 1, 2))
    for arm, kl in KL.items():
        for seed in range(3):
            for step in (20, 40):
                place = root / f"arms/{arm}/seed-{seed}/evaluation/step-{step:06d}"
                write_distance(place, kl * step / 40 * (1 + seed / 10))
                write_tokens(place, kl * step / 40 * (1 + seed / 10), HOSTILE)
    return root


@pytest.fixture(scope="module")
def results(folder):
    return json.loads(json.dumps(write_results(folder), allow_nan=False))


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    for name, draw in {"distance": distance, "tokens_steps": tokens_steps, "words": words}.items():
        figure = draw(results)
        for ending in ("svg", "png"):
            figure.savefig(folder / f"{name}.{ending}")
    return render(results, {path.stem: path for path in folder.glob("*.svg")}), folder


def test_a_point_a_checkpoint_arm_and_seed(results):
    points = results["distance"]["points"]
    assert len(points) == 2 * 3 * 2
    for point in points:
        run = next(run for run in results["steps"][point["arm"]] if run["seed"] == point["seed"])
        place = run["steps"].index(point["step"])
        lost = [run["greedy"][group][0] - run["greedy"][group][place] for group in ("other_reasoning", "non_reasoning")]
        assert point["lost"] == pytest.approx(np.mean(lost))
        assert point["math_gain"] == pytest.approx(run["greedy"]["math"][place] - run["greedy"]["math"][0])
        assert point["forward"] == pytest.approx(KL[point["arm"]] * point["step"] / 40 * (1 + point["seed"] / 10))
        assert point["spent_prompts"] == 24 * point["step"]


def test_the_relation_is_over_runs_and_without_the_arm_that_went_farthest(results):
    own = results["distance"]["relations"]["forward"]
    assert own["all"]["points"] == 12 and own["all"]["runs"] == 6
    assert own["all"]["pearson"]["low"] is not None and own["without"]["arm"] == "sft"
    assert own["without"]["points"] == own["arms"]["grpo"]["points"] == 6
    assert own["arms"]["grpo"]["pearson"]["low"] is None  # three runs


def test_means_over_seeds_with_an_interval_over_seeds_and_items(results):
    cell = results["tokens"]["arms"]["sft"]["own"]["groups"]["math"]
    assert cell["kl_tuned_base"]["responses"] == pytest.approx(1.5 * 1.1)
    assert cell["kl_tuned_base"]["low"] < 1.5 * 1.1 - 0.1 and cell["seeds"] == 3  # the seeds' spread is in it
    assert cell["published"] == pytest.approx(1.1) and cell["responses"] == 3 * 3 * ITEMS
    curve = results["tokens"]["steps"]["grpo"][0]
    assert curve["steps"] == [0, 20, 40] and curve["own"]["kl_tuned_base"]["math"][0] == 0
    assert curve["own"]["kl_tuned_base"]["math"][2] == pytest.approx(0.03)
    (word, *_) = [row for row in results["tokens"]["words"]["sft"] if row["word"] == "so"]
    assert (word["shifted"], word["uses"], word["rank_shift"]) == (12, 27, 2.5)


def test_the_page_shows_both_and_escapes_what_a_model_wrote(page):
    text, figures = page
    assert 'id="distance"' in text and 'id="tokens"' in text and HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "torch.float32 and torch.bfloat16: part of the KL is rounding" in text
    for name in ("distance", "tokens_steps", "words"):
        assert "script" not in (figures / f"{name}.svg").read_text() and (figures / f"{name}.png").stat().st_size > 5000


def test_tables(results, tmp_path):
    write_tables(results, tmp_path)
    rows = list(csv.DictReader((tmp_path / "tokens_steps.csv").open()))
    assert {"own_kl_tuned_base", "base_rank_shift", "greedy", "spent_prompts"} <= set(rows[0]) and len(rows) == 54
    assert len(list(csv.DictReader((tmp_path / "distance.csv").open()))) == 12
    numbers = list(csv.DictReader((tmp_path / "distance_relations.csv").open()))
    assert {"all", "all but sft", "within arms", "sft", "grpo"} == {row["over"] for row in numbers}


def test_without_measures_there_is_no_section_and_with_damaged_ones_it_is_said(folder, tmp_path):
    bare = write_experiment(tmp_path / "bare")
    without = write_results(bare)
    assert without["distance"] == {} and without["tokens"] == {}
    text = render(without, {})
    assert 'id="tokens"' not in text and 'href="#distance"' not in text
    place = bare / "arms/sft/seed-0/evaluation"
    write_distance(place / "step-000040", 0.3)
    write_tokens(place / "step-000040", 0.3)
    for name, values in (("distance", {"forward": {"per_token": 3}}), ("tokens", {"texts": {"own": {}}})):
        (place / "step-000020/drift" / name).mkdir(parents=True)
        write_json(place / "step-000020/drift" / name / "result.json", {"values": values, "seconds": 0})
    (place / "step-000040/drift/tokens" / tokens.FILE).unlink()
    found = write_results(bare)
    assert [point["step"] for point in found["distance"]["points"]] == [40]
    assert (
        "sft, seed 0, step 20" in found["distance"]["lacking"]
        and "grpo, seed 0, step 40" in found["distance"]["lacking"]
    )
    assert "too few" in found["distance"]["relations"]["forward"]["all"]["reason"]
    assert found["tokens"]["lacking"] == ["grpo"]
    assert found["tokens"]["arms"]["sft"]["own"]["groups"]["math"]["kl_tuned_base"]["low"] is None
    assert sum("is of another form" in one for one in found["problems"]) == 2
    page = render(found, {})
    assert "Not measured at the compared checkpoint of grpo" in page and "No relation is stated" in page


@pytest.mark.parametrize("word", ["$x_1$", "\x00\x1b", "字" * 40, "</text>", "a" * 200, "%s\\frac{", "🙂"])
def test_any_text_can_be_drawn(word, tmp_path):
    row = {"word": word, "kind": "content", "shifted": 3, "uses": 3, "rank_shift": 1.0, "tokens": [word]}
    figure = words({"tokens": {"words": {"$a_b$": [row]}}})
    figure.savefig(tmp_path / "words.svg")
    assert (tmp_path / "words.svg").stat().st_size > 1000


def test_nothing_shifted_nothing_drawn():
    assert words({"tokens": {"words": {"sft": []}}}) is None and words({"tokens": {}}) is None
