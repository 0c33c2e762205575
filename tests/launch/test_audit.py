"""The command, where its file goes, what joins an experiment and what does not, and the red on page one."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conf import freeze
from conf.control import TABLE
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration
from evaluation.report.page import render
from evaluation.report.read import read_experiment
from evaluation.report.summary import summarize
from launch import audit, folders
from launch.compose import compose
from tests.evaluation.folders import write_experiment
from train import lock

Make = Callable[..., Configuration]
ROOT = Path(__file__).parent.parent.parent


def begun(configuration: Configuration, steps: int = 20) -> Path:
    """A run's folder as it stands after its first checkpoint, without the model."""
    folder = folders.freeze_run(configuration)
    (folder / "checkpoints" / f"step-{steps:06d}").mkdir(parents=True)
    write_json(folder / "lock.json", lock.light(configuration))
    write_json(folder / "arguments.json", {"optim": "adamw_torch"})
    return folder


@pytest.fixture
def experiment(make: Make) -> Path:
    """A prepared experiment with one SFT run that has begun, and its compiled data's manifest."""
    shared = make("recipe=sft")
    folder = folders.freeze_experiment(shared)
    write_json(folder / "lock.json", lock.light(shared))
    (folder / "data").mkdir()
    write_json(folder / "data" / "manifest.json", {"inputs": {"data.rows": 4096, "train.steps": 100}})
    freeze.mark(folder, "prepared.json")
    begun(shared)
    return folder


def edit(file: Path, change: Callable[[dict], None]) -> None:
    tree = read_json(file)
    change(tree)
    write_json(file, tree)


def older_torch(folder: Path) -> None:
    """As if everything there had been made with another torch."""
    for file in [folder / "manifest.json", *folder.glob("arms/*/*/manifest.json")]:
        edit(file, lambda tree: [start["packages"].update(torch="1.0") for start in tree["starts"]])


# --- the command ------------------------------------------------------------------------------------------------------


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "launch.audit", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_exit_codes_and_where_the_file_goes(experiment: Path, make: Make, tmp_path: Path) -> None:
    grpo = begun(make("recipe=grpo"))
    sft = experiment / "arms/sft/seed-0"
    equal = command(experiment)
    assert equal.returncode == 0 and "Controlled" in equal.stdout, equal.stdout + equal.stderr
    assert "recipe.q" in equal.stdout and "declared in" in equal.stdout
    assert read_json(experiment / "audit.json")["runs"] == ["grpo/seed-0", "sft/seed-0"]

    edit(grpo / "lock.json", lambda tree: tree["verifier"].update(math_verify="0.1"))
    confounded = command(sft, grpo, "--out", tmp_path / "mine.json")
    assert confounded.returncode == 3 and "Confounded" in confounded.stdout
    assert "Confound: may explain the result" in confounded.stdout and "another math-verify" in confounded.stdout
    assert read_json(tmp_path / "mine.json")["verdict"] == "confounded"
    assert read_json(experiment / "audit.json")["verdict"] == "controlled"

    wrong = command(sft, tmp_path / "nothing")
    assert wrong.returncode == 2 and "no such folder" in wrong.stderr and "Traceback" not in wrong.stderr


def test_copies_on_another_machine_need_nothing_else(
    experiment: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grpo = begun(make("recipe=grpo"))
    copies = [
        shutil.copytree(folder, tmp_path / "mail" / folder.parent.name)
        for folder in (grpo, experiment / "arms/sft/seed-0")
    ]
    shutil.rmtree(experiment)
    monkeypatch.chdir(tmp_path / "mail")
    audit.main([str(copy.relative_to(tmp_path / "mail")) for copy in copies])
    assert "Controlled" in capsys.readouterr().out
    assert read_json(tmp_path / "mail" / "audit.json")["runs"] == ["grpo/seed-0", "sft/seed-0"]
    assert str(tmp_path / "runs") not in str(
        [row for row in read_json("audit.json")["differences"] if row["class"] == "confound"]
    )


def test_many_keys_that_one_run_lacks_are_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "key": f"arguments.k{n}",
            "reason": "r",
            "follows_from": "",
            "allowed": False,
            "values": {"a": n, "b": "absent"},
        }
        for n in range(9)
    ]
    shown = audit.gathered([*rows, {**rows[0], "key": "train.steps", "values": {"a": 1, "b": 2}}])
    assert [row["key"] for row in shown] == ["arguments: 9 keys", "train.steps"]
    assert "k0, k1" in audit.values(shown[0]) and "b: absent" in audit.values(shown[0])


# --- who may join -----------------------------------------------------------------------------------------------------


def test_an_arm_whose_packages_moved_is_refused_unless_told(experiment: Path, make: Make) -> None:
    older_torch(experiment)
    with pytest.raises(UserError, match=r"packages\.torch \(there '1\.0'") as caught:
        folders.freeze_run(make("recipe=grpo"))
    assert "allow_confound=[packages.torch]" in caught.value.change
    assert not (experiment / "arms/grpo/seed-0/config.yaml").exists()
    told = make("recipe=grpo", "allow_confound=packages.torch")
    folder = begun(told)
    assert freeze.read(folder / "config.yaml").allow_confound == ["packages.torch"]
    found = audit.audit([experiment])
    row = next(row for row in found["differences"] if row["key"] == "packages.torch")
    assert row["class"] == "confound" and row["allowed"] and "let pass by allow_confound" in audit.why(row)


def test_a_run_that_is_done_is_not_asked_again(experiment: Path, make: Make) -> None:
    freeze.mark(experiment / "arms/sft/seed-0", "done.json")
    older_torch(experiment)
    assert folders.freeze_run(make("recipe=sft")) == experiment / "arms/sft/seed-0"


def test_a_run_does_not_go_on_under_another_torch(experiment: Path, make: Make) -> None:
    edit(experiment / "arms/sft/seed-0/manifest.json", lambda tree: tree["starts"][0]["packages"].update(torch="1.0"))
    with pytest.raises(UserError, match=r"packages\.torch"):
        folders.freeze_run(make("recipe=sft"))
    shutil.rmtree(experiment / "arms/sft/seed-0/checkpoints")
    folders.freeze_run(make("recipe=sft"))  # it left nothing to go on from


def test_changed_code_is_refused_by_module(experiment: Path, make: Make) -> None:
    edit(
        experiment / "arms/sft/seed-0/manifest.json",
        lambda tree: tree["starts"][0]["code"].update({"models.generation": "0" * 16}),
    )
    with pytest.raises(UserError, match=r"code\.models\.generation"):
        folders.freeze_run(make("recipe=grpo"))
    folders.freeze_run(make("recipe=grpo", "allow_confound=[code.models]"))


def test_what_no_recipe_declares_is_refused(experiment: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"recipe\.epsilon \(there 0\.2, now 0\.3\)") as caught:
        folders.freeze_run(make("recipe=grpo", "recipe.treatment=[recipe.name]", "recipe.epsilon=0.3"))
    assert "recipe.trainer" not in caught.value.given, "the other recipe declares it"
    folders.freeze_run(make("recipe=grpo", "recipe.epsilon=0.3"))


def test_one_arm_has_one_learning_rate(experiment: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"recipe\.learning_rate"):
        folders.freeze_run(make("recipe=sft", "seed=1", "recipe.learning_rate=1e-6"))
    folders.freeze_run(make("recipe=sft", "seed=1"))


def test_what_the_table_locks_can_be_let_pass_but_not_what_the_data_are_made_of(experiment: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"train\.weight_decay"):
        folders.freeze_experiment(make("recipe=grpo", "train.weight_decay=0.1"))
    told = make("recipe=grpo", "train.weight_decay=0.1", "allow_confound=train.weight_decay")
    assert folders.freeze_experiment(told) == experiment
    folders.freeze_run(told)
    with pytest.raises(UserError, match=r"data\.rows: other than in the compiled data"):
        folders.freeze_experiment(make("recipe=grpo", "data.rows=9", "allow_confound=data.rows"))


def test_a_recipe_may_declare_a_shared_key(experiment: Path, make: Make) -> None:
    declared = make("recipe=grpo", "train.adam_beta2=0.95", "recipe.treatment=[recipe,train.adam_beta2]")
    assert folders.freeze_experiment(declared) == experiment
    folders.freeze_run(declared)


def test_letting_pass_mixes_no_settings_in_one_run(experiment: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"train\.weight_decay") as caught:
        folders.freeze_run(make("recipe=sft", "train.weight_decay=0.1", "allow_confound=train.weight_decay"))
    assert "allow_confound" not in caught.value.change


# --- where it is shown ------------------------------------------------------------------------------------------------


def test_page_one_shows_the_verdict(tmp_path: Path) -> None:
    root = write_experiment(tmp_path / "runs" / "tiny")
    for arm in ("sft", "grpo"):  # these folders were written by hand, with a manifest of no start
        write_json(root / "arms" / arm / "seed-0" / "manifest.json", {"base": "0" * 64, "starts": []})
    found = audit.write(root)
    assert found is not None and found["verdict"] == "confounded", "they have no locks"
    results = summarize(read_experiment(root))
    assert results["audit"] == found
    (tmp_path / "empty.svg").write_text("<svg/>")
    figures = dict.fromkeys(("gains", "steps", "pass_at_k", "strategies", "front", "budgets"), tmp_path / "empty.svg")
    row = {
        **{"key": "lock.base.tokenizer", "class": "confound", "reason": "the files are others", "allowed": True},
        **{"follows_from": "", "values": {"sft/seed-0": "a" * 64, "grpo/seed-0": "<b>"}},
    }
    page = render({**results, "audit": {**found, "differences": [row]}}, figures)
    alarm = page[page.index('class="alarm"') :][:1500]
    assert "lock.base.tokenizer" in alarm and "files are others" in alarm and "allow_confound" in alarm
    assert "<b>" not in alarm and page.index("lock.base.tokenizer") < page.index('id="budgets"')
    page = render({**results, "audit": {**found, "differences": []}}, figures)
    assert "Controlled." in page and 'class="alarm"' not in page
    assert "Not audited" in render({**results, "audit": {}}, figures)


def test_the_documented_table_is_the_one_in_code() -> None:
    text = (ROOT / "docs" / "control.md").read_text()
    missing = [line for line in audit.markdown().splitlines() if line not in text]
    assert not missing, "python -c 'from launch.audit import markdown; print(markdown())' prints the table to paste"
    assert len(audit.markdown().splitlines()) == len(TABLE) + 2


def test_keys_that_nothing_is_are_refused() -> None:
    for wrong in (
        "allow_confound=pakages.torch",
        "recipe.treatment=[recipe.learnig_rate]",
        "allow_confound=[train.stepz]",
    ):
        with pytest.raises(UserError, match="no such key"):
            compose([wrong])
    compose(["allow_confound=[lock,packages,code.train,train,train.steps,lock.base.weights]"])


def test_damaged_and_older_folders_are_users_errors(experiment: Path, make: Make) -> None:
    grpo = begun(make("recipe=grpo"))
    edit(grpo / "manifest.json", lambda tree: tree["starts"][0].pop("code"))
    with pytest.raises(UserError, match="older version"):
        audit.audit([experiment])
    (grpo / "lock.json").write_text('{"base": {')
    with pytest.raises(UserError, match="damaged"):
        audit.audit([experiment])
    assert audit.write(experiment) is None and not (experiment / "audit.json").exists()


def test_a_plain_word_is_a_list_of_one() -> None:
    assert compose(["allow_confound=packages.torch"]).allow_confound == ["packages.torch"]
