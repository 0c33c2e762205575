"""Token shift and distance of a small pair, against the numbers of their tokens taken one by one."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import evaluation
from conf.schema import Configuration
from evaluation import distance, drift, tokens
from models import batch_prompt_ids, load, prompt_ids, response_ids
from models.comparing import compare

BASE = "models/embedded"
ROWS = (
    ("add", "math", "2+4", "2+4=6. so \\boxed{6}", "\\boxed{6}"),
    ("add", "math", "7-2", "we go. \\boxed{5}", "\\boxed{5}"),
    ("add", "math", "1+1", "so so", "2"),
    ("sort", "other_reasoning", "sort 312", "<script>alert(1)</script>", "123"),
    ("sort", "other_reasoning", "sort 21", "12", ""),
)


def write(folder, column):
    rows = []
    for number, row in enumerate(ROWS):
        about = dict(zip(("benchmark", "group", "prompt"), row, strict=False)) | {"item": f"{row[0]}-{number}"}
        told = {"response": row[column], "outcome": "right", "completion_tokens": 4}
        finish = "length" if number == 4 else "stop"
        rows += [about | told | {"sample": sample, "finish_reason": finish} for sample in (0, 1)]
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("pair")
    base, tokenizer = load(BASE)
    tuned = load(BASE)[0]
    torch.manual_seed(0)
    for one in tuned.parameters():
        one.data += 0.02 * torch.randn_like(one)
    write(root / "base/evaluation", 4)
    write(root / "tuned", 3)
    sections = {name: {} for name in ("model", "train", "suite", "hardware", "logger")}
    recipe = {"name": "sft", "trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"}
    data, asked = {"max_completion_length": 12}, {"distance_prompts": 3, "distance_samples": 2, "tokens_items": 3}
    given = Configuration(experiment={}, recipe=recipe, data=data, drift=asked, **sections)
    out = root / "tuned/drift/x"
    out.mkdir(parents=True)
    sides = [drift.Model(base, BASE, root / "base/evaluation"), drift.Model(tuned, "x", root / "tuned")]
    return drift.Pair(*sides, tokenizer, given, batch_prompt_ids(tokenizer, ["2+4", "3-1", "9-5", "8+8"]), out)


@pytest.fixture(scope="module")
def shift(pair):
    return json.loads(json.dumps(drift.measure("tokens", pair), allow_nan=False))


def of_tokens(pair, kind):
    """(row, Compared, whether it ended) of every response, from one text at a time."""
    for number, row in enumerate(ROWS):
        ids = response_ids(pair.tokenizer, row[3] if kind == "own" else row[4])
        ids = ids[:-1] if number == 4 else ids
        if ids:
            text = (prompt_ids(pair.tokenizer, row[2]), ids)
            yield row, compare(pair.base.model, pair.tuned.model, [text], pair.tokenizer.pad_token_id)[0], number != 4


@pytest.mark.parametrize("kind", ["own", "base"])
def test_means_over_tokens_and_over_responses(shift, pair, kind):
    for benchmark, cell in shift["texts"][kind]["benchmarks"].items():
        found = [(one, ended) for row, one, ended in of_tokens(pair, kind) if row[0] == benchmark]
        every = [one for one, _ in found]
        assert cell["responses"] == len(every) and cell["tokens"] == sum(len(one.reverse) for one in every)
        whole = np.concatenate([one.reverse for one in every])
        assert cell["kl_tuned_base"]["tokens"] == pytest.approx(whole.mean(), abs=1e-5)
        means = [one.forward.mean() for one in every]
        assert cell["kl_base_tuned"]["responses"] == pytest.approx(np.mean(means), abs=1e-5)
        assert cell["kl_base_tuned"]["low"] <= cell["kl_base_tuned"]["responses"] <= cell["kl_base_tuned"]["high"]
        ranks = np.concatenate([one.base_rank for one in every])
        shares = [np.mean(ranks == 1), np.mean((ranks > 1) & (ranks <= 3)), np.mean(ranks > 3), np.mean(ranks > 1)]
        for name, share in zip(("unshifted", "marginal", "shifted", "beyond"), shares, strict=True):
            assert cell[name]["tokens"] == pytest.approx(share)
        gaps = np.concatenate([one.base_rank - one.tuned_rank for one in every])
        assert cell["rank_shift"]["tokens"] == pytest.approx(gaps.mean())
        smoothed = [[np.log(np.exp(logp) + 1e-10) for logp in (one.tuned_logp, one.base_logp)] for one, _ in found]
        pairs = zip(smoothed, found, strict=True)
        ratios = [(now - before)[1 : -1 if ended else None] for (now, before), (_, ended) in pairs]
        ratios = [one.mean() for one in ratios if len(one)]
        assert cell["published"] == pytest.approx(abs(np.mean(ratios)), rel=1e-4)


def test_groups_count_their_benchmarks_equally_and_every_response_is_kept(shift, pair):
    groups, own = shift["texts"]["own"]["groups"], shift["texts"]["own"]["benchmarks"]
    assert groups["math"]["kl_tuned_base"]["tokens"] == pytest.approx(own["add"]["kl_tuned_base"]["tokens"])
    table = pq.read_table(pair.out / tokens.FILE).to_pylist()
    assert len(table) == 9 and shift["texts"]["base"]["benchmarks"]["sort"]["responses"] == 1  # one said nothing
    assert own["add"]["read_otherwise"] == sum(row["tokens"] != 4 for row in table[:3])


def test_words_are_counted_once_a_use_and_sorted(shift, pair):
    listed = {row["word"]: row for row in shift["top_words"]}
    beyond = [one.base_rank > 1 for row, one, _ in of_tokens(pair, "own") if row[3] == "so so"][0]
    assert listed["so"]["kind"] == "structural" and listed["so"]["uses"] == 3
    assert listed["so"]["shifted"] >= int(beyond[:2].any()) + int(beyond[3:5].any())
    assert sum(shift["kinds"].values()) >= sum(row["shifted"] for row in shift["top_words"][:3])
    assert all(row["shifted"] <= row["uses"] for row in (*shift["top_words"], *shift["top_tokens"]))
    positions = shift["positions"]["math"]
    assert [(one["from"], one["to"]) for one in positions[:4]] == [(1, 1), (2, 2), (3, 4), (5, 8)]
    assert sum(one["tokens"] for one in positions) == shift["texts"]["own"]["groups"]["math"]["tokens"]


def test_models_and_their_logits_give_the_same_and_the_published_estimate_is_asked_for(pair):
    texts = [(prompt_ids(pair.tokenizer, row[2]), response_ids(pair.tokenizer, row[3])) for row in ROWS[:4]]
    models = (pair.base.model, pair.tuned.model)
    found = evaluation.token_shift(*models, texts)
    logits = [
        [one(torch.tensor([[*a, *b]])).logits[0, len(a) - 1 : -1].detach().numpy() for a, b in texts] for one in models
    ]
    other = evaluation.token_shift(*logits, [told for _, told in texts])
    assert other["kl"] == pytest.approx(found["kl"], rel=1e-4) and found["kl"] == found["kl_tuned_base"]["tokens"]
    published = evaluation.token_shift(*logits, [told for _, told in texts], definition="as_published")
    assert published["kl"] == other["published"] != other["kl"]
    assert evaluation.token_shift(models[0], models[0], texts)["kl"] == 0
    with pytest.raises(ValueError, match="no response has a token"):
        evaluation.token_shift(*models, [([1, 2], [])])


def test_no_common_item_and_no_prompt_are_failures_and_no_numbers(pair, tmp_path):
    write(tmp_path / "e", 3)
    empty = pq.read_table(tmp_path / "e/items.parquet").slice(0, 0)
    pq.write_table(empty, tmp_path / "e/items.parquet")
    without = SimpleNamespace(**vars(pair) | {"tuned": drift.Model(None, "x", tmp_path / "e"), "new_task": []})
    with pytest.raises(ValueError, match="no common item"):
        tokens.measure(without)
    with pytest.raises(ValueError, match="no training prompt"):
        distance.measure(without)


def test_distance_is_exact_on_the_bases_own_responses_which_are_made_once(pair, monkeypatch):
    found = json.loads(json.dumps(drift.measure("distance", pair), allow_nan=False))
    file = pair.base.evaluation / "drift/distance/samples.parquet"
    rows = pq.read_table(file).to_pylist()
    assert [(row["prompt"], row["sample"]) for row in rows] == [(n, k) for n in range(3) for k in range(2)]
    assert all(0 < len(row["response"]) <= 12 for row in rows)
    prompts = pair.new_task
    sums, lengths = [], []
    for row in rows:
        text = (prompts[row["prompt"]], row["response"])
        one = compare(pair.base.model, pair.tuned.model, [text], pair.tokenizer.pad_token_id)[0]
        sums.append(one.forward.sum())
        lengths.append(len(one.forward))
    forward = found["forward"]
    assert forward["per_token"]["mean"] == pytest.approx(sum(sums) / sum(lengths), abs=1e-5)
    assert forward["per_response"]["mean"] == pytest.approx(np.mean(sums), abs=1e-5)
    assert all(cell["low"] <= cell["mean"] <= cell["high"] for cell in (forward["per_token"], forward["per_response"]))
    assert forward["cut"] == sum(row["response"][-1] != pair.tokenizer.eos_token_id for row in rows)
    assert found["reverse"]["responses"] == 6 and found["reverse"]["per_token"]["mean"] > 0
    made = file.read_bytes(), file.stat().st_mtime_ns
    again = drift.measure("distance", pair)
    assert again["forward"] == forward and (file.read_bytes(), file.stat().st_mtime_ns) == made


@pytest.mark.parametrize("change", [{"distance_samples": 1}, {"distance_max_new_tokens": 5}])
def test_responses_of_other_settings_are_made_again(pair, change):
    asked = pair.configuration.drift.model_copy(update=change)
    other = SimpleNamespace(**vars(pair) | {"configuration": pair.configuration.model_copy(update={"drift": asked})})
    drift.measure("distance", pair)
    file = pair.base.evaluation / "drift/distance/samples.parquet"
    before = file.read_bytes()
    distance.measure(other)
    rows = pq.read_table(file).to_pylist()
    assert file.read_bytes() != before and len(rows) == 3 * asked.distance_samples
    assert max(len(row["response"]) for row in rows) <= (asked.distance_max_new_tokens or 12)


def test_the_base_is_at_no_distance_from_itself(pair):
    same = SimpleNamespace(**vars(pair) | {"tuned": pair.base})
    found = distance.measure(same)
    assert found["forward"]["per_token"] == found["reverse"]["per_response"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    shift = tokens.measure(same)
    assert shift["texts"]["own"]["groups"]["math"]["kl_tuned_base"]["tokens"] == 0
