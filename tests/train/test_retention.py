"""Old checkpoints lose what only a run going on needs, then go; never the last, and never one that is not scored."""

import pytest
from transformers import AutoModelForCausalLM

from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Train
from conf.validate import validate
from models.folder import check_sealed
from train import checkpoints, retention, worker

WHOLE = ("model.safetensors", "config.json", "optimizer.pt", "rng_state.pth", "critic/model.safetensors")


@pytest.fixture
def saved(tmp_path):
    """Sealed checkpoints of the steps given, of files that pass for those of a run."""

    def make(*steps):
        for step in steps:
            written = tmp_path / ".writing" / f"checkpoint-{step}"
            for name in WHOLE:
                (written / name).parent.mkdir(parents=True, exist_ok=True)
                (written / name).write_text(f"{name} of {step}")
            checkpoints.seal(written, tmp_path / checkpoints.name(step))
        return tmp_path

    return make


def there(folder):
    """Step -> whether a run can go on from it."""
    found = sorted(folder.glob("step-*"))
    return {checkpoints.step_of(path): (path / "optimizer.pt").exists() for path in found}


@pytest.mark.parametrize(
    ("limit", "every", "left"),
    [
        (0, 0, {10: True, 20: True, 30: True, 40: True, 50: True}),
        (1, 0, {50: True}),
        (2, 0, {40: True, 50: True}),
        (1, 20, {20: False, 40: False, 50: True}),
        (3, 20, {20: False, 30: True, 40: True, 50: True}),
        (9, 0, {10: True, 20: True, 30: True, 40: True, 50: True}),
    ],
)
def test_which_stay(saved, limit, every, left):
    folder = saved(10, 20, 30, 40, 50)
    train = Train(save_total_limit=limit, keep_every=every)
    retention.thin(folder, train, lambda step: True)
    assert there(folder) == left
    retention.thin(folder, train, lambda step: True)
    assert there(folder) == left
    assert checkpoints.latest(folder)[0] == 50


def test_what_is_not_scored_stays_as_a_model_alone(saved):
    folder, train = saved(10, 20, 30, 40), Train(save_total_limit=1)
    retention.thin(folder, train, lambda step: step != 20)
    assert there(folder) == {20: False, 40: True}
    left = {path.name for path in (folder / "step-000020").rglob("*")}
    assert left == {"model.safetensors", "config.json", "complete.json"}
    check_sealed(folder / "step-000020")
    retention.thin(folder, train, lambda step: True)
    assert there(folder) == {40: True}


def test_one_that_was_cut_while_it_lost_its_optimizer_is_seen_through(saved):
    folder = saved(10, 20)
    seal = read_json(folder / "step-000010/complete.json")
    sizes = {"model.safetensors": seal["bytes"]["model.safetensors"], "config.json": seal["bytes"]["config.json"]}
    write_json(folder / "step-000010/complete.json", seal | {"bytes": sizes, "resumes": False})
    retention.thin(folder, Train(save_total_limit=1, keep_every=10, save_steps=10), lambda step: True)
    assert there(folder) == {10: False, 20: True}


def test_no_run_goes_on_from_a_model_alone(saved, capsys):
    folder = saved(10, 20)
    retention.thin(folder, Train(save_total_limit=1, keep_every=10, save_steps=10), lambda step: True)
    (folder / "step-000020/optimizer.pt").write_text("spoilt")
    assert checkpoints.latest(folder) is None
    assert (folder / "step-000010").is_dir() and "step-000010 is damaged" not in capsys.readouterr().out


def test_a_run_keeps_what_it_was_told_to(configure, run_folder):
    changes = {"train__save_steps": 1, "train__save_total_limit": 1, "train__keep_every": 2}
    folder = run_folder(configure("sft", data__max_completion_length=40, **changes))
    worker.run(folder)
    assert there(folder / "checkpoints") == {2: False, 4: True}
    assert len(list((folder / "evaluation").glob("step-*/scores.json"))) == 4
    AutoModelForCausalLM.from_pretrained(folder / "checkpoints/step-000002")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"keep_every": 4, "save_steps": 2}, "every checkpoint is kept"),
        ({"keep_every": 3, "save_steps": 2, "save_total_limit": 1}, "multiple of 2"),
    ],
)
def test_a_rule_that_nothing_meets_is_refused(configure, change, match):
    tree = configure().model_dump(mode="json")
    with pytest.raises(UserError, match=match):
        validate(tree | {"train": tree["train"] | change})


@pytest.mark.parametrize(
    ("steps", "limit", "every", "expected"),
    [(50, 0, 0, (5, 0)), (45, 0, 0, (5, 0)), (50, 1, 0, (2, 0)), (50, 1, 20, (2, 1)), (50, 9, 0, (5, 0))],
)
def test_what_a_run_has_on_the_disk_at_the_most(steps, limit, every, expected):
    train = Train(steps=steps, save_steps=10, save_total_limit=limit, keep_every=every)
    assert retention.at_most(train) == expected
