"""A run folder belongs to one configuration and one base."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conf import freeze
from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from launch import folders

Make = Callable[..., Configuration]


def test_used_folder_is_refused_with_the_keys(make: Make) -> None:
    folder = folders.freeze_run(make("seed=0"))
    with pytest.raises(UserError, match=r"train\.max_grad_norm \(there 1\.0, now 0\.5\)") as caught:
        folders.freeze_run(make("seed=0", "train.max_grad_norm=0.5"))
    assert "experiment.name" in caught.value.change
    assert freeze.read(folder / "config.yaml").train.max_grad_norm == 1.0


def test_harmless_keys_may_change_and_keep_what_is_done(make: Make) -> None:
    folder = folders.freeze_run(make())
    freeze.mark(folder, "done.json")
    assert folders.freeze_run(make("hardware.workers=1", "logger=wandb", "experiment.seeds=[0,1,2]")) == folder
    assert folders.done(folder)


def test_harmless_keys_take_effect_in_an_unfinished_run(make: Make) -> None:
    folder = folders.freeze_run(make())
    folders.freeze_run(make("recipe.micro_batch_size=3"))
    assert freeze.read(folder / "config.yaml").recipe.micro_batch_size == 3
    assert len(read_json(folder / "manifest.json")["starts"]) == 2


def test_arms_and_seeds_share_an_experiment(make: Make) -> None:
    assert folders.freeze_experiment(make("recipe=sft")) == folders.freeze_experiment(make("recipe=grpo", "seed=3"))
    with pytest.raises(UserError, match="data.rows"):
        folders.freeze_experiment(make("data.rows=8"))


def test_another_base_is_refused(make: Make, base: Path) -> None:
    folders.freeze_run(make())
    (base / "config.json").write_text('{"changed": true}')
    with pytest.raises(UserError, match="made from another base"):
        folders.freeze_run(make())


def test_manifest_names_versions_and_no_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "hunter2-secret")
    folder = folders.freeze_run(make())
    manifest = read_json(folder / "manifest.json")
    assert manifest["starts"][0]["packages"]["torch"].startswith("2.")
    assert "hunter2" not in (folder / "manifest.json").read_text()
