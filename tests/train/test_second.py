"""A second task starts from what the first left of the same arm and seed, and says so."""

import pytest
from safetensors.torch import load_file

from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from data import world
from evaluation.report.second import second
from launch.second import started
from train import facts, worker

SHORT = {"data__max_completion_length": 40, "train__steps": 2}


def test_a_run_starts_from_its_own_arms_checkpoint_and_its_lock_says_from_which(configure, run_folder, tmp_path):
    first = configure(**SHORT, experiment={"name": "first"}, runs=tmp_path)
    after = {"name": "second", "after": "first", "arms": ["sft"]}
    later = configure(
        **SHORT, experiment=after, runs=tmp_path, recipe__learning_rate=1e-12, data__tasks={"sequences": 1}
    )
    with pytest.raises(UserError, match="not done"):
        started(later)
    one = run_folder(first, "first")
    worker.run(one)
    given = started(later)
    assert given.train.start_from == str(one / "checkpoints/step-000002")
    assert started(first) == first and started(given) == given
    two = run_folder(given, "second")
    worker.run(two)
    before, now = (load_file(run / "checkpoints/step-000002/model.safetensors") for run in (one, two))
    assert max((before[name] - now[name]).abs().max() for name in before) < 1e-6  # nothing was learned at that rate
    lock = read_json(two / "lock.json")["start"]
    assert (lock["experiment"], lock["arm"], lock["seed"], lock["step"]) == ("first", "sft", 0, 2)
    assert lock["weights"] != read_json(two / "lock.json")["base"]["weights"]


def classes(a, b):
    return {key: one.kind for key, one in freeze.classify(a, b).items() if "start" in key}


def test_arms_that_start_from_their_own_first_training_are_comparable_and_from_elsewhere_not(configure):
    start = {"experiment": "first", "step": 2, "seed": 0}
    stated = [facts.of(configure(arm, recipe__treatment=["recipe"])) for arm in ("sft", "grpo")]
    own = [
        one | facts.freeze.flatten({"lock": {"start": start | {"arm": arm, "weights": arm}}})
        for one, arm in zip(stated, ("sft", "grpo"), strict=True)
    ]
    assert set(classes(*own).values()) == {"derived"}
    assert classes(own[0], stated[1])["lock.start.experiment"] == "confound"
    assert classes(own[0], own[1] | {"lock.start.step": 4})["lock.start.step"] == "confound"


def test_the_world_trains_what_it_is_asked_to_and_math_unless_asked() -> None:
    asked = world.training_items(30, tasks={"sequences": 2, "counting": 1})
    assert [item.benchmark for item in asked].count("sequences") == 20 and len(asked) == 30
    assert all(world.split_of(item.prompt) == "train" for item in asked)
    assert all(world.teacher(item, "far") == item.reference for item in asked)
    assert {item.group for item in world.training_items(10)} == {"math"}
    for wrong in ("facts", "nothing"):
        with pytest.raises(UserError, match=f"tasks.{wrong}"):
            world.training_items(10, tasks={wrong: 1})


def test_what_cannot_be_a_second_task_is_refused(configure, tmp_path):
    from conf.validate import validate

    tree = configure().model_dump(mode="json")
    for change, said in (
        ({"experiment": tree["experiment"] | {"after": tree["experiment"]["name"]}}, "start from themselves"),
        ({"train": tree["train"] | {"start_from": "x"}, "model": tree["model"] | {"lora_rank": 4}}, "another one"),
    ):
        with pytest.raises(UserError, match=said):
            validate(tree | change)
    other = configure(**SHORT, experiment={"name": "first"}, runs=tmp_path)
    folder = tmp_path / "first/arms/sft/seed-0"
    folder.mkdir(parents=True)
    freeze.write(
        other.model_copy(update={"model": other.model.model_copy(update={"path": "else"})}), folder / "config.yaml"
    )
    freeze.mark(folder, "done.json")
    with pytest.raises(UserError, match="its base is else"):
        started(configure(experiment={"name": "b", "after": "first"}, runs=tmp_path))


def test_the_report_says_what_the_second_task_did_to_what_the_first_left(tmp_path):
    from evaluation.report.read import read_experiment
    from tests.evaluation.folders import BENCHMARKS, skill, write_evaluation, write_run

    first, later = tmp_path / "first", tmp_path / "later"
    write_evaluation(later / "base/evaluation", 0, skill(0.5, 0.6, 0.7), 0)
    for arm, stays in (("sft", 0.3), ("grpo", 0.9)):
        begins = {"start_from": f"elsewhere/{arm}/checkpoints/step-000040"}
        write_run(first, arm, 0, {40: skill(0.9, 0.6, 0.7)})
        data = {"tasks": {"sort": 1}}
        write_run(later, arm, 0, {20: skill(stays, 0.9, 0.7)}, train=begins, data=data)
        frozen = later / "arms" / arm / "seed-0/config.yaml"
        given = freeze.read(frozen)
        after = given.experiment.model_copy(update={"after": "first"})
        freeze.write(given.model_copy(update={"experiment": after}), frozen)
    found = second(read_experiment(later), BENCHMARKS)
    rows = {(row["arm"], row["of"]): row for row in found["rows"]}
    assert found["tasks"] == ["sort"] and rows["sft", "second task"]["benchmarks"] == 1
    assert rows["sft", "other_reasoning"]["benchmarks"] == 2 and not found["missing"]
    math = rows["sft", "math"]
    assert math["by_second"]["high"] < -30 and math["by_both"]["difference"] == pytest.approx(
        math["by_first"]["difference"] + math["by_second"]["difference"]
    )
    assert any("took from sft's math" in one for one in found["sentences"])
    assert any("grpo had left of non-reasoning after first is not shown" in one for one in found["sentences"])
    (first / "arms/sft/seed-0/evaluation/step-000040/scores.json").unlink()
    assert second(read_experiment(later), BENCHMARKS)["missing"] == ["sft, seed 0"]
