"""Scores from likelihoods: each choice against a forward pass of its own in float64, and what is made of them."""

import math

import pyarrow.parquet as pq
import pytest
import torch

from data.items import Item, gold, worked
from evaluation.likelihood import likelihoods, rows, weighed
from evaluation.run import evaluate
from models import prompt_ids
from models.tiny import make_model, make_tokenizer
from tests.evaluation.folders import configuration

SUITE = {"benchmarks": ["comparing", "sorting"], "items": 8, "samples": 0, "max_new_tokens": 4}


def item(reference, choices=("yes", "no"), kind="text", **more):
    return Item("i", "some", "math", kind, "prompt", reference, choices=tuple(choices), **more)


def test_every_choice_is_as_likely_as_alone_in_float64(tmp_path):
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    scores = evaluate(model, tokenizer, configuration(suite=SUITE), tmp_path, 0, "base")["benchmarks"]
    table, model, prompts = pq.read_table(tmp_path / "likelihood.parquet").to_pylist(), model.double(), {}
    for row in pq.read_table(tmp_path / "items.parquet").to_pylist():
        prompts[row["item"]] = (prompt_ids(tokenizer, row["prompt"]), row["reference"])
    right, best = 0, {}
    for row in table:
        prompt, reference = prompts[row["item"]]
        text = tokenizer.encode(row["text"], add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + text])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        assert row["logp"] == pytest.approx(logits[range(len(text)), text].sum().item(), abs=1e-4)
        assert row["right"] == (row["text"] == reference) and row["tokens"] == len(text)
        if row["benchmark"] == "comparing" and row["logp"] > best.get(row["item"], (-math.inf,))[0]:
            best[row["item"]] = row["logp"], row["right"]
    right = sum(own for _, own in best.values())
    assert len(table) == 8 * 2 + 8 and scores["comparing"]["likelihood"]["acc"]["score"] == 100 * right / 8
    mean = sum(row["logp"] / row["tokens"] for row in table if row["benchmark"] == "sorting") / 8
    assert scores["sorting"]["likelihood"] == {"reference_logp": pytest.approx(mean)}


def test_a_long_choice_is_not_held_against_it_by_the_normalised_score():
    long = item("B", ("no", "a long answer"), kind="choice")
    found = likelihoods(rows([long], [[[-3.0], [-1.0] * 4]]))["some"]
    assert (found["acc"]["score"], found["acc_norm"]["score"], found["items"]) == (0, 100, 1)


@pytest.mark.parametrize(
    ("reference", "choices", "place"),
    [("yes", ("no", "yes"), 1), ("yes", ("No", "Yes"), 1), ("B", ("x", "y"), 1), ("b", ("a", "b"), 1)]
    + [("b", ("b", "a"), 0), ("C", ("x", "y"), None), ("x", ("x", "x"), None), ("other", ("x", "y"), None)],
)
def test_the_right_choice_is_the_reference_or_has_its_letter(reference, choices, place):
    assert gold(item(reference, choices)) == place


def test_what_is_weighed_without_choices_is_a_right_response():
    assert (
        weighed(item("7", (), "math")) == [(-1, "\\boxed{7}")]
        and worked(item("\\boxed{7}", (), "math")) == "\\boxed{7}"
    )
    assert weighed(item("Ada", ())) == [(-1, "Ada")] and weighed(item("{}", (), "instruction")) == []
