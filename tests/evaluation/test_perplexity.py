"""Perplexities of a small pair token by token in float64, and the temperature at which entropies agree."""

from itertools import product
from math import log

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from conf.errors import UserError
from conf.schema import Configuration
from conf.validate import validate
from data import suite as suites
from evaluation import drift, matching, perplexity, quadrants
from models import load, prompt_ids, response_ids
from models.comparing import entropies

BASE = "models/embedded"
RIGHT = {"base": ("\\boxed{7}", "so \\boxed{7}"), "tuned": ("\\boxed{7}", "<script>", "7=7 \\boxed{7}")}
SUITE = {"benchmarks": ["arithmetic_3", "sorting"], "items": 3, "samples": 4, "max_new_tokens": 8}


def write(folder, items, texts, tokenizer):
    """Every item of the suite, the last one never right, and the first not in the base."""
    rows = []
    for item, (sample, text) in product(items, enumerate(("greedy", *texts, "wrong"))):
        right = text in texts and item.id != items[-1].id
        about = {"benchmark": item.benchmark, "group": item.group, "item": item.id, "prompt": item.prompt}
        told = {"sample": sample, "response": text, "outcome": "right" if right else "wrong", "finish_reason": "stop"}
        rows.append(about | told | {"completion_tokens": len(response_ids(tokenizer, text)), "reference": "7"})
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("pair")
    base, tokenizer = load(BASE)
    tuned = load(BASE)[0]
    with torch.no_grad():
        tuned.get_output_embeddings().weight.mul_(1.6)  # surer of everything
    sections = {name: {} for name in ("model", "data", "train", "hardware", "logger")}
    recipe = {"name": "sft", "trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"}
    asked = {"reach_entropy_matched": True, "reach_matched_items": 2, "reach_suite": "more"}
    given = Configuration(experiment={}, recipe=recipe, suite={}, suites={"more": SUITE}, drift=asked, **sections)
    items = suites.items(given.suites["more"])
    write(root / "base/suites/more", items, RIGHT["base"], tokenizer)
    write(root / "tuned/suites/more", items, RIGHT["tuned"], tokenizer)
    out = root / "tuned/drift/reach"
    out.mkdir(parents=True)
    sides = drift.Model(base, BASE, root / "base"), drift.Model(tuned, "x", root / "tuned")
    return drift.Pair(*sides, tokenizer, given, [], out)


@pytest.fixture(scope="module")
def found(pair):
    return drift.measure("reach", pair)


def test_perplexities_are_those_of_the_tokens_one_by_one(pair, found):
    rows = quadrants.read(pair.out)
    items = suites.items(pair.configuration.suites["more"])
    assert found["items"] == len(rows) == len(items) - 1 and found["suite"] == "embedded"
    row, tokenizer = rows[0], pair.tokenizer
    models = {"base": pair.base.model, "tuned": pair.tuned.model}
    nats = {
        (text, model): [
            nats_of(models[model], prompt_ids(tokenizer, items[0].prompt), response_ids(tokenizer, one))
            for one in RIGHT[text]
        ]
        for text, model in product(models, models)
    }
    for (text, model), own in nats.items():
        assert row[f"{text}_by_{model}"] == pytest.approx(np.mean(own), rel=1e-4)
    wins = [(a < b) + 0.5 * (a == b) for a in nats["tuned", "base"] for b in nats["base", "base"]]
    assert row["tuned_likelier"] == pytest.approx(np.mean(wins), abs=0.01)
    assert found["retokenised"] == 0.0


def nats_of(model, prompt, response):
    with torch.no_grad():
        logits = model.double()(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
        model.float()
    return -float(logits.log_softmax(-1)[range(len(response)), response].mean())


def test_cells_join_seeds_by_item_and_weigh_benchmarks_equally():
    def table(shift, names):
        return [
            {"benchmark": name[0], "group": "math", "item": name, **dict.fromkeys(quadrants.QUADRANTS, shift + place)}
            | {"tuned_likelier": 0.5}
            for place, name in enumerate(names)
        ]

    found = quadrants.cells([table(1.0, ["a1", "a2", "a3", "b1", "b2", "c1"]), table(3.0, ["a1", "a2", "b1", "b2"])])
    assert list(found["benchmarks"]) == ["a", "b"] and found["groups"]["math"]["items"] == 4
    a, b = np.mean([[1, 2], [3, 4]]), np.mean([[4, 5], [5, 6]])
    cell = found["groups"]["math"]["base_by_tuned"]
    assert log(cell["value"]) == pytest.approx((a + b) / 2) and cell["low"] < cell["value"] < cell["high"]
    assert found["groups"]["math"]["ratio"]["value"] == 1.0
    assert quadrants.likelier([1, 2], [2, 3]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_entropies_are_exact(pair, temperature):
    texts = [([5, 6, 7], [8, 9]), ([5], [10, 11, 12, 13]), ([4, 4], [])]
    found = entropies(pair.base.model, texts, 0, temperature)
    for (prompt, response), own in zip(texts, found, strict=True):
        with torch.no_grad():
            logits = pair.base.model(input_ids=torch.tensor([[*prompt, *response]])).logits[0].double().numpy()
        rows = logits[len(prompt) - 1 : len(prompt) - 1 + len(response)] / temperature
        p = np.exp(rows - rows.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        assert own == pytest.approx(-(p * np.log(p)).sum(-1), rel=1e-4, abs=1e-6)


def test_a_temperature_is_found_or_said_not_to_be():
    for goal, normal in ((0.3, 1.0), (2.5, 1.0), (0.61, 0.6), (1.4, 0.6)):
        found = matching.temperature_of(lambda t: t**2, goal, normal)
        assert found**2 == pytest.approx(goal, rel=matching.TOLERANCE)
    assert matching.temperature_of(lambda t: min(t, 2.0), 5.0, 1.0) is None
    assert matching.temperature_of(lambda t: 1.0, 0.2, 1.0) is None


def test_a_surer_model_is_sampled_hotter_until_it_is_as_unsure(pair, found):
    cells = found["matched"]["benchmarks"]
    assert set(cells) == set(SUITE["benchmarks"])
    matched = [one for one in cells.values() if "temperature" in one]
    assert matched, cells
    for one in matched:
        assert one["temperature"] > one["suite_temperature"] and one["entropy_tuned"] < one["entropy_base"]
        assert abs(one["entropy_matched"] - one["entropy_base"]) < abs(one["entropy_tuned"] - one["entropy_base"])
        assert one["samples"] == 4 and [point["k"] for point in one["curves"]["matched"]] == [1, 2]
    rows = pq.read_table(pair.out / quadrants.MATCHED).to_pylist()
    assert len(rows) == found["matched"]["responses"] == 8 * len(matched)
    right = {one["item"]: 0 for one in rows if one["benchmark"] == "arithmetic_3"}
    for row in rows:
        if row["item"] in right:
            right[row["item"]] += row["outcome"] == "right"
    if right:
        first = cells["arithmetic_3"]["curves"]["matched"][0]["value"]
        assert first == pytest.approx(100 * np.mean([count / 4 for count in right.values()]))


def test_what_cannot_be_weighed_is_said(pair, tmp_path):
    asked = pair.configuration.drift.model_copy(update={"reach_suite": ""})
    own = pair.configuration.model_copy(update={"drift": asked})
    elsewhere = drift.Pair(pair.base, pair.tuned, pair.tokenizer, own, [], tmp_path)
    with pytest.raises(FileNotFoundError):
        perplexity.measure(elsewhere)
    with pytest.raises(UserError, match="holds no responses"):
        perplexity.beside(pair.base, "nothing")
    tree = pair.configuration.model_dump(mode="json")
    tree["drift"]["reach_suite"] = "nothing"
    with pytest.raises(UserError, match="drift.reach_suite=nothing"):
        validate(tree)
