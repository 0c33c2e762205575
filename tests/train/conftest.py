"""One small experiment, prepared once: a random model of the embedded architecture, 48 rows of the world."""

from pathlib import Path

import pytest
import yaml

from conf import freeze
from conf.schema import Configuration
from models.tiny import make_model, make_tokenizer

RECIPES = Path(__file__).parent.parent.parent / "conf/recipe"
SMALL = {
    "data__max_completion_length": 40,
    "train__steps": 2,
    "train__save_steps": 2,
    "train__prompts_per_step": 2,
    "recipe__num_generations": 4,
    "recipe__value_warmup_steps": 0,
}


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tokenizer = make_tokenizer()
    make_model(tokenizer, seed=5).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def configure(base):
    def make(recipe="sft", **changes):
        trainer = "sft" if recipe == "sft" else "policy"
        parts = {
            "q": "teacher" if trainer == "sft" else "policy",
            "w": "one" if trainer == "sft" else "group_advantage",
            "surrogate": "log" if trainer == "sft" else "clipped",
        }
        values = {
            "seed": 0,
            "experiment": {"name": "small"},
            "model": {"path": str(base)},
            "data": {"rows": 48, "max_completion_length": 112},
            "train": {"steps": 4, "prompts_per_step": 4, "save_steps": 2},
            "recipe": {"name": recipe, "trainer": trainer, "num_generations": 4, "micro_batch_size": 8, **parts},
            "suite": {"benchmarks": ["arithmetic_3"], "items": 2, "samples": 1, "max_new_tokens": 8},
            "hardware": {},
            "logger": {},
        }
        for key, value in changes.items():
            section, _, name = key.partition("__")
            values[section] = values[section] | {name: value} if name else value
        return Configuration.model_validate(values)

    return make


@pytest.fixture
def run_folder(tmp_path):
    """Freeze a configuration into a run folder with its data compiled, as the launcher does."""
    from data.compile import compile_dataset

    def make(configuration, where="experiment"):
        experiment = tmp_path / where
        compile_dataset(configuration, experiment / "data")
        folder = experiment / "arms" / configuration.recipe.name / f"seed-{configuration.seed}"
        folder.mkdir(parents=True)
        freeze.write(configuration, folder / "config.yaml")
        return folder

    return make


@pytest.fixture
def short():
    """Changes that make a run short."""
    return dict(SMALL)


@pytest.fixture
def chosen(configure):
    """The configuration of a recipe's file, small."""

    def make(name, **changes):
        stated = {
            f"recipe__{key}": value for key, value in yaml.safe_load((RECIPES / f"{name}.yaml").read_text()).items()
        }
        return configure(name, **stated | SMALL | {"recipe__micro_batch_size": 8} | changes)

    return make


@pytest.fixture
def made(tmp_path):
    """A trainer on data compiled anew, and what belongs to it."""

    def make(configuration, where="run", rows=None):
        from data.compile import compile_dataset, read
        from models import load
        from train import policy, sft
        from train.records import Records

        folder = tmp_path / where
        compile_dataset(configuration, folder / "data")
        compiled, order, _ = read(folder / "data")
        model, tokenizer = load(configuration.model.path)
        build = {"sft": sft.build, "policy": policy.build}[configuration.recipe.trainer]
        records = Records(folder, 0)
        trainer = build(configuration, model, tokenizer, rows or compiled, order, folder, records)
        return trainer, tokenizer, compiled, order

    return make
