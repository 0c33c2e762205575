"""Whatever state a folder is in, the report is made: it says what is missing, and the rest of it is right."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import UserError
from conf.files import read_json, write_json
from evaluation.report.read import read_experiment
from evaluation.report.summary import shared_benchmarks
from evaluation.summing import all_scores
from tests.evaluation.folders import skill, write_evaluation, write_page, write_run

FEW = {"add": "math", "sort": "other_reasoning", "fact": "non_reasoning"}
LAST = "arms/sft/seed-0/evaluation/step-000040"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "small"
    root.mkdir()
    write_evaluation(root / "base/evaluation", 0, skill(0.5, 0.5, 0.5), 0, benchmarks=FEW, items=8, samples=2)
    for arm in ("sft", "grpo"):
        for seed in (0, 1) if arm == "sft" else (1,):
            place = root / "arms" / arm / f"seed-{seed}"
            write_run(root, arm, seed, {1: skill(0.6, 0.5, 0.4)}, benchmarks=FEW)
            shutil.rmtree(place / "evaluation")
            for step in (20, 40):
                write_evaluation(
                    place / f"evaluation/step-{step:06d}", step, skill(0.6, 0.5, 0.4), seed, None, FEW, 8, 2
                )
    return root


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "small")


def rewrite(folder, change, and_scores=False):
    """The rows of an items.parquet changed; `and_scores`: as if the evaluation had found it so."""
    rows = change(pq.read_table(folder / "items.parquet").to_pylist())
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")
    if and_scores:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        write_json(folder / "scores.json", read_json(folder / "scores.json") | all_scores(columns))


def test_a_whole_folder_has_nothing_to_tell(root):
    assert read_experiment(root).told == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: pq.write_table(pq.read_table(path).slice(0, 0), path),
        lambda path: pq.write_table(pa.table({"other": [1]}), path),
    ],
)
def test_responses_that_cannot_be_read_are_left_out_and_the_other_seed_stays(root, damage):
    damage(root / LAST / "items.parquet")
    found = read_experiment(root)
    assert [(run.arm, run.seed) for run in found.runs] == [("sft", 1), ("grpo", 1)]
    assert f"{LAST}: items.parquet" in found.told[0] and "sft, seed 0" in found.told[1]
    assert "nothing is claimed of this seed" in found.told[1]


def test_an_arm_without_the_compared_step_is_compared_at_its_last_and_named(root):
    for seed in (0, 1):
        (root / f"arms/sft/seed-{seed}/evaluation/step-000040/items.parquet").write_bytes(b"PAR1")
    found = read_experiment(root)
    assert [run.last.step for run in found.arms["sft"]] == [20, 20] and found.arms["grpo"][0].last.step == 40
    assert sum("this evaluation is left out" in one for one in found.told) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda scores: scores["benchmarks"]["add"]["greedy"].update(score=float("nan")),
        lambda scores: scores["groups"]["math"]["sampled"].update(high=float("inf")),
        lambda scores: scores["benchmarks"]["add"]["greedy"].update(score=99.0),
        lambda scores: scores.pop("benchmarks"),
        lambda scores: scores.update(benchmarks={"add": 7.0}),
        lambda scores: scores.update(step="forty"),
    ],
)
@pytest.mark.parametrize("where", ["base/evaluation", LAST])
def test_scores_that_cannot_be_used_are_made_again_of_the_responses(root, change, where):
    path = root / where / "scores.json"
    right = read_json(path)
    wrong = json.loads(path.read_text())
    change(wrong)
    path.write_text(json.dumps(wrong))
    found = read_experiment(root)
    one = found.base if where.startswith("base") else found.runs[0].last
    assert one.scores["benchmarks"] == right["benchmarks"] and one.step == right["step"]
    assert len(found.told) == 1 and "made again" in found.told[0] and where in found.told[0]


def test_scores_cut_short_are_made_again_too(root):
    path = root / LAST / "scores.json"
    right = read_json(path)
    path.write_bytes(path.read_bytes()[:300])
    found = read_experiment(root)
    assert found.runs[0].last.scores["groups"] == right["groups"] and "cannot be read" in found.told[0]


def test_a_response_that_stands_twice_counts_once(root):
    right = read_json(root / LAST / "scores.json")
    flip = {"right": "wrong", "wrong": "right"}
    rewrite(root / LAST, lambda rows: rows + [row | {"outcome": flip[row["outcome"]]} for row in rows[:5]], True)
    found = read_experiment(root)
    assert "5 responses stand twice" in found.told[0]
    one = found.runs[0].last
    assert one.scores["benchmarks"] == right["benchmarks"] and one.items["add"].total.tolist() == [2.0] * 8


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [row for row in rows if row["item"] not in ("add-1", "add-5")],
        lambda rows: [row | ({"prompt": "another"} if row["item"] in ("add-1", "add-5") else {}) for row in rows],
        lambda rows: [row | ({"reference": "0"} if row["item"] in ("add-1", "add-5") else {}) for row in rows],
    ],
)
def test_other_items_leave_every_model_with_those_that_all_share(root, change):
    rewrite(root / LAST, change, and_scores=True)
    found = read_experiment(root)
    assert "add: the models were not asked the same items; of 8 they share 6" in found.told[0]
    for one in (found.base, *(each for run in found.runs for each in run.evaluations)):
        rows = pq.read_table(one.folder / "items.parquet").to_pylist()
        kept = [row for row in rows if row["item"] not in ("add-1", "add-5")]
        assert one.scores["benchmarks"] == all_scores({n: [row[n] for row in kept] for n in rows[0]})["benchmarks"]
        assert set(one.items["add"].ids) == {row["item"] for row in kept if row["benchmark"] == "add"}
        assert not {("add", "add-1"), ("add", "add-5")} & set(one.greedy_responses())


def test_a_benchmark_without_a_shared_item_is_missing_and_the_others_stay(root):
    other = lambda rows: [row | ({"item": f"new-{row['item']}"} if row["benchmark"] == "add" else {}) for row in rows]  # noqa: E731
    rewrite(root / LAST, other, and_scores=True)
    found = read_experiment(root)
    benchmarks, missing = shared_benchmarks(found)
    assert set(benchmarks) == {"sort", "fact"} and missing[0]["reason"] == "the models were asked other items"
    assert "nothing can be claimed of it" in found.told[0]


def test_a_run_that_shares_no_benchmark_is_left_out(root):
    rewrite(root / LAST, lambda rows: [row | {"benchmark": f"my {row['benchmark']}"} for row in rows], True)
    found = read_experiment(root)
    assert [(run.arm, run.seed) for run in found.runs] == [("sft", 1), ("grpo", 1)]
    assert "sft, seed 0 has no benchmark that base and other runs have" in found.told[0]


def test_a_checkpoint_on_the_way_with_fewer_items_leaves_a_gap_in_its_curve(root):
    place = root / "arms/sft/seed-0/evaluation/step-000020"
    rewrite(place, lambda rows: [row for row in rows if row["item"] != "add-1"], and_scores=True)
    found = read_experiment(root)
    assert "step-000020: asked another number of items of add" in found.told[0]
    assert set(found.runs[0].evaluations[0].scores["benchmarks"]) == {"sort", "fact"}


def test_other_settings_than_the_base_are_named(root):
    for where, tokens in (("base/evaluation", 64), (LAST, 128)):
        path = root / where / "scores.json"
        write_json(path, read_json(path) | {"settings": {"suite": {"max_new_tokens": tokens, "seed": 1}}})
    told = read_experiment(root).told
    assert told == [
        "sft, seed 0 was scored under other settings than the base: suite.max_new_tokens (64 there, 128 here). "
        "What it gained or lost may come from that"
    ]


def test_a_folder_that_is_being_written_is_read_as_far_as_it_is_whole(root):
    run = root / "arms/sft/seed-0"
    (run / "evaluation/step-000060/parts-0123").mkdir(parents=True)
    (run / "evaluation/step-000060/progress-0-of-1.json").write_text("{")
    (run / "evaluation/step-000040/.items.parquet.77").write_bytes(b"PAR1")
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "entr')
    (root / "arms/grpo/seed-2").mkdir()
    found = read_experiment(root)
    assert found.told == [] and found.unread == ["grpo, seed-2: no finished evaluation or no config.yaml"]
    assert [run.last.step for run in found.runs] == [40] * 3


def test_a_base_that_cannot_be_read_is_a_users_error_that_says_why(root):
    (root / "base/evaluation/items.parquet").write_bytes(b"")
    with pytest.raises(UserError, match="base/evaluation: items.parquet cannot be read"):
        read_experiment(root)


def test_everything_at_once_is_still_a_report(root):
    (root / "arms/sft/seed-1/config.yaml").write_text("seed: [")
    shutil.copytree(root / "arms/grpo/seed-1", root / "arms/grpo/seed-0")
    (root / "arms/grpo/seed-0/config.yaml").write_text("sead: 1\n")
    (root / "lock.json").write_text("{")
    (root / "audit.json").write_text("[]")
    (root / "arms/sft/seed-0/manifest.json").write_text("")
    metrics = root / "arms/sft/seed-0/metrics.jsonl"
    metrics.write_text('{"step": 1, "entropy": NaN, "grad_norm": 0.5}\nnot json\n[1]\n' + metrics.read_text())
    (root / "arms/sft/seed-0/ledger.jsonl").write_text('{"step": 1, "prompts_shown": Infinity}\n{"no": 1}\n')
    (root / "data").mkdir(exist_ok=True)
    (root / "data/manifest.json").write_text("nul")
    place = root / "arms/sft/seed-0/evaluation/step-000040"
    for name in ("suites/wide", "functions/a.b", "drift/far", "few_shots"):
        (place / name).mkdir(parents=True)
    (place / "suites/wide/scores.json").write_text("{}")
    (place / "functions/a.b/result.json").write_text("{")
    (place / "drift/far/result.json").write_text('{"values": 3}')
    (place / "functions/a.b/failed.json").write_text("?")
    (place / "ledger.json").write_text('{"responses": 4}')
    page = write_page(root)
    results = read_json(root / "report/results.json")
    problems = "\n".join(results["problems"])
    for name in ("sft/seed-1/config.yaml", "grpo/seed-0/config.yaml", "lock.json", "audit.json", "data/manifest.json"):
        assert name in problems
    for name in ("metrics.jsonl: 2 of 4 lines", "entropy is nan or infinite", "ledger.jsonl", "suites/wide", "a.b"):
        assert name in problems
    assert "What the report lacks" in page and "metrics.jsonl: 2 of 4 lines" in page
    assert set(results["arms"]) == {"sft", "grpo"} and results["arms"]["grpo"]["seeds"] == [1]
    right = read_json(root / LAST / "scores.json")["benchmarks"]["add"]["greedy"]["score"]
    assert results["scores"]["sft"]["benchmarks"]["add"]["greedy"]["score"] == right
