"""The report's first table: what it says of each arm, against the files; with many arms the page stays whole."""

import csv
import re
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from conf import freeze, sweeps
from conf.files import read_json, read_jsonl, write_json
from evaluation.report.figures import write_figures
from evaluation.report.overview import rate_of
from evaluation.report.read import read_experiment
from tests.evaluation.folders import RECIPES, configuration, skill, write_evaluation, write_page, write_rows, write_run

ARMS = ["sft", "iterative_rft", "offpolicy_rl", "grpo", "grpo_kl", "grpo_random_reward", "sft_format_only"]
GROUPED = {"data": {"targets_per_prompt": 4, "teacher_mistakes": 0.25}}
LOCK = {"base": {"weights": "a" * 64}, "data": {"rows": "b" * 64, "order": "c" * 64}}


class FirstTable(HTMLParser):
    """The text of its body's cells, row by row."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.inside = [], False
        text = text[text.index('<h2 id="compared"') :]
        self.feed(text[: text.index("</table>")])

    def handle_starttag(self, tag, attrs):
        self.inside = self.inside or tag == "tbody"
        if self.inside and tag == "tr":
            self.rows.append([])
        if self.inside and tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += f" {data.strip()}" if data.strip() else ""


def confound(**values):
    labels = {f"{arm}/seed-{seed}": values.get(arm, 1) for arm in ARMS for seed in (0, 1)}
    return {
        "key": "train.x",
        "class": "confound",
        "reason": "r",
        "follows_from": "",
        "allowed": False,
        "values": labels,
    }


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "many"
    root.mkdir()
    write_evaluation(root / "base/evaluation", 0, skill(0.5, 0.6, 0.7), 0)
    for number, arm in enumerate(reversed(ARMS)):
        for seed in (0, 1):
            write_run(
                root, arm, seed, {12: skill(0.4 + 0.08 * number, 0.6, 0.7)}, train={"steps": 12}, arms=ARMS, **GROUPED
            )
    for path in root.glob("arms/sft/*/metrics.jsonl"):
        write_rows(path, [{"step": 1, "loss": 1.0}])
    write_json(root / "lock.json", LOCK)
    counts = {"treatment": 1, "derived": 0, "harmless": 0, "confound": 1}
    audit = {"compared": 9, "runs": ["x"] * 14, "counts": counts, "verdict": "confounded"}
    write_json(root / "audit.json", audit | {"differences": [confound(grpo_kl=2)]})
    sweep = {"chosen": {arm: RECIPES[arm]["learning_rate"] for arm in ARMS}, "base": skill(50, 60, 70)}
    sweep["chosen"]["grpo"] = 1e-4
    del sweep["chosen"]["sft_format_only"]
    sweep["arms"] = {arm: {f"{rate:g}": skill(60, 60, 60)} for arm, rate in sweep["chosen"].items()}
    made = {
        arm: configuration(arm, 100, train={"steps": 12, "save_steps": 12}, arms=ARMS, **GROUPED)
        for arm in sweep["chosen"]
    }
    (root.parent / "many-sweep").mkdir()
    settings = {"seeds": [100], "settings": sweeps.settings(made, LOCK)}
    write_json(root.parent / "many-sweep/sweep.json", sweep | settings)
    return root, write_page(root)


def test_first_table_has_a_row_an_arm_in_the_experiments_order(many):
    _, page = many
    rows = FirstTable(page).rows
    names = ["".join(row[0].split()) for row in rows]
    assert names == ["base", *ARMS]
    cells = {
        name: [re.sub(r"_ ", "_", " ".join(cell.split())) for cell in row]
        for name, row in zip(names, rows, strict=True)
    }
    assert cells["grpo_kl"][1:5] == ["policy", "group_advantage", "clipped", "0.04"]
    assert cells["iterative_rft"][1:3] == ["snapshot taken every step", "right"]
    assert cells["offpolicy_rl"][1] == "teacher right and wrong"
    assert cells["grpo_random_reward"][2] == "group_advantage of random"
    assert cells["sft_format_only"][1] == "teacher to another prompt"
    assert {name: row[-1] for name, row in cells.items() if row[-1] != "controlled"} == {
        "base": "",
        "grpo_kl": "1 confound",
    }
    assert [cells[arm][5].split(" ", 1)[1] for arm in ("sft", "grpo", "sft_format_only")] == [
        "the sweep's",
        "not the sweep's",
        "not from a sweep",
    ]


def test_lengths_costs_and_drift_are_those_of_the_files(many):
    root, _ = many
    found = read_json(root / "report/results.json")["overview"]
    for arm in ("sft", "grpo"):
        lengths, tokens, drift = [], [], []
        for seed in (0, 1):
            run = root / f"arms/{arm}/seed-{seed}"
            rows = pq.read_table(run / "evaluation/step-000012/items.parquet").to_pylist()
            own = [row["completion_tokens"] for row in rows if row["sample"] == 0 and row["group"] == "math"]
            lengths.append(sum(own) / len(own))
            tokens.append(read_jsonl(run / "ledger.jsonl")[-1]["tokens_trained"])
            logged = [row["kl_base/exact"] for row in read_jsonl(run / "metrics.jsonl") if "kl_base/exact" in row]
            drift += logged[-10:]
        row = found["arms"][arm]
        assert row["length"] == pytest.approx(sum(lengths) / 2) and row["tokens_trained"] == sum(tokens) / 2
        assert row["kl_base"] is None if arm == "sft" else row["kl_base"] == pytest.approx(sum(drift) / 20)
    table = list(csv.DictReader((root / "report/tables/arms.csv").open()))
    assert [row["arm"] for row in table] == ARMS and table[4]["confounds"] == "train.x"


def test_page_of_many_arms_is_whole(many):
    root, page = many
    text = page
    assert f"<title>many: {len(ARMS)} arms" in text
    assert "sft_format_only: no learning rate was chosen by the sweep" in text
    digest = freeze.digest(root.parent / "many-sweep/sweep.json")
    assert digest[:12] in text and read_json(root / "report/results.json")["overview"]["sweep"]["digest"] == digest
    pairs = [(one["from"], one["to"]) for one in read_json(root / "report/results.json")["between"]]
    assert pairs == [("sft", arm) for arm in ARMS[1:]]


@pytest.mark.slow
def test_many_arms_have_their_figures(many):
    root, _ = many
    folder = root / "report/figures"
    folder.mkdir()
    found = write_figures(read_json(root / "report/results.json"), folder)
    assert {"gains", "steps", "strategies", "front", "pass_at_k"} <= set(found)
    assert all((folder / f"{name}.png").stat().st_size > 1000 for name in found)


def verdict(root, sweep, arm="grpo_kl", lock=None):
    write_json(root.parent / "many-sweep/sweep.json", sweep)
    write_json(root / "lock.json", lock or LOCK)
    found = read_experiment(root)
    return rate_of(found, arm, found.arms[arm])


def test_a_rate_is_the_sweeps_only_where_it_was_chosen_under_the_same_settings(many):
    root, _ = many
    sweep = read_json(root.parent / "many-sweep/sweep.json")
    assert verdict(root, sweep)["verdict"] == "chosen"
    shared, arms = sweep["settings"]["shared"], sweep["settings"]["arms"]
    other = sweep | {"settings": sweep["settings"] | {"shared": shared | {"train.steps": 40}}}
    found = verdict(root, other)
    assert (found["verdict"], found["departures"]) == ("departed", ["train.steps (40 there, 12 here)"])
    own = sweep | {"settings": sweep["settings"] | {"arms": arms | {"grpo_kl": arms["grpo_kl"] | {"recipe.beta": 0.1}}}}
    assert verdict(root, own)["departures"] == ["recipe.beta (0.1 there, 0.04 here)"]
    assert verdict(root, own, "grpo")["verdict"] == "other"
    assert verdict(root, sweep, lock=LOCK | {"base": {"weights": "d" * 64}})["departures"][0].startswith("lock.base")
    unstated = {key: value for key, value in sweep.items() if key != "settings"}
    assert verdict(root, unstated)["verdict"] == "unknown"
    assert verdict(root, sweep)["verdict"] == "chosen"
