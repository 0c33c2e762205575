"""One small experiment, prepared once: a random model of the embedded architecture, 48 rows of the world."""

import pytest

from conf import freeze
from conf.schema import Configuration
from models.tiny import make_model, make_tokenizer


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
