"""What `make compare` is given: labels are unlike one another, runs stand for their checkpoints, mistakes are named."""

import pytest

from conf import freeze
from conf.errors import UserError
from launch.candidates import base_of, models_of
from launch.gating import apart


@pytest.fixture
def places(tmp_path, make):
    for path in ("a/model", "b/model", "c=d", "grid/arms/sft/seed-0/checkpoints/step-000010"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "config.json").write_text("{}")
    for arm, steps in (("sft", (20,)), ("grpo", (20, 100))):
        for step in steps:
            place = tmp_path / f"grid/arms/{arm}/seed-0/checkpoints/step-{step:06d}"
            place.mkdir(parents=True)
            (place / "config.json").write_text("{}")
        freeze.write(make(), tmp_path / f"grid/arms/{arm}/seed-0/config.yaml")
    freeze.write(make(), tmp_path / "grid/config.yaml")
    return tmp_path


def test_labels_are_made_unlike_and_those_given_are_kept(places):
    given = [f"{places}/a/model", f"{places}/b/model", f"mine={places}/c=d", f"model-2={places}/grid/arms/sft/seed-0"]
    found = models_of([*given, "Qwen/Qwen3-0.6B", f"{places}/c=d"][:5])
    assert [one.label for one in found] == ["model", "model-3", "mine", "model-2", "Qwen3-0.6B"]
    assert found[2].path == f"{places}/c=d" and models_of([f"{places}/c=d"])[0].label == "c-d"


def test_runs_stand_for_their_last_checkpoint_and_an_experiment_for_all_of_its_runs(places):
    found = models_of([f"{places}/grid"])
    assert [one.label for one in found] == ["grpo-seed-0-step-000100", "sft-seed-0-step-000020"]
    run = places / "grid/arms/grpo/seed-0"
    assert found[0].evaluated == (run / "evaluation/step-000100", run / "config.yaml")
    early = models_of([f"{places}/grid/arms/sft/seed-0/checkpoints/step-000010"])[0]
    assert early.label == "sft-seed-0-step-000010" and early.evaluated[0].name == "step-000010"


def test_a_run_or_experiment_as_base_is_what_it_was_trained_from(places, base):
    for given in ("grid", "grid/arms/sft/seed-0"):
        found = base_of(str(places / given))
        assert found.path == str(base) and found.evaluated[0] == places / "grid/base/evaluation"
    assert base_of(str(places / "a/model")).evaluated is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no models"),
        (["{places}/nowhere"], "no such folder"),
        (["{places}/a/model", "x={places}/a/model"], "twice"),
        (["x={places}/a/model", "x={places}/b/model"], "label x"),
        (["base={places}/a/model"], "label base"),
        (["..={places}/a/model"], "label .."),
    ],
)
def test_mistakes_are_the_users_and_named(places, given, said):
    with pytest.raises(UserError) as refused:
        models_of([one.format(places=places) for one in given])
    assert said in str(refused.value)


def test_conditions_reach_the_configuration_whatever_hydra_makes_of_them():
    rest, found = apart(["suite.items=3", "fail_if=math < -3; coqa > 1", "gate.unsure=true", "fail_if_unsure="])
    assert rest == ["suite.items=3"] and found == {"gate.fail_if": "math < -3; coqa > 1", "gate.unsure": "true"}
