"""The report is made from files alone, repeats their numbers, and lets nothing that a model wrote act on the page."""

import base64
import csv
import hashlib
import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from conf.errors import UserError
from conf.files import read_json, read_jsonl, write_json
from evaluation.report import figures, fronts, write_report
from tests.evaluation.folders import (
    BENCHMARKS,
    skill,
    write_evaluation,
    write_experiment,
    write_page,
    write_run,
    write_sweep,
)

HOSTILE = '\u2028</script><script>alert(1)</script></td></pre><img src=x onerror="alert(2)">\u202e{{ 7 * 7 }}{% raw %}'


class Page(HTMLParser):
    """Tags, addresses and visible text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = write_experiment(tmp_path_factory.mktemp("runs") / "tiny", seeds=(0, 1), say=HOSTILE)
    write_sweep(root)
    return root, write_report(root)


def test_code_machine_and_rows_are_told(written):
    root, index = written
    told = read_json(root / "report" / "results.json")["packages"]
    assert told["trl"] == "1.16.0" and told["commit"] == "0" * 40
    assert "the arms do not train on the same rows" in index.read_text()


def test_what_is_to_be_known_of_the_base_stands_on_page_one(tmp_path):
    root = write_experiment(tmp_path / "tiny")
    for file in root.rglob("config.yaml"):
        text = file.read_text()
        assert "  note: ''\n" in text
        file.write_text(text.replace("  note: ''\n", "  note: <b>dequantised</b> from 4 bits\n"))
    page = write_report(root).read_text()
    assert page.count("The base: &lt;b&gt;dequantised&lt;/b&gt; from 4 bits.") == 1


def test_everything_documented_is_there(written):
    root, index = written
    assert index == root / "report" / "index.html"
    for name in ("gains", "steps", "training", "pass_at_k", "strategies", "front"):
        assert (root / "report/figures" / f"{name}.png").stat().st_size > 1000
        assert (root / "report/figures" / f"{name}.svg").is_file()
    for name in (
        "scores",
        "gains",
        "transfer",
        "budgets",
        "pass_at_k",
        "steps",
        "training",
        "strategies",
        "counts",
        "front",
        "front_at",
        "front_between",
        "changed",
    ):
        assert list(csv.DictReader((root / "report/tables" / f"{name}.csv").open()))


def test_page_stands_alone_and_what_models_wrote_is_escaped(written):
    text = written[1].read_text()
    page = Page(text)
    assert page.tags.count("script") == text.count("<script") == 2 and 'onerror="' not in text
    items = text.split('id="explorer-data">')[1].split("</script>")[0]
    assert not set("<>&\u2028\u2029") & set(items) and HOSTILE in json.loads(items)["items"][0]["responses"]
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text and "innerHTML" not in script
    assert all(a.startswith(("data:image/svg+xml;base64,", "#", "results.json", "tables/")) for a in page.addresses)
    assert HOSTILE in "".join(page.text)
    assert "@import" not in text and "url(" not in text.split("</style>")[0]


def test_results_repeat_the_files(written):
    root, _ = written
    results = read_json(root / "report/results.json")
    base = read_json(root / "base/evaluation/scores.json")
    finals = {
        arm: [read_json(root / f"arms/{arm}/seed-{s}/evaluation/step-000040/scores.json") for s in (0, 1)]
        for arm in ("sft", "grpo")
    }
    for name in BENCHMARKS:
        assert results["scores"]["base"]["benchmarks"][name]["greedy"] == base["benchmarks"][name]["greedy"]
        for arm, seeds in finals.items():
            mean = sum(one["benchmarks"][name]["greedy"]["score"] for one in seeds) / 2
            assert results["scores"][arm]["benchmarks"][name]["greedy"]["score"] == pytest.approx(mean)
            gain = results["gains"][arm]["benchmarks"][name]["greedy"]
            assert gain["difference"] == pytest.approx(mean - base["benchmarks"][name]["greedy"]["score"])
            assert gain["low"] <= gain["difference"] <= gain["high"]
    for group, own in base["groups"].items():
        assert results["scores"]["base"]["groups"][group]["greedy"]["score"] == pytest.approx(own["greedy"]["score"])
        assert results["scores"]["base"]["groups"][group]["greedy"]["low"] == pytest.approx(own["greedy"]["low"])
        assert results["pass_at_k"]["base"][group] == pytest.approx(own["pass_at_k"])
    assert results["budgets"][0]["prompts_shown"] == 960


def test_training_curves_are_the_mean_and_the_spread_of_what_each_seed_logged(written):
    root, index = written
    found = read_json(root / "report/results.json")["training"]
    assert set(found["rewards/accuracy/mean"]) == {"grpo"} and set(found["entropy"]) == {"sft", "grpo"}
    assert 3 not in found["kl_base/exact"]["sft"]["steps"] and 4 in found["kl_base/exact"]["sft"]["steps"]
    table = list(csv.DictReader((root / "report/tables/training.csv").open()))
    for metric, arms in found.items():
        for arm, curve in arms.items():
            logs = [read_jsonl(root / f"arms/{arm}/seed-{seed}/metrics.jsonl") for seed in (0, 1)]
            expected = [
                values
                for values in zip(*([row.get(metric) for row in log] for log in logs), strict=True)
                if None not in values
            ]
            assert curve["mean"] == pytest.approx([sum(values) / 2 for values in expected])
            assert curve["low"] == list(map(min, expected)) and curve["high"] == list(map(max, expected))
            own = [float(row["mean"]) for row in table if (row["metric"], row["arm"]) == (metric, arm)]
            assert own == pytest.approx(curve["mean"])
    assert "the band spans them" in index.read_text() and "The divergence was not measured" not in index.read_text()


def test_ability_form_and_extractor_stand_apart(written):
    root, index = written
    found = read_json(root / "report/results.json")["forms"]
    base = read_json(root / "base/evaluation/scores.json")["benchmarks"]
    finals = [read_json(root / f"arms/sft/seed-{s}/evaluation/step-000040/scores.json") for s in (0, 1)]
    for name, own in found["base"].items():
        aware, strict = (base[name]["modes"][mode]["greedy"]["score"] for mode in ("aware", "strict"))
        assert own["aware"] == aware > strict and own["format_loss"] == pytest.approx(aware - strict)
        assert (own["paper"] is not None) == (BENCHMARKS[name] == "non_reasoning")
        losses = [one["benchmarks"][name]["format_loss"]["greedy"]["difference"] for one in finals]
        assert found["sft"][name]["format_loss"] == pytest.approx(sum(losses) / 2)
    table = list(csv.DictReader((root / "report/tables/forms.csv").open()))
    assert len(table) == 3 * len(BENCHMARKS) and "Ability and form" in index.read_text()


def test_what_could_not_be_had_and_the_base_with_few_shots_are_shown(tmp_path):
    root = write_experiment(tmp_path / "runs" / "few")
    write_evaluation(root / "base/evaluation/few_shots", 0, skill(0.9, 0.9, 0.9), 0)
    for path in root.rglob("scores.json"):
        scores = read_json(path)
        scores["settings"] = {"shots": 3} if path.parent.name == "few_shots" else {}
        scores["missing"] = {"gpqa": {"group": "other_reasoning", "reason": "no local copy"}}
        scores["benchmarks"]["add"]["likelihood"] = {"acc": {"score": 62.5}, "acc_norm": {"score": 50.0}, "items": 8}
        write_json(path, scores)
    text = "".join(Page(write_page(root)).text)
    assert "Why: no local copy." in text and "mean of 3 of 4 benchmarks" in text
    assert "with 3 worked examples" in text and "base, few shots" in text and "likelihood 62.5" in text
    table = list(csv.DictReader((root / "report/tables/forms.csv").open()))
    assert {row["acc"] for row in table if row["benchmark"] == "add"} == {"62.5"}
    assert {row["model"] for row in table} == {"base", "base, few shots", "sft", "grpo"}


def test_without_metrics_there_are_no_training_curves(tmp_path):
    root = write_experiment(tmp_path / "runs" / "bare")
    for path in root.glob("arms/*/seed-*/metrics.jsonl"):
        path.unlink()
    page = write_page(root)
    assert figures.training(read_json(root / "report/results.json")) is None and "Step by step" not in page


def test_page_states_the_setting(written):
    text = "".join(Page(written[1].read_text()).text)
    assert "no evidence about large models" in text and "Untuned" not in text
    assert "recipe.q" in text and "declared treatment" in text and "without being declared" not in text
    assert "seed SD" in text


def test_a_sweep_of_means_is_read_without_intervals():
    base = skill(50.0, 60.0, 70.0)
    means = {"base": base, "chosen": {"sft": 5e-5}, "arms": {"sft": {"5e-05": skill(70.0, 50.0, 64.0)}}}
    found = fronts.read(means)
    point = fronts._points(found, means["chosen"], 2.0)[0]
    assert (point["math"], point["rest"], point["learning_rate"], point["chosen"]) == (20.0, -8.0, 5e-5, True)
    kept = {row["gain"]: row for row in fronts._at(found, "sft", [("sft", 0)], [10, 20, 21]) if row["of"] == "rest"}
    assert kept[10]["difference"] == pytest.approx(-4.0) and kept[20]["difference"] == pytest.approx(-8.0)
    assert kept[10]["low"] is None and 21 not in kept


def test_arms_are_compared_at_equal_gain_on_the_split_that_chose_nothing(written):
    root, index = written
    front = read_json(root / "report" / "results.json")["front"]
    assert (front["chosen_on"], front["read_on"], front["steps"]) == ("validation", "test", [20, 40])
    assert front["verdicts"][0]["gain"] > 0 and "grpo keeps" in front["verdicts"][0]["sentence"]
    text = "".join(Page(index.read_text()).text)
    assert front["verdicts"][0]["sentence"] in text and "Kept at equal math gain" in text
    rows = list(csv.DictReader((root / "report/tables/front.csv").open()))
    assert len(rows) == 12 and rows[0]["spent_prompts"] == "320"


@pytest.mark.slow
def test_report_is_the_same_again(written):
    root, index = written
    before = {path: path.read_bytes() for path in (root / "report").rglob("*") if path.is_file()}
    write_report(root)
    assert {path: path.read_bytes() for path in (root / "report").rglob("*") if path.is_file()} == before
    assert index.is_file()


def test_confound_missing_benchmark_and_no_sweep_are_said(tmp_path):
    root = tmp_path / "runs" / "odd"
    root.mkdir(parents=True)
    write_evaluation(root / "base/evaluation", 0, skill(0.5, 0.5, 0.5), 0)
    fewer = {name: group for name, group in BENCHMARKS.items() if name != "polite"}
    write_run(root, "sft", 0, {40: skill(0.6, 0.5, 0.5)}, benchmarks=fewer)
    write_run(root, "grpo", 0, {20: skill(0.4, 0.5, 0.5)}, train={"weight_decay": 0.1})
    results_page = "".join(Page(write_page(root)).text)
    assert "Untuned" in results_page and "polite" in results_page
    assert "train.weight_decay" in results_page and "without being declared" in results_page
    assert "step 20 of 40" in results_page and "not above zero" in results_page
    results = read_json(root / "report/results.json")
    about = {"group": "non_reasoning", "reason": ""}
    assert results["missing"] == [{"benchmark": "polite", "missing_in": ["sft, seed 0"], **about}]
    assert "mean of 2 of 3 benchmarks" in results_page and "mean of its benchmarks" in results_page
    assert results["front"] is None and "polite" not in results["scores"]["base"]["benchmarks"]


@pytest.mark.slow
def test_a_cut_evaluation_is_left_out(tmp_path):
    root = write_experiment(tmp_path / "runs" / "cut")
    (root / "arms/sft/seed-0/evaluation/step-000040/scores.json").unlink()
    write_page(root)
    assert read_json(root / "report/results.json")["arms"]["sft"]["step"] == 20


def test_nothing_to_report_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="base/evaluation"):
        write_report(tmp_path)
    write_evaluation(tmp_path / "base/evaluation", 0, skill(0.5, 0.5, 0.5), 0)
    with pytest.raises(UserError, match="arms"):
        write_report(tmp_path)


def test_report_and_statistics_import_no_torch():
    program = "import sys, evaluation.report, evaluation.transfer as t, evaluation.statistics\n"
    program += "assert not {'torch', 'train', 'launch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
