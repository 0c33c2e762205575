"""Further suites and functions beside training: when they run, what a failing one does, how it is made up for."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file

from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from conf.validate import validate
from launch.compose import compose
from models import load
from train import measuring, owed, prepare, worker
from train.measuring import undisturbed

SUITE = {"benchmarks": ["sorting"], "items": 2, "samples": 0, "max_new_tokens": 4}
FUNCTIONS = """
import random, torch

def length(event):
    random.random(), torch.rand(3)
    (event.out / "note.txt").write_text(event.label)
    return {"parameters": sum(one.numel() for one in event.model.parameters()), "training": int(event.model.training)}

def broken(event):
    if not (event.configuration.runs / "mended").exists():
        raise ValueError("no such <b>table</b>")
    return {"value": 1.5}

def meddling(event):
    with torch.no_grad():
        next(event.model.parameters()).data.add_(1e-3)

def wordy(event):
    return {"answer": "four"}
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "own_measures.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))


def weights(folder, step):
    return load_file(folder / f"checkpoints/step-{step:06d}/model.safetensors")


def test_suites_and_functions_run_when_they_are_asked_for(configure, run_folder, functions):
    hooks = {"functions": ["own_measures.length"], "when": ["save"]}
    given = configure(suites={"end": {**SUITE, "when": ["end"]}, "each": {**SUITE, "when": ["save"]}}, hooks=hooks)
    run = run_folder(given, "measured")
    worker.run(run)
    scored = {path.parent.relative_to(run / "evaluation").as_posix() for path in run.rglob("scores.json")}
    steps = ("step-000002", "step-000004")
    assert scored == {*steps, *(f"{step}/suites/each" for step in steps), "step-000004/suites/end"}
    for step in steps:
        result = read_json(run / f"evaluation/{step}/functions/own_measures.length/result.json")
        assert result["values"]["parameters"] > 1000 and result["values"]["training"] == 0
    assert (run / "evaluation/step-000004/functions/own_measures.length/note.txt").read_text() == "sft/seed-0"
    assert not measuring.owed(freeze.read(run / "config.yaml"), run)


def test_what_is_measured_does_not_change_what_is_trained(configure, run_folder, functions):
    plain = run_folder(configure("grpo", train__steps=2, train__save_steps=1), "plain")
    hooks = {"functions": ["own_measures.length", "own_measures.broken"]}
    measured = configure("grpo", train__steps=2, train__save_steps=1, suites={"each": SUITE}, hooks=hooks)
    measured = run_folder(measured, "measured")
    worker.run(plain)
    worker.run(measured)
    for name, tensor in weights(plain, 2).items():
        assert torch.equal(weights(measured, 2)[name], tensor), name


def test_a_failing_function_is_recorded_and_made_up_for(configure, run_folder, functions, monkeypatch, capsys):
    hooks = {"functions": ["own_measures.broken", "own_measures.wordy"], "when": ["end"]}
    run = run_folder(configure(train__steps=2, train__save_steps=1, hooks=hooks), "failing")
    worker.run(run)
    assert (run / "done.json").exists()
    failed = read_json(run / "evaluation/step-000002/functions/own_measures.broken/failed.json")
    assert failed["error"] == "ValueError: no such <b>table</b>" and failed["step"] == 2
    assert "make evaluate" in capsys.readouterr().out
    given = freeze.read(run / "config.yaml")
    ((place, measurements),) = measuring.owed(given, run)
    assert place.step == 2 and [one.name for one in measurements] == hooks["functions"]
    given.runs.mkdir(parents=True, exist_ok=True)
    (given.runs / "mended").touch()
    try:
        owed.make_up(run, measuring.ANYWHERE)
    finally:
        (given.runs / "mended").unlink()
    assert read_json(run / "evaluation/step-000002/functions/own_measures.broken/result.json")["values"] == {
        "value": 1.5
    }
    assert not (run / "evaluation/step-000002/functions/own_measures.broken/failed.json").exists()
    ((_, still),) = measuring.owed(given, run)
    assert [one.name for one in still] == ["own_measures.wordy"]


def test_a_failing_suite_does_not_fail_the_training(configure, run_folder, monkeypatch):
    import evaluation.run

    def fails(*_, **__):
        raise RuntimeError("the benchmark's code broke")

    run = run_folder(configure(train__steps=2, train__save_steps=2), "suiteless")
    with monkeypatch.context() as broken:
        broken.setattr(evaluation.run, "respond", fails)
        worker.run(run)
    assert (run / "done.json").exists() and not (run / "evaluation/step-000002/scores.json").exists()
    owed.make_up(run, measuring.ANYWHERE)
    assert read_json(run / "evaluation/step-000002/scores.json")["benchmarks"]
    assert not (run / "evaluation/step-000002/failed.json").exists()


def test_what_is_asked_for_later_waits_for_its_own_job(configure, run_folder):
    suites = {"after": {**SUITE, "where": "after"}, "job": {**SUITE, "where": "slurm"}}
    run = run_folder(configure(train__steps=2, train__save_steps=1, suites=suites), "later")
    worker.run(run)
    given = freeze.read(run / "config.yaml")
    assert not list(run.glob("evaluation/*/suites"))
    assert [place.step for place, _ in measuring.owed(given, run)] == [1, 2]
    owed.make_up(run, ("after",))
    assert {path.parent.name for path in run.glob("evaluation/*/suites/*/scores.json")} == {"after"}
    owed.make_up(run, ("slurm",))
    assert not measuring.owed(given, run)


def test_a_function_that_changes_the_model_ends_the_run(configure, run_folder, functions):
    run = run_folder(configure(hooks={"functions": ["own_measures.meddling"]}), "meddled")
    with pytest.raises(UserError, match="changed the model's parameters"):
        worker.run(run)
    assert not (run / "done.json").exists()


def test_global_streams_go_on_as_if_nothing_had_drawn():
    model = torch.nn.Linear(2, 2)
    random.seed(3)
    torch.manual_seed(3)
    with undisturbed(model):
        random.random(), torch.rand(5)
        assert not model.training
    drawn = random.random(), torch.rand(1).item()
    random.seed(3)
    torch.manual_seed(3)
    assert drawn == (random.random(), torch.rand(1).item()) and model.training


@pytest.mark.parametrize("name", ["no_such_module_here.f", "json.no_such", "json.__doc__"])
def test_a_function_that_cannot_be_had_is_refused_before_training(configure, run_folder, name):
    run = run_folder(configure(hooks={"functions": [name]}), "nothing")
    with pytest.raises(UserError, match=f"hooks.functions={name}"):
        worker.run(run)
    assert not (run / "checkpoints").exists()


def test_names_and_moments_are_checked(configure):
    tree = json.loads(configure().model_dump_json())
    with pytest.raises(UserError, match="keep base and end"):
        validate(tree | {"suite": tree["suite"] | {"when": ["end"]}})
    with pytest.raises(UserError, match="hooks.functions=../x"):
        validate(tree | {"hooks": {"functions": ["../x"]}})
    with pytest.raises(UserError, match="suites=a/b"):
        validate(tree | {"suites": {"a/b": tree["suite"]}})


def test_suites_are_taken_from_their_files():
    given = compose(["suites=[embedded]", "suites.embedded.items=7", "suites.embedded.when=[end]"])
    assert given.suites["embedded"].items == 7 and given.suites["embedded"].when == ["end"]
    assert given.suites["embedded"].max_new_tokens == given.suite.max_new_tokens
    with pytest.raises(UserError, match="there is no conf/suite/nothing.yaml"):
        compose(["suites=[nothing]"])


def test_the_base_is_scored_on_further_suites_and_no_row_overlaps_them(configure, tmp_path):
    given = configure(suites={"more": SUITE}, experiment={"name": "shared"})
    freeze.write(given, tmp_path / "config.yaml")
    prepare.prepare(tmp_path / "config.yaml")
    scores = read_json(tmp_path / "base/evaluation/suites/more/scores.json")
    assert list(scores["benchmarks"]) == ["sorting"]
    assert "more/sorting" in read_json(tmp_path / "lock.json")["suite"]
    assert read_json(tmp_path / "data/manifest.json")["inputs"]["suites.more.items"] == 2


def test_token_shift_and_distance_are_measured_at_every_save(configure, run_folder):
    drift = {"measures": ["tokens", "distance"], "where": "training", "distance_prompts": 2, "tokens_items": 1}
    given = configure(train__steps=2, train__save_steps=1, drift=drift)
    run = run_folder(given, "drifted")
    base = measuring.of_base(given, run.parents[2])
    model, tokenizer = load(given.model.path)
    measuring.measure(given, base, [measuring.asked(given)[0]], lambda: model, tokenizer)
    worker.run(run)
    forward = [read_json(one)["values"]["forward"] for one in sorted(run.glob("evaluation/*/drift/distance/*.json"))]
    assert len(forward) == 2 and all(one["per_token"]["mean"] > 0 for one in forward)
    assert forward[0]["tokens"] == forward[1]["tokens"]  # the base's own responses, sampled once
    assert len(list(run.glob("evaluation/*/drift/tokens/responses.parquet"))) == 2
