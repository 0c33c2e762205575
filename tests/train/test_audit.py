"""Planted differences: each is found and put into its class. Equal runs, seeds and resumed twins are controlled."""

import copy
import shutil

import pytest
import yaml

from conf import freeze
from conf.control import CONFOUND, DERIVED, HARMLESS, TREATMENT
from conf.errors import UserError
from conf.files import read_json, write_json
from data.compile import compile_dataset, read
from launch import manifest
from launch.compose import compose
from models import flops, load
from train import ledger, lock, policy, sft
from train.audit import audit
from train.horizon import run_order
from train.ledger import Ledger
from train.records import Records


@pytest.fixture(scope="session")
def experiment(base, tmp_path_factory):
    """Both arms at two seeds, up to the first step: every file that the audit reads, written by what writes them."""
    folder = tmp_path_factory.mktemp("audited") / "small"
    few = ["data.rows=48", "train.steps=2", "train.prompts_per_step=4", "suite.benchmarks=[arithmetic_3]"]
    few += [f"model.path={base}", f"runs={folder.parent}", "experiment.name=small", "suite.items=2"]
    made = [compose([*few, f"recipe={arm}", f"seed={seed}"]) for arm in ("sft", "grpo") for seed in (0, 1)]
    compiled = compile_dataset(made[0], folder / "data")
    freeze.write(made[0], folder / "config.yaml")
    manifest.write_manifest(folder, "f" * 64, manifest.start(made[0], folder))
    write_json(folder / "lock.json", lock.measure(made[0], compiled, *load(str(base))))
    for one in made:
        begin(one, folder)
    return folder


def begin(configuration, experiment):
    folder = experiment / "arms" / configuration.recipe.name / f"seed-{configuration.seed}"
    folder.mkdir(parents=True)
    freeze.write(configuration, folder / "config.yaml")
    manifest.write_manifest(folder, "f" * 64, manifest.start(configuration, folder))
    rows, stored, _ = read(experiment / "data")
    order = run_order(configuration, stored, len(rows))
    model, tokenizer = load(configuration.model.path)
    build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
    book = Ledger(ledger.opening(configuration, None), flops.read(configuration.model.path))
    trainer = build(configuration, model, tokenizer, rows, order, folder, Records(folder, 0, book))
    lock.keep(configuration, folder, trainer, tokenizer, order, resumed_at=0)


@pytest.fixture
def copied(experiment, tmp_path):
    return shutil.copytree(experiment, tmp_path / "small")


def run(folder, arm="grpo", seed=0):
    return folder / "arms" / arm / f"seed-{seed}"


def classes(*folders):
    return {row["key"]: row["class"] for row in audit(list(folders))["differences"]}


# --- what plants ------------------------------------------------------------------------------------------------------


def plant(file, key, value):
    """Set the dotted `key` in a file of a run's folder; None removes it."""

    def change(folder):
        path = folder / file
        tree = read_json(path) if path.suffix == ".json" else yaml.safe_load(path.read_text())
        *way, last = key
        inner = tree
        for name in way:
            inner = inner[name]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
        freeze.write_text(path, yaml.safe_dump(tree)) if file == "config.yaml" else write_json(path, tree)

    return change


def conf(key, value):
    return plant("config.yaml", key.split("."), value)


def locked(key, value="other"):
    return plant("lock.json", key.split("."), value)


def argument(key, value):
    return plant("arguments.json", [key], value)


def package(name, version):
    return plant("manifest.json", ["starts", 0, "packages", name], version)


def start(key, value):
    return plant("manifest.json", ["starts", 0, key], value)


def code(module):
    return plant("manifest.json", ["starts", 0, "code", module], "0" * 16)


def both(*changes):
    def change(folder):
        for one in changes:
            one(folder)

    return change


BETWEEN_ARMS = [
    # the configuration
    ("other decay", conf("train.weight_decay", 0.1), "train.weight_decay", CONFOUND),
    ("other beta", conf("train.adam_beta2", 0.95), "train.adam_beta2", CONFOUND),
    ("other clipping", conf("train.max_grad_norm", 0.5), "train.max_grad_norm", CONFOUND),
    ("other schedule", conf("train.lr_scheduler_type", "cosine"), "train.lr_scheduler_type", CONFOUND),
    ("warm-up in one arm", conf("train.warmup_steps", 5), "train.warmup_steps", CONFOUND),
    ("other batch", conf("train.prompts_per_step", 8), "train.prompts_per_step", CONFOUND),
    ("more steps", conf("train.steps", 9), "train.steps", CONFOUND),
    ("other limit of length", conf("data.max_completion_length", 64), "data.max_completion_length", CONFOUND),
    ("other rows", conf("data.rows", 64), "data.rows", CONFOUND),
    ("other decoding temperature", conf("suite.temperature", 0.6), "suite.temperature", CONFOUND),
    ("more room to answer", conf("suite.max_new_tokens", 512), "suite.max_new_tokens", CONFOUND),
    ("other split", conf("suite.split", "validation"), "suite.split", CONFOUND),
    ("other precision", conf("hardware.mixed_precision", "bf16"), "hardware.mixed_precision", CONFOUND),
    ("an adapter asked for in one arm", conf("model.lora_rank", 8), "model.lora_rank", CONFOUND),
    ("other sharding", conf("hardware.zero_stage", 2), "hardware.zero_stage", CONFOUND),
    ("two processes asked for", conf("hardware.processes", 2), "hardware.processes", HARMLESS),
    ("other attention", conf("model.attn_implementation", "sdpa"), "model.attn_implementation", CONFOUND),
    ("other thread count", conf("hardware.threads", 4), "hardware.threads", CONFOUND),
    ("other spending", conf("budget.limit", 100.0), "budget.limit", CONFOUND),
    ("an objective's key", conf("recipe.epsilon_high", 0.28), "recipe.epsilon_high", TREATMENT),
    ("other rewards", conf("recipe.reward_funcs", ["well_formed"]), "recipe.reward_funcs", TREATMENT),
    ("other learning rate", conf("recipe.learning_rate", 9e-6), "recipe.learning_rate", TREATMENT),
    ("other pass size", conf("recipe.micro_batch_size", 2), "recipe.micro_batch_size", HARMLESS),
    ("a tracker", conf("logger.name", "wandb"), "logger.name", HARMLESS),
    ("another place", conf("runs", "/elsewhere"), "runs", HARMLESS),
    ("more workers", conf("hardware.workers", 8), "hardware.workers", HARMLESS),
    ("the base elsewhere", conf("model.path", "/scratch/base"), "model.path", HARMLESS),
    ("the rows elsewhere", conf("data.source", "/scratch/rows.jsonl"), "data.source", HARMLESS),
    # what was measured
    ("one weight byte", locked("base.weights"), "lock.base.weights", CONFOUND),
    ("another config.json", locked("base.configuration"), "lock.base.configuration", CONFOUND),
    ("another tokenizer file", locked("base.tokenizer"), "lock.base.tokenizer", CONFOUND),
    ("another chat template", locked("base.chat_template"), "lock.base.chat_template", CONFOUND),
    ("one changed prompt", locked("data.prompt_ids"), "lock.data.prompt_ids", CONFOUND),
    ("one changed response", locked("data.target_ids"), "lock.data.target_ids", CONFOUND),
    ("another stored order", locked("data.order"), "lock.data.order", CONFOUND),
    ("another order in the run", locked("order.of_run"), "lock.order.of_run", CONFOUND),
    ("one changed item", locked("suite.arithmetic_3"), "lock.suite.arithmetic_3", CONFOUND),
    ("another stop token", locked("decoding.end_id", 2), "lock.decoding.end_id", CONFOUND),
    ("another padding", locked("decoding.pad_id", 2), "lock.decoding.pad_id", CONFOUND),
    ("another verifier", locked("verifier.math_verify", "0.8.0"), "lock.verifier.math_verify", CONFOUND),
    ("changed rewards", locked("verifier.source"), "lock.verifier.source", CONFOUND),
    ("8-bit optimizer", locked("precision.optimizer_state", "uint8"), "lock.precision.optimizer_state", CONFOUND),
    ("other reduction", locked("precision.reduction", "bfloat16"), "lock.precision.reduction", CONFOUND),
    ("an adapter in one arm", locked("trainable.digest"), "lock.trainable.digest", CONFOUND),
    (
        "two processes, twice the batch",
        locked("batch.prompts_per_step", 8),
        "lock.batch.prompts_per_step",
        CONFOUND,
    ),
    ("two processes, the same batch", locked("update.processes", 2), "lock.update.processes", HARMLESS),
    ("other streams", locked("seeds.streams"), "lock.seeds.streams", CONFOUND),
    ("another seed list", locked("seeds.list", [0, 1, 2]), "lock.seeds.list", HARMLESS),
    ("a fact the table does not know", locked("novelty"), "lock.novelty", CONFOUND),
    # packages, code, machine
    *((name, package(name, "99.0"), f"packages.{name}", CONFOUND) for name in ("torch", "transformers", "trl")),
    *((name, package(name, "99.0"), f"packages.{name}", CONFOUND) for name in ("accelerate", "peft", "tokenizers")),
    *((name, package(name, "99.0"), f"packages.{name}", CONFOUND) for name in ("math-verify", "datasets", "numpy")),
    ("vllm in one arm", package("vllm", "0.30.0"), "packages.vllm", CONFOUND),
    ("flash-attn in one arm", package("flash_attn", "3.0"), "packages.flash-attn", CONFOUND),
    ("another cuDNN", package("nvidia-cudnn-cu13", "9.9"), "packages.nvidia-cudnn-cu13", CONFOUND),
    *((name, package(name, "99.0"), f"packages.{name.lower()}", HARMLESS) for name in ("rich", "matplotlib", "Jinja2")),
    *((name, package(name, "99.0"), f"packages.{name}", HARMLESS) for name in ("pytest", "wandb", "unheard-of")),
    ("changed trainer", code("train.policy"), "code.train.policy", CONFOUND),
    ("changed generator", code("models.generation"), "code.models.generation", CONFOUND),
    ("changed audit", code("train.audit"), "code.train.audit", HARMLESS),
    ("another commit", start("git", {"commit": "a" * 40, "diff_sha256": None}), "git.commit", HARMLESS),
    ("another Python", start("python", "3.14.1"), "python_minor", CONFOUND),
    ("another kernel of the system", start("system", "Linux-7"), "system", HARMLESS),
    ("another machine's memory", start("memory_gb", 9000.0), "memory_gb", HARMLESS),
    ("another base's folder", plant("manifest.json", ["base"], "0" * 64), "fingerprint", CONFOUND),
    # TRL
    ("a default that moved", argument("label_smoothing_factor", 0.1), "arguments.label_smoothing_factor", CONFOUND),
    ("another optimizer", argument("optim", "adamw_bnb_8bit"), "arguments.optim", CONFOUND),
    ("a rate no key gives", argument("adam_beta1", 0.8), "arguments.adam_beta1", CONFOUND),
]


@pytest.mark.parametrize(
    ("change", "key", "kind"), [row[1:] for row in BETWEEN_ARMS], ids=[row[0] for row in BETWEEN_ARMS]
)
def test_planted_in_one_arm(copied, change, key, kind):
    before = classes(run(copied, "sft"), run(copied, "grpo"))
    change(run(copied, "grpo"))
    found = audit([run(copied, "sft"), run(copied, "grpo")])
    after = {row["key"]: row["class"] for row in found["differences"]}
    assert after[key] == kind
    confounds = {name for name, what in after.items() if what == CONFOUND}
    assert found["verdict"] == ("confounded" if kind == CONFOUND else "controlled")
    assert confounds == ({key} if kind == CONFOUND else set()) or key == "train.prompts_per_step"
    assert key not in before or kind in (TREATMENT, HARMLESS)
    row = next(row for row in found["differences"] if row["key"] == key)
    assert row["reason"] and len(set(map(str, row["values"].values()))) > 1


WITHIN_AN_ARM = [
    ("one seed at another rate", conf("recipe.learning_rate", 9e-6), "recipe.learning_rate", CONFOUND),
    ("one seed with another objective", conf("recipe.loss_type", "dapo"), "recipe.loss_type", CONFOUND),
    ("TRL's own default moved", argument("use_bias_correction_kl", True), "arguments.use_bias_correction_kl", CONFOUND),
    ("TRL's setting vanished", argument("top_entropy_quantile", None), "arguments.top_entropy_quantile", CONFOUND),
    ("TRL's new setting", argument("brand_new", 3), "arguments.brand_new", CONFOUND),
    ("a rate TRL made up", argument("learning_rate", 1.0), "arguments.learning_rate", CONFOUND),
    ("other responses an update", locked("update.responses", 8), "lock.update.responses", CONFOUND),
]


@pytest.mark.parametrize(
    ("change", "key", "kind"), [row[1:] for row in WITHIN_AN_ARM], ids=[row[0] for row in WITHIN_AN_ARM]
)
def test_planted_in_one_seed_of_an_arm(copied, change, key, kind):
    change(run(copied, "grpo", 1))
    assert classes(run(copied, "grpo"), run(copied, "grpo", 1))[key] == kind
    assert audit([copied])["verdict"] == "confounded"


def test_two_arms_as_they_were_made_are_controlled(experiment):
    found = audit([experiment])
    assert found["verdict"] == "controlled" and found["counts"][CONFOUND] == 0
    assert found["runs"] == ["grpo/seed-0", "grpo/seed-1", "sft/seed-0", "sft/seed-1"]
    found = {row["key"]: row for row in found["differences"]}
    assert found["recipe.q"]["class"] == TREATMENT
    assert found["arguments.loss_type"]["class"] == DERIVED and found["arguments.loss_type"]["follows_from"]
    assert found["arguments.learning_rate"]["follows_from"] == "recipe.learning_rate"
    assert found["arguments.beta"]["class"] == DERIVED, "only one trainer has it"


def test_two_seeds_of_one_arm_are_controlled(experiment):
    found = classes(run(experiment, seed=0), run(experiment, seed=1))
    assert set(found.values()) == {HARMLESS} and {"seed", "arguments.seed", "lock.order.of_run"} <= set(found)


def test_a_resumed_twin_is_controlled(copied, tmp_path):
    twin = shutil.copytree(run(copied), tmp_path / "twin" / "arms" / "grpo" / "seed-0")
    (twin / "checkpoints" / "step-000001").mkdir(parents=True)
    begun = manifest.start(freeze.read(twin / "config.yaml"), twin)
    assert begun["from_step"] == 1
    manifest.write_manifest(twin, "f" * 64, begun | {"time": "later", "command": ["again"]})
    found = audit([run(copied), twin])
    assert found["verdict"] == "controlled"
    assert {row["class"] for row in found["differences"]} == {HARMLESS}


def test_a_run_that_went_on_under_another_torch_is_half_of_each(copied):
    path = run(copied) / "manifest.json"
    for folder in (run(copied), run(copied, seed=1)):
        stated = read_json(folder / "manifest.json")
        second = copy.deepcopy(stated["starts"][0]) | {"from_step": 1}
        second["packages"]["torch"] = "99.0"
        write_json(folder / "manifest.json", {**stated, "starts": [*stated["starts"], second]})
    row = next(
        row for row in audit([run(copied), run(copied, seed=1)])["differences"] if row["key"] == "packages.torch"
    )
    assert row["class"] == CONFOUND and "between the starts" in row["reason"]
    assert all(row["values"][label].endswith(", then 99.0") for label in ("grpo/seed-0", "grpo/seed-1"))
    stated = read_json(path)
    stated["starts"][1]["from_step"] = 0  # the first start left no checkpoint: nothing of it is in the run
    write_json(path, stated)
    row = next(row for row in audit([run(copied), run(copied, "sft")])["differences"] if row["key"] == "packages.torch")
    assert row["values"]["grpo/seed-0"] == "99.0"


def test_matched_budgets_let_steps_and_limit_differ(copied):
    conf("budget.match", "flops")(copied)
    for arm, steps in (("sft", 40), ("grpo", 2)):
        both(conf("budget.match", "flops"), conf("budget.limit", float(steps)), conf("train.steps", steps))(
            run(copied, arm)
        )
        argument("max_steps", steps)(run(copied, arm))
    found = classes(run(copied, "sft"), run(copied, "grpo"))
    assert found["train.steps"] == found["budget.limit"] == DERIVED
    assert found["arguments.max_steps"] == HARMLESS  # counts what train.steps says
    assert audit([run(copied, "sft"), run(copied, "grpo")])["verdict"] == "controlled"


def test_rows_that_only_some_arms_can_use_are_declared_by_union(copied):
    for arm, rows in (("sft", 39), ("grpo", 48)):
        plant("lock.json", ["rows"], {"used": rows})(run(copied, arm))
    assert classes(run(copied, "sft"), run(copied, "grpo"))["lock.rows.used"] == CONFOUND
    for arm in ("sft", "grpo"):
        conf("data.pairing", "union")(run(copied, arm))
    assert classes(run(copied, "sft"), run(copied, "grpo"))["lock.rows.used"] == DERIVED


def test_a_recipe_may_declare_any_key(copied):
    conf("train.adam_beta2", 0.95)(run(copied))
    conf("recipe.treatment", [*freeze.read(run(copied) / "config.yaml").recipe.treatment, "train.adam_beta2"])(
        run(copied)
    )
    assert classes(run(copied, "sft"), run(copied))["train.adam_beta2"] == TREATMENT
    assert classes(run(copied), run(copied, seed=1))["train.adam_beta2"] == CONFOUND, "never within an arm"


def test_what_is_let_pass_stays_a_confound_and_is_marked(copied):
    both(conf("train.weight_decay", 0.1), conf("allow_confound", ["train.weight_decay"]))(run(copied))
    found = audit([run(copied, "sft"), run(copied)])
    row = next(row for row in found["differences"] if row["key"] == "train.weight_decay")
    assert (row["class"], row["allowed"], found["verdict"]) == (CONFOUND, True, "confounded")


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_missing_lock_proves_nothing(copied, everywhere):
    for folder in (run(copied), run(copied, "sft")) if everywhere else (run(copied),):
        (folder / "lock.json").unlink()
    assert classes(run(copied), run(copied, "sft"))["files.lock"] == CONFOUND


def test_the_base_is_compared_where_its_experiment_is_there(copied, tmp_path):
    for arm in ("sft", "grpo"):
        locked("verifier.source")(run(copied, arm))
    row = next(row for row in audit([copied])["differences"] if row["key"] == "lock.verifier.source")
    assert row["class"] == CONFOUND and "base" in row["values"]
    moved = [shutil.copytree(run(copied, arm), tmp_path / f"copy-of-{arm}") for arm in ("sft", "grpo")]
    assert audit(moved)["verdict"] == "controlled", "the copies alone know no base"


def test_runs_of_two_machines_are_told_apart(copied, tmp_path):
    other = shutil.copytree(copied, tmp_path / "from-the-cluster" / "small")
    found = audit([run(copied), run(other)])
    assert len(set(found["runs"])) == 2 and not found["differences"]


def test_what_is_no_run_is_a_users_error(experiment, tmp_path):
    for folders in ([], [run(experiment)], [run(experiment), tmp_path], [tmp_path / "nothing", run(experiment)]):
        with pytest.raises(UserError):
            audit(folders)
