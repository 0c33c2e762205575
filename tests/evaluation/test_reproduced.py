"""Published numbers beside an experiment's: what is compared, what is not and why, and what the page lets through."""

import csv

import pytest

from conf.files import write_json
from evaluation.published import tables
from evaluation.report import reproduced as made
from evaluation.report.read import Evaluation, read_experiment
from evaluation.report.reproduce_page import write
from tests.evaluation.folders import BENCHMARKS, skill, write_evaluation, write_run

GROUPS = tables()["scores"].groups
PUBLISHED = {name: group for group, names in GROUPS.items() for name in names}
SAME = {
    "model": {"path": "somewhere/qwen3-14B-base"},
    "data": {"source": "ReasoningTransferability/math_rl_48k"},
    "train": {"steps": 140, "prompts_per_step": 512},
}


def experiment(root, benchmarks, seeds=(0, 1, 2), drift=None, **sections):
    """Base, SFT and GRPO, scored on `benchmarks`."""
    root.mkdir(parents=True)
    write_evaluation(root / "base" / "evaluation", 0, skill(0.2, 0.3, 0.5), 0, benchmarks=benchmarks, samples=2)
    for seed in seeds:
        for arm, at in {"sft": skill(0.5, 0.45, 0.05), "grpo": skill(0.55, 0.5, 0.7)}.items():
            write_run(root, arm, seed, {20: at}, benchmarks=benchmarks, **sections)
            for name, values in (drift or {}).get(arm, {}).items():
                folder = root / f"arms/{arm}/seed-{seed}/evaluation/step-000020/drift/{name}"
                folder.mkdir(parents=True)
                write_json(folder / "result.json", {"values": values, "seconds": 1.0})
    return read_experiment(root)


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    return made.rows(experiment(tmp_path_factory.mktemp("runs") / "same", PUBLISHED, **SAME))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    kl = {"texts": {"own": {"benchmarks": {}, "groups": {g: {"published": 0.1} for g in GROUPS}}}}
    weights = {"total": {"unchanged": {"relative": 0.25}}}
    found = experiment(
        tmp_path_factory.mktemp("runs") / "<script>alert(1)",
        BENCHMARKS,
        drift={"sft": {"tokens": kl, "weights": weights}},
    )
    return found, made.rows(found)


def of(rows, table, row=None, column=None):
    return [one for one in rows if one.table == table and row in (None, one.row) and column in (None, one.column)]


def test_in_the_published_set_up_values_are_compared_with_our_interval(same):
    for one in of(same, "scores"):
        if one.arm == "sft_no_think":
            assert one.ours is None and one.verdict == made.NO_NUMBER and "no arm sft_no_think" in one.why
            continue
        assert one.level == made.SAME and one.difference == pytest.approx(one.ours - one.published)
        assert (one.verdict == made.INSIDE) == (one.low <= one.published <= one.high)
    assert {one.verdict for one in of(same, "scores")} >= {made.INSIDE, made.OUTSIDE}


def test_a_known_erratum_is_marked_and_compared_as_corrected(same):
    (one,) = of(same, "averages", "UniReason RL", "other_reasoning")
    assert one.published == 60.0 and "should be 51" in one.erratum
    assert one.difference == pytest.approx(one.ours - 51.0)
    (gained,) = of(same, "gains", "UniReason RL", "other_reasoning")
    assert gained.published == pytest.approx(51.0 - 30.2)


def test_elsewhere_only_signs_are_compared_and_the_row_says_in_what_it_departs(other):
    _, rows = other
    assert all(one.difference is None and one.level == made.ORDER for one in rows if one.ours is not None)
    (lost,) = of(rows, "gains", "UniReason think SFT", "non_reasoning")
    assert lost.verdict == made.SAME_SIGN and lost.ours < 0
    assert "not Qwen3-14B-Base" in lost.why and "prompts shown, not 71,680" in lost.why and "suite" in lost.why
    assert all(one.ours is None and "our suite has no" in one.why for one in of(rows, "scores") if one.arm == "sft")


def test_what_was_not_measured_has_a_reason_and_groups_stand_in_for_benchmarks(other):
    _, rows = other
    (one,) = of(rows, "kl_released", "UniReason think SFT", "ifeval")
    assert one.ours == pytest.approx(0.1) and "our group non_reasoning instead" in one.why
    (lacking,) = of(rows, "kl_released", "UniReason RL")
    assert lacking.ours is None and "drift.measures=[tokens]" in lacking.why
    (sparse,) = of(rows, "sparsity", "UniReason think SFT")
    assert (sparse.ours, sparse.low, sparse.high) == pytest.approx((25.0, 25.0, 25.0))
    assert of(rows, "pca_groups", "UniReason RL", "math")[0].why.startswith("not measured")


def test_two_arms_are_ordered_only_where_their_intervals_part(other):
    found = made.orders(other[1])
    (one,) = [o for o in found if (o.table, o.column) == ("gains", "non_reasoning")]
    assert (one.higher, one.lower, one.verdict) == ("UniReason RL", "UniReason think SFT", "same")
    assert not [o for o in found if o.table == "averages"]  # their gains are paired with the base


def test_below_three_seeds_drift_has_no_interval(tmp_path):
    weights = {"total": {"unchanged": {"relative": 0.25}}}
    found = experiment(tmp_path / "one", BENCHMARKS, (0,), {"sft": {"weights": weights}})
    (one,) = of(made.rows(found), "sparsity", "UniReason think SFT")
    assert one.ours == 25.0 and one.low is None and one.verdict == made.ORDERED


def test_every_published_table_is_set_beside_ours_or_named_with_a_reason():
    assert set(made.published()) == set(made.BESIDE) | set(made.NOT_BESIDE)
    for name, beside in made.BESIDE.items():
        table = made.published()[name]
        assert {*beside.columns} <= set(table.columns) and set(beside.arms) & set(table.rows), name


def test_the_page_and_its_tables_hold_the_rows_and_escape_names(other):
    found, rows = other
    page = write(found, rows, made.orders(rows))
    text = page.read_text()
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "only signs and orders are compared" in text and "same sign" in text and "not Qwen3-14B-Base" in text
    listed = list(csv.DictReader((page.parent / "tables/reproduce.csv").open()))
    assert len(listed) == len(rows) and listed[0]["table"] == "scores"
    assert (page.parent / "tables/reproduce_order.csv").is_file()


def test_benchmarks_are_graded_as_published(tmp_path):
    """By the published extractor; the mean of samples where there are any; HeadQA by likelihood."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from evaluation.report.as_published import as_graded

    def answer(benchmark, item, sample, outcome, paper):
        about = {"benchmark": benchmark, "group": "math", "item": item, "sample": sample}
        return about | {"outcome": outcome, "paper": paper}

    rows = [answer("math500", "1", sample, "right", paper) for sample, paper in enumerate(("right", "wrong", "right"))]
    rows += [answer("coqa", "1", 0, "right", "wrong"), answer("own", "1", 0, "right", "wrong")]
    rows += [answer("headqa", item, 0, "wrong", None) for item in "12"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "items.parquet")
    weighed = [("1", 0, True, -1.0), ("1", 1, False, -2.0), ("2", 0, True, -3.0), ("2", 1, False, -2.0)]
    names = ("item", "choice", "right", "logp")
    table = [{"benchmark": "headqa", **dict(zip(names, row, strict=True))} for row in weighed]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "likelihood.parquet")
    write_json(tmp_path / "scores.json", {})
    found = as_graded(Evaluation(tmp_path, {"benchmarks": {}}))
    assert found["math500"] == {"1": 0.5}  # of the two samples, not the greedy one
    assert found["coqa"] == {"1": 0.0} and found["own"] == {"1": 1.0}
    assert found["headqa"] == {"1": 1.0, "2": 0.0}
