"""What is locked: every key is somewhere, and every change of a real thing is measured where it belongs."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from conf import control, freeze
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.validate import known_keys
from data.compile import compile_dataset, read
from launch.compose import compose, options
from models import load
from models.seeds import stream
from train import facts, lock, sft


def changed(before, after):
    """Dotted names of what two locks say differently."""
    return set(freeze.differences({"lock": before}, {"lock": after}))


@pytest.fixture(scope="session")
def measured(base, tmp_path_factory):
    """(configuration, compiled, lock) of a small experiment on a random model."""
    configuration = small(base)
    compiled = compile_dataset(configuration, tmp_path_factory.mktemp("measured") / "data")
    return configuration, compiled, lock.measure(configuration, compiled, *load(str(base)))


def small(base, *overrides):
    few = ["data.rows=48", "train.steps=2", "train.prompts_per_step=4", "suite.benchmarks=[arithmetic_3]"]
    return compose([f"model.path={base}", *few, "suite.items=2", "data.targets_per_prompt=1", *overrides])


def again(measured, *overrides, change=None, path=None):
    """The lock measured anew, on a model and tokenizer that `change` may alter."""
    configuration, compiled, _ = measured
    model, tokenizer = load(str(path or configuration.model.path))
    model, tokenizer = change(model, tokenizer) if change else (model, tokenizer)
    given = small(path or configuration.model.path, *overrides)
    return lock.measure(given, compiled, model, tokenizer)


# --- every key -------------------------------------------------------------------------------------------------------


def test_every_key_is_locked_treatment_of_a_recipe_of_one_run_or_harmless():
    lacking = [key for key in known_keys() if control.entry(key) is control.UNKNOWN]
    assert not lacking, f"conf/control.py does not say what a difference in {lacking} is; add them to its table"
    kinds = {key: control.entry(key).kind for key in known_keys()}
    assert set(kinds.values()) == {"locked", "recipe", "run", "harmless"}
    assert [key for key, kind in kinds.items() if kind == "run"] == ["seed"]
    assert {key.partition(".")[0] for key, kind in kinds.items() if kind == "recipe"} == {"recipe"}
    for key in ("train.adam_beta2", "train.weight_decay", "train.max_grad_norm", "train.lr_scheduler_type"):
        assert kinds[key] == "locked"


def test_every_entry_has_a_reason_and_causes_that_exist():
    for entry in control.TABLE:
        assert entry.reason and entry.keys
        causes = (*entry.of, *entry.proof, *entry.lacking, *(entry.given[:1] if entry.given else ()))
        assert all(control.entry(cause) is not control.UNKNOWN for cause in causes), entry
        assert entry.of if entry.kind == "derived" else not entry.of
    keys = [key for entry in control.TABLE for key in entry.keys]
    assert len(keys) == len(set(keys))


def test_no_key_follows_from_itself():
    def reaches(key, goal, depth=0):
        return depth < 9 and any(one == goal or reaches(one, goal, depth + 1) for one in control.entry(key).of)

    assert not [key for entry in control.TABLE for key in entry.keys if reaches(key, key)]


def test_recipes_declare_keys_that_exist_and_all_in_which_they_differ():
    made = [compose([f"recipe={name}"]) for name in options("recipe")]
    for one in made:
        assert all(any(control.matches(key, (pattern,)) for key in known_keys()) for pattern in one.recipe.treatment)
        for other in made:
            assert not freeze.confounds(one, other)


def test_lock_states_every_locked_key(measured):
    stated = measured[2]["configuration"]
    tables = ("data.tasks", "suites")
    locked = [key for key in known_keys() if control.entry(key).kind == "locked" and key not in tables]
    assert all(any(control.matches(key, (one,)) for key in stated) for one in locked)
    assert not any(key.startswith(("recipe", "seed")) for key in stated)


# --- what is measured ------------------------------------------------------------------------------------------------


def test_measuring_again_gives_the_same(measured):
    assert not changed(measured[2], again(measured))
    json.dumps(measured[2], allow_nan=False)


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("model.safetensors", "weights"),
        ("config.json", "configuration"),
        ("generation_config.json", "configuration"),
        ("tokenizer.json", "tokenizer"),
    ],
)
def test_one_byte_of_the_base_is_seen(measured, base, tmp_path, file, part):
    copy = shutil.copytree(base, tmp_path / "moved")
    assert lock.base(str(copy)) == lock.base(str(base)), "where a base lies is nothing"
    content = bytearray((copy / file).read_bytes())
    content[-2] ^= 1
    (copy / file).write_bytes(content)
    before, after = lock.base(str(base)), lock.base(str(copy))
    assert {name for name in before if before[name] != after[name]} == {part}


def test_a_base_without_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match="safetensors"):
        lock.base(str(tmp_path))


def test_another_template_and_another_end_token(measured):
    def template(model, tokenizer):
        tokenizer.chat_template += " "
        return model, tokenizer

    def end(model, tokenizer):
        tokenizer.eos_token = "<|user|>"
        return model, tokenizer

    assert changed(measured[2], again(measured, change=template)) == {"lock.base.chat_template"}
    assert changed(measured[2], again(measured, change=end)) == {"lock.decoding.end_id", "lock.decoding.end_token"}


def test_precision_is_that_of_the_parameters(measured):
    after = again(measured, change=lambda model, tokenizer: (model.bfloat16(), tokenizer))
    names = {f"lock.precision.{name}" for name in ("parameters", "master", "reduction")}
    assert changed(measured[2], after) == names and after["precision"]["parameters"] == "bfloat16"


def test_an_adapter_and_a_frozen_layer_are_other_trainable_parameters(measured):
    from peft import LoraConfig, get_peft_model

    def adapter(model, tokenizer):
        return get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])), tokenizer

    def frozen(model, tokenizer):
        model.model.layers[0].requires_grad_(False)
        return model, tokenizer

    for change in (adapter, frozen):
        after = again(measured, change=change)
        assert changed(measured[2], after) == {"lock.trainable.parameters", "lock.trainable.digest"}
        assert after["trainable"]["parameters"] < measured[2]["trainable"]["parameters"]


def test_other_items_are_named_by_their_benchmark(measured):
    found = changed(measured[2], again(measured, "suite.split=validation"))
    assert found == {"lock.suite.arithmetic_3", "lock.configuration.suite.split"}


@pytest.mark.parametrize("column", ["question", "solution"])
def test_one_changed_prompt_or_response_changes_its_digests(base, tmp_path, column):
    rows = [{"question": f"What is {n} + 2?", "answer": str(n + 2)} for n in range(12)]
    rows = [{**row, "solution": f"It is \\boxed{{{row['answer']}}}"} for row in rows]
    found = []
    for name, last in (("a", rows[3]), ("b", {**rows[3], column: rows[3][column].replace("is", "was")})):
        (tmp_path / name).mkdir()
        lines = [json.dumps(row) for row in [*rows[:3], last, *rows[4:]]]
        (tmp_path / name / "rows.jsonl").write_text("\n".join(lines) + "\n")
        source = [f"data.source={tmp_path / name}/rows.jsonl", "data.problem=question", "data.decontamination_ngram=0"]
        compiled = compile_dataset(small(base, "data=file", *source), tmp_path / name / "data")
        found.append({"data": compiled["digests"]})
    ids = "prompt_ids" if column == "question" else "target_ids"
    assert {"lock.data.rows", f"lock.data.{ids}"} <= changed(*found)
    assert "lock.data.order" not in changed(*found)


def test_another_seed_of_the_data_is_another_order(base, measured, tmp_path):
    compiled = compile_dataset(small(base, "data.seed=1"), tmp_path / "data")
    assert "lock.data.order" in changed({"data": measured[1]["digests"]}, {"data": compiled["digests"]})


def test_batch_is_counted_over_processes_and_passes(base):
    def batch(rows, passes, processes):
        arguments = SimpleNamespace(
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=passes,
            world_size=processes,
            num_generations=4,
        )
        return lock.batch(small(base), arguments)["batch"]["prompts_per_step"]

    assert batch(8, 4, 1) == batch(8, 2, 2) == batch(2, 2, 8) == 8
    assert batch(8, 4, 2) == 16


def test_code_is_digested_without_its_words(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    (tmp_path / "train").mkdir()
    file = tmp_path / "train" / "policy.py"
    said = []
    for text in (
        "def f(x):\n    return x\n",
        '"""New."""\ndef f(x):\n    """Of x."""\n\n    return x  # so\n',
        "def f(x):\n    return -x\n",
    ):
        file.write_text(text)
        said.append(lock.code.__wrapped__(("train",)))
    assert said[0] == said[1] != said[2] and list(said[0]) == ["train.policy"]


def test_the_named_derivation_of_streams_still_stands():
    """A failure here means: raise the number in models.seeds.DERIVATION, for runs of both kinds would mix."""
    assert (stream(0, "sampling", 3, 1), stream("a")) == (7025017586840126580, 7299139317422481125)


# --- at a run's start ------------------------------------------------------------------------------------------------


@pytest.fixture
def starting(base, tmp_path):
    """(configuration, run folder, trainer, tokenizer, order) of an SFT run about to train in a locked experiment."""
    configuration = small(base)
    experiment = tmp_path / "experiment"
    compiled = compile_dataset(configuration, experiment / "data")
    freeze.write(configuration, experiment / "config.yaml")
    model, tokenizer = load(str(base))
    write_json(experiment / "lock.json", lock.measure(configuration, compiled, model, tokenizer))
    folder = experiment / "arms/sft/seed-0"
    folder.mkdir(parents=True)
    freeze.write(configuration, folder / "config.yaml")
    rows, order, _ = read(experiment / "data")
    trainer = build(configuration, model, tokenizer, rows, order, folder)
    return configuration, folder, trainer, tokenizer, order


def build(configuration, model, tokenizer, rows, order, folder):
    from models import flops
    from train import ledger
    from train.ledger import Ledger
    from train.records import Records

    book = Ledger(ledger.opening(configuration, None), flops.read(configuration.model.path))
    return sft.build(configuration, model, tokenizer, rows, order, folder, Records(folder, 0, book))


def test_a_run_like_its_experiment_starts_and_states_all_it_measured(starting):
    _, folder, _, _, order = starting
    lock.keep(*starting, resumed_at=0)
    stated = facts.of_run(folder)
    assert stated["lock.batch.prompts_per_step"] == 4 and stated["lock.update.processes"] == 1
    assert stated["arguments.class"] == "SFTConfig" and stated["arguments.optim"] == "adamw_torch"
    assert "arguments.output_dir" not in stated and str(folder) not in (folder / "arguments.json").read_text()
    trained = np.ascontiguousarray(order, "<i8").tobytes()
    assert stated["lock.order.of_run"] == lock.hashlib.sha256(f"{order.shape}".encode() + trained).hexdigest()


def test_a_run_unlike_its_experiment_does_not_start_unless_told(starting):
    configuration, folder, trainer, *rest = starting
    trainer.model.model.layers[0].requires_grad_(False)
    with pytest.raises(UserError, match=r"lock\.trainable\.parameters") as caught:
        lock.keep(configuration, folder, trainer, *rest, resumed_at=0)
    assert "allow_confound=[lock.trainable" in caught.value.change
    assert not (folder / "lock.json").exists()
    told = configuration.model_copy(update={"allow_confound": ["lock.trainable"]})
    lock.keep(told, folder, trainer, *rest, resumed_at=0)
    assert (folder / "lock.json").exists()


def test_an_arm_may_declare_what_it_trains(starting):
    configuration, folder, trainer, *rest = starting
    trainer.model.model.layers[0].requires_grad_(False)
    recipe = configuration.recipe.model_copy(update={"treatment": ["recipe", "lock.trainable"]})
    lock.keep(configuration.model_copy(update={"recipe": recipe}), folder, trainer, *rest, resumed_at=0)


def test_a_run_does_not_go_on_under_a_default_that_moved(starting):
    _, folder, trainer, *_ = starting
    lock.keep(*starting, resumed_at=0)
    lock.keep(*starting, resumed_at=1)
    trainer.args.label_smoothing_factor = 0.1
    lock.keep(*starting, resumed_at=0)  # nothing trained before stands
    trainer.args.label_smoothing_factor = 0.0
    with pytest.raises(UserError, match="label_smoothing_factor"):
        lock.keep(*starting, resumed_at=1)


@pytest.mark.parametrize("other", [torch.float32, torch.bfloat16])
def test_the_state_the_optimizer_really_keeps_is_locked(starting, other):
    _, folder, trainer, *_ = starting
    lock.keep(*starting, resumed_at=0)
    weight = torch.nn.Parameter(torch.ones(4, dtype=other))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    if other == torch.float32:
        lock.keep_optimizer(folder, optimizer, write=True)
        assert read_json(folder / "lock.json")["precision"]["optimizer_state"] == "float32"
        return
    with pytest.raises(UserError, match="optimizer_state"):
        lock.keep_optimizer(folder, optimizer, write=True)
    frozen = freeze.read(folder / "config.yaml").model_copy(update={"allow_confound": ["lock.precision"]})
    freeze.write(frozen, Path(folder / "config.yaml"))
    lock.keep_optimizer(folder, optimizer, write=True)
    assert read_json(folder / "lock.json")["precision"]["optimizer_state"] == "bfloat16"


def test_the_harness_that_a_suite_follows_is_locked() -> None:
    followed = lock.harness(compose(["suites=[published]"]))
    assert followed["lm_eval"] == version("lm_eval")
    assert {"coqa/default.yaml", "mc_taco/default.yaml", "acpbench/mcq_cot_2shot/app.yaml"} < set(followed)
    assert lock.harness(compose(["suites=[published]", "suites.published.benchmarks=[math500]"])) == {}
    assert lock.harness(compose([])) == {}  # the world follows none
    for name in followed:
        assert control.entry(f"lock.harness.{name}").kind == "locked"
