"""Our loop beside lm-eval's on the same model and items: the same prompts, greedy answers, likelihoods and scores."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from conf.schema import Suite
from data import suite, world
from data.items import Item
from evaluation.grade import judged
from evaluation.likelihood import likelihoods, rows, weighed
from models import continuation_logps, generate, load, prompt_ids, response_ids, response_text
from rewards.paper.stops import cut
from tests.data.published import ROWS, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed"),
]

BASE = Path(__file__).parents[2] / "models" / "embedded"
TOKENS = 48  # of a response
ONE = {"training_split": None, "validation_split": None, "fewshot_split": None, "test_split": "test"}  # all there is
TASKS = {  # benchmark and subset -> lm-eval's task file, and what is set in it
    ("acpbench", "acp_app_mcq"): ("acpbench/mcq_cot_2shot/app.yaml", {}),
    ("acpbench", "acp_areach_mcq"): ("acpbench/mcq_cot_2shot/act_reach.yaml", {}),
    ("acpbench", "acp_val_mcq"): ("acpbench/mcq_cot_2shot/val.yaml", {}),
    ("mc_taco", ""): ("mc_taco/default.yaml", {}),
    ("headqa", "en"): ("headqa/headqa_en.yaml", {}),
    ("hellaswag", ""): ("hellaswag/hellaswag.yaml", {}),
    ("truthfulqa", "multiple_choice"): ("truthfulqa/truthfulqa_mc1.yaml", {}),
}
BOXED = {  # a generated answer, graded by lm-eval's own filter and metric
    "output_type": "generate_until",
    "doc_to_text": "{{problem}}",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["Problem:"], "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "filter_list": [
        {
            "name": "boxed",
            "filter": [
                {"function": "regex", "regex_pattern": r"\\boxed\{([^{}]*)\}", "group_select": -1},
                {"function": "take_first"},
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def base() -> tuple[Any, Any]:
    return load(str(BASE))


def harness_task(folder: Path, name: str, file: Path, included: str = "", **keys: Any) -> str:
    """A task of lm-eval's that reads a local JSON file; its name."""
    package = importlib.util.find_spec("lm_eval")
    assert package and package.submodule_search_locations
    tasks = Path(package.submodule_search_locations[0]) / "tasks"
    read = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(file)}}}
    own = ({"include": str(tasks / included)} if included else {}) | {"task": name, **read, **ONE, **keys}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(own))
    return name


def by_lm_eval(folder: Path, names: list[str]) -> dict[str, Any]:
    """What lm-eval's own loop makes of the base on these tasks."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(BASE), "attn_implementation": "eager", "dtype": "float32", "max_length": 8192},
        tasks=names,
        device="cpu",
        batch_size=16,
        apply_chat_template=True,
        fewshot_as_multiturn=False,
        gen_kwargs=f"max_gen_toks={TOKENS}",
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(folder)),
    )
    assert found is not None
    return dict(found)


def ids_of(tokenizer: Any, sample: dict[str, Any]) -> list[int]:
    """The token ids that lm-eval gives the model for a sample."""
    return list(tokenizer.encode(sample["arguments"][0][0], add_special_tokens=False))


def written(base: tuple[Any, Any], items: list[Item]) -> list[str]:
    model, tokenizer = base
    prompts = [prompt_ids(tokenizer, item.prompt) for item in items]
    ends = {"end_id": tokenizer.eos_token_id, "pad_id": tokenizer.pad_token_id}
    responses = generate(model, prompts, **ends, max_new_tokens=TOKENS, temperature=0.0)
    return [response_text(tokenizer, ids) for ids in responses]


def test_greedy_answers_and_scores_are_lm_evals(tmp_path: Path, base: tuple[Any, Any]) -> None:
    """Items of the world, which the base answers right in part, so that a score says something."""
    items = world.items("arithmetic_3", "test", 40) + world.items("arithmetic_5", "test", 20)
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps({"problem": one.prompt, "answer": one.reference}) + "\n" for one in items))
    found = by_lm_eval(tmp_path / "tasks", [harness_task(tmp_path / "tasks", "boxed_items", file, **BOXED)])
    samples = sorted(found["samples"]["boxed_items"], key=lambda sample: sample["doc_id"])
    texts = written(base, items)
    for item, sample, text in zip(items, samples, texts, strict=True):
        assert ids_of(base[1], sample) == prompt_ids(base[1], item.prompt)
        assert sample["resps"][0][0] == cut(text, ["Problem:"])
    graded = judged(items, texts, workers=1)
    score = sum(row["outcome"] == "right" for row in graded) / len(items)
    assert 0 < score < 1
    assert found["results"]["boxed_items"]["exact_match,boxed"] == pytest.approx(score)
    print(f"60 items of the world, both loops: {100 * score:.1f}% right")


def test_published_prompts_answers_and_grades_are_lm_evals(tmp_path: Path, base: tuple[Any, Any]) -> None:
    local = write(tmp_path / "rows")
    names = {}
    for (benchmark, subset), (included, keys) in TASKS.items():
        file = Path(local[benchmark]) / f"{subset}.jsonl" if subset else Path(local[benchmark])
        name = f"own_{benchmark}_{subset}"
        names[benchmark, subset] = harness_task(tmp_path / "tasks", name, file, included, **keys)
    found = by_lm_eval(tmp_path / "tasks", list(names.values()))
    keys = {"collections": ["published", "wide"], "items": 100, "local": local}
    items = suite.items(Suite.model_validate(keys))
    for (benchmark, subset), name in names.items():
        own = [one for one in items if (one.benchmark, one.labels.get("subset", "")) == (benchmark, subset)]
        samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
        assert len(own) == len(samples) == len(ROWS[benchmark][subset])
        for item, sample in zip(own, samples, strict=True):
            assert ids_of(base[1], sample) == prompt_ids(base[1], item.prompt), item.id
            if benchmark == "acpbench":
                same_grade(base, item, sample)
            else:
                assert [argument[1] for argument in sample["arguments"]] == list(item.choices), item.id
                assert item.choices[sample["target"]] == item.reference, item.id
                theirs = [response[0][0] for response in sample["resps"]]
                assert logps(base, item) == pytest.approx(theirs, abs=1e-3), item.id
        if benchmark != "acpbench":
            score = likelihoods(rows(own, [each(base, item) for item in own]))[benchmark]
            stated = {key.partition(",")[0]: value for key, value in found["results"][name].items()}
            for metric in {"acc", "acc_norm"} & set(stated):
                assert score[metric]["score"] == pytest.approx(100 * stated[metric]), benchmark


def each(base: tuple[Any, Any], item: Item) -> list[list[float]]:
    """Log-probabilities of the tokens of each choice after the prompt."""
    model, tokenizer = base
    texts = [response_ids(tokenizer, text)[:-1] for _, text in weighed(item)]
    return continuation_logps(model, tokenizer.pad_token_id, [prompt_ids(tokenizer, item.prompt)], [texts])[0]


def logps(base: tuple[Any, Any], item: Item) -> list[float]:
    return [sum(own) for own in each(base, item)]


def same_grade(base: tuple[Any, Any], item: Item, sample: dict[str, Any]) -> None:
    """What the base writes, and what it might have written: lm-eval's filter and metric, and our published grader."""
    text = written(base, [item])[0]
    assert sample["resps"][0][0] == cut(text, ["\n\n\n\n", "**Question**:", "**Question:**", "Q:"])
    assert (judged([item], [text])[0]["paper"] == "right") == bool(sample["exact_match"])
