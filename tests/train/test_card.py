"""Every checkpoint loads plainly, and its card says what it is."""

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer

from conf import freeze
from conf.files import read_json, write_json
from models import prompt_ids
from train import card, checkpoints, worker

SHORT = {"train__steps": 2, "train__save_steps": 2, "data__max_completion_length": 40}
KINDS = {
    "sft": {},
    "grpo with an adapter": {"model__lora_rank": 4},
    "ppo": {"recipe__w": "critic_advantage", "recipe__loss_type": "dapo"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_loads_plainly_and_says_what_it_is(configure, run_folder, kind, base):
    recipe = kind.split()[0]
    folder = run_folder(configure(recipe, **SHORT | KINDS[kind]))
    write_json(folder.parents[2] / "audit.json", {"runs": ["other/seed-0"], "verdict": "controlled", "counts": {}})
    worker.run(folder)
    saved = folder / "checkpoints/step-000002"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(saved), AutoTokenizer.from_pretrained(saved)
    assert tokenizer.chat_template and prompt_ids(tokenizer, "1+1") == prompt_ids(
        AutoTokenizer.from_pretrained(base), "1+1"
    )
    plain, own = model.eval(), worker.load_saved(freeze.read(folder / "config.yaml"), folder, 2)
    ids = torch.tensor([prompt_ids(tokenizer, "1+1")])
    with torch.no_grad():
        torch.testing.assert_close(plain(ids).logits, own(ids).logits)
    told = ModelCard.load(saved / "README.md")
    assert told.data.library_name == ("peft" if "adapter" in kind else "transformers")
    assert told.data.tags == ["paribus", recipe] and told.data.license is None and told.data.base_model is None
    lock = read_json(folder / "lock.json")
    assert read_json(saved / "lock.json") == lock and not (saved / "audit.json").exists()
    for text in (f"{recipe}, seed 0, step 2", lock["base"]["weights"], lock["data"]["rows"], "not made yet"):
        assert text in told.text
    entry = read_json(saved / "ledger.json")
    assert f"| `tokens_trained` | {entry['tokens_trained']:,} |" in told.text
    score = read_json(folder / "evaluation/step-000002/scores.json")["groups"]["math"]["greedy"]["score"]
    assert f"| `math` | {score:.1f} [" in told.text
    write_json(folder.parents[2] / "audit.json", {"runs": [f"{recipe}/seed-0"], "verdict": "confounded", "counts": {}})
    card.refresh(folder.parents[2])
    assert "`confounded`" in (saved / "README.md").read_text() and (saved / "audit.json").exists()
    assert checkpoints.latest(folder / "checkpoints") == (2, saved)


HOSTILE = [
    "a`b``c",
    "# Title\n---\nlicense: mit\n---",
    "<script>alert(1)</script>",
    "| pipe | [link](http://x) *b* \\",
    "- x: {y: !!python/object:os.system z}",
    "&amp; ✓ \u2028 \x00 `",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_the_configuration_are_text_and_nothing_else(configure, tmp_path, name):
    given = configure("grpo")
    changed = given.model_copy(
        update={
            "experiment": given.experiment.model_copy(update={"name": name}),
            "recipe": given.recipe.model_copy(update={"name": name}),
            "data": given.data.model_copy(update={"source": name}),
        }
    )
    run = tmp_path / "arms" / "grpo" / "seed-0"
    saved = run / "checkpoints" / "step-000002"
    saved.mkdir(parents=True)
    freeze.write(changed, run / "config.yaml")
    card.write(run, 2)
    told = ModelCard.load(saved / "README.md")
    assert told.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["paribus", name],
    }
    heads = [line for line in told.text.split("\n") if line.startswith("#")]
    assert heads[0].startswith("# `") and heads[1:] == ["## What it cost", "## Scores", "## Loading", "## Licence"]
    assert rendered(told.text) >= {" ".join(f"{name}, seed 0, step 2".split()), " ".join(name.split())}


def rendered(text):
    """What a Markdown reader shows as code: CommonMark's rule for code spans, line by line."""
    import re

    found = set()
    for line in text.split("\n"):
        for match in re.finditer(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", line):
            inner = match[2]
            strip = inner.startswith(" ") and inner.endswith(" ") and inner.strip()
            found.add(inner[1:-1] if strip else inner)
    return found


def test_a_base_and_data_of_the_hub_are_named_to_it(configure, tmp_path):
    run = tmp_path / "arms" / "sft" / "seed-0"
    (run / "checkpoints" / "step-000002").mkdir(parents=True)
    freeze.write(configure(model__path="Owner/Model", data__source="owner/questions"), run / "config.yaml")
    card.write(run, 2)
    data = ModelCard.load(run / "checkpoints/step-000002/README.md").data
    assert (data.base_model, data.base_model_relation, data.datasets) == (
        "Owner/Model",
        "finetune",
        ["owner/questions"],
    )
