"""The report's part on representation shift, update of the weights and gradient norms."""

import csv

import pytest

from conf.files import read_jsonl, write_json
from evaluation.gradients import indicators
from evaluation.report import draw_representation, draw_weights, results_of, write_results
from evaluation.report.page import render
from tests.evaluation.folders import write_experiment

REASON = "<script>alert(1)</script> no plane"


def cell(size):
    """As evaluation.representation stores one, of two layers."""
    layer = {"shift": [[size, 0.0], [0.0, -size]], "spread": [[2.0, 1.0], [2.0, 1.0]], "distance": [size, size]}
    layer |= {key: [size, size / 2] for key in ("in_plane", "relative_norm", "cosine", "cka", "procrustes")}
    values = {"d": size, "distance": size, "relative_norm": size, "cosine": 1 - size, "cka": None, "procrustes": 0.0}
    return {"items": 30, **values, "by_layer": layer}


def shifts(size):
    benchmarks = {
        "add": {"group": "math", **cell(size)},
        "fact": {"group": "non_reasoning", "items": 2, "reason": REASON},
    }
    published = {"groups": {"math": {"d": 10 * size, "benchmarks": 1}}, "benchmarks": {}}
    groups = {"math": cell(size), "non_reasoning": {"items": 2, "reason": REASON}}
    return {"benchmarks": benchmarks, "groups": groups, "new_task": cell(2 * size), "as_published": published}


def update(size):
    unchanged = {"bf16": 1 - size, "float32": None, "relative": 0.5, "of_largest": 0.25}
    ranks = {"effective_rank": 5.0, "rank_share": 0.5, "stable_rank": None}
    one = {"parameters": 8, "unchanged": unchanged, "norm": size, "relative_norm": size / 10, **ranks}
    kinds = {"q": one, "norm": one | dict.fromkeys(ranks)}
    return {"stored": {"base": "bfloat16", "tuned": "bfloat16"}, "total": one, "kinds": kinds, "layers": {"0": one}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """SFT measured at both checkpoints of both seeds, GRPO of one seed at its first alone."""
    root = write_experiment(tmp_path_factory.mktemp("runs") / "tiny", seeds=(0, 1))
    for arm, seed, step, size in (
        *(("sft", seed, step, step / 100 + seed / 10) for seed in (0, 1) for step in (20, 40)),
        ("grpo", 0, 20, 0.5),
    ):
        for name, values in (("representation", shifts(size)), ("weights", update(size))):
            folder = root / f"arms/{arm}/seed-{seed}/evaluation/step-{step:06d}/drift" / name
            folder.mkdir(parents=True)
            write_json(folder / "result.json", {"step": step, "label": arm, "values": values, "seconds": 1.0})
    return root, write_results(root)


def test_means_over_seeds_and_who_lacks_them(made):
    found = made[1]["representation"]
    assert list(found["arms"]) == ["sft"] and found["lacking"] == ["grpo, seed 0", "grpo, seed 1"]
    math = found["arms"]["sft"]["groups"]["math"]
    assert math["d"] == pytest.approx({"mean": 0.45, "sd": 0.1 / 2**0.5, "seeds": 2})
    assert math["cka"] == {"mean": None, "sd": None, "seeds": 0}
    assert math["by_layer"]["shift"][1] == pytest.approx([0, -0.45])
    assert found["arms"]["sft"]["groups"]["new_task"]["distance"]["mean"] == pytest.approx(0.9)
    assert found["arms"]["sft"]["as_published"]["groups"]["math"]["mean"] == pytest.approx(4.5)
    weights = made[1]["weights"]["arms"]["sft"]["total"]
    assert weights["bf16"]["mean"] == pytest.approx(55) and weights["float32"]["mean"] is None


def test_trajectories_go_by_step_and_by_what_was_spent(made):
    root, results = made
    first = results["representation"]["steps"]["sft"][0]
    assert first["steps"] == [20, 40] and first["values"]["math/d"] == pytest.approx([0.2, 0.4])
    assert first["spent"]["prompts"] == [480, 960]
    rows = list(csv.DictReader((root / "report/tables/weights_steps.csv").open()))
    own = {row["step"]: row["measured"] for row in rows if row["value"] == "bf16" and row["seed"] == "1"}
    assert {step: float(value) for step, value in own.items()} == pytest.approx({"20": 70, "40": 50})


def test_page_shows_them_and_escapes_reasons(made):
    root, results = made
    page = render(results, {})
    assert 'id="representation"' in page and 'id="weights"' in page and "Not measured at the compared" in page
    assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page
    for name in ("representation", "representation_layers", "representation_steps", "weights", "gradient_norms"):
        assert list(csv.DictReader((root / f"report/tables/{name}.csv").open()))
    for draw in (draw_representation.plane, draw_representation.by_layer, draw_representation.steps):
        assert draw(results).get_axes()
    assert len(draw_weights.weights(results).get_axes()) == 4


def test_gradient_norms_are_those_of_the_log(made):
    root, results = made
    found = results["gradient_norms"]
    logged = [read_jsonl(root / f"arms/sft/seed-{seed}/metrics.jsonl") for seed in (0, 1)]
    each = [indicators([row["grad_norm"] for row in rows]) for rows in logged]
    assert found["arms"]["sft"]["steps"] == 40 and found["published"]["UniReason RL"]["half_time"] == 22
    assert found["arms"]["sft"]["total"]["mean"] == pytest.approx(sum(one["total"] for one in each) / 2)


def test_without_the_measures_there_is_no_section(tmp_path):
    results = results_of(write_experiment(tmp_path / "tiny"))
    assert results["representation"] == {} and results["weights"] == {} and results["gradient_norms"]["arms"]
    assert draw_representation.plane(results) is None and draw_weights.weights(results) is None
