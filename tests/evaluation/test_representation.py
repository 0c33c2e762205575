"""Shifts against a slow way in float64 that holds everything at once; what must not move them does not."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.decomposition import PCA

from conf.schema import Drift
from evaluation import drift, representation_shift
from evaluation.moments import Moments
from evaluation.representation import MEANS, of_moments
from models import batch_prompt_ids, load

ITEMS, LAYERS, WIDTH = 40, 3, 12


def features(items=ITEMS, width=WIDTH, seed=0):
    """Base and tuned [items, layers, width], far from the origin."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(items, LAYERS, width)) * rng.uniform(0.5, 3, size=width) + rng.normal(size=width) * 5
    return base, base + 0.3 * rng.normal(size=base.shape) + rng.normal(size=(LAYERS, width))


def hsic(one, other):
    """The unbiased estimate by its definition: K and L with diagonals of 0 (Song et al. 2012, equation 5)."""
    n, k, m = len(one), one @ one.T, other @ other.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    ones = np.ones(n)
    crossed = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (ones @ k @ m @ ones)
    return (np.trace(k @ m) + crossed) / (n * (n - 3))


def slow(base, tuned):
    """Every measure of every layer, from whole matrices."""
    found = {key: [] for key in (*MEANS, "shift", "spread")}
    for layer in range(base.shape[1]):
        x, y = base[:, layer], tuned[:, layer]
        pca = PCA(n_components=2, svd_solver="full").fit(x)
        shift = (y @ pca.components_.T).mean(0) - (x @ pca.components_.T).mean(0)
        cx, cy = x - x.mean(0), y - y.mean(0)
        values = np.linalg.svd(cx.T @ cy, compute_uv=False)
        found["shift"].append(shift)
        found["spread"].append(np.sqrt(pca.explained_variance_))
        found["distance"].append(np.linalg.norm(shift))
        found["relative_norm"].append(np.linalg.norm(y - x) / np.linalg.norm(x))
        found["cosine"].append(np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(x, y)]))  # noqa: B905
        found["cka"].append(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)))
        found["procrustes"].append(1 - values.sum() / np.linalg.norm(cx) / np.linalg.norm(cy))
    return found


@pytest.mark.parametrize(("items", "width"), [(40, 12), (9, 30), (4, 5)])  # more items than width, and fewer
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_streamed_is_the_slow_way(items, width, chunk):
    base, tuned = features(items, width)
    moments = Moments()
    for begin in range(0, items, chunk):
        moments.add(base[begin : begin + chunk], tuned[begin : begin + chunk])
    found, wanted = of_moments(moments), slow(base, tuned)
    for key, values in wanted.items():
        assert np.allclose(found["by_layer"][key], values, rtol=1e-8, atol=1e-9), key
    for key in MEANS:
        assert found[key] == pytest.approx(np.mean(wanted[key]), rel=1e-8)
    assert found["d"] == pytest.approx(np.linalg.norm(np.mean(wanted["shift"], axis=0)), rel=1e-8)


def test_rows_held_do_not_grow_with_items():
    base, tuned = features(600, 4)
    moments = Moments()
    for begin in range(0, 600, 5):
        moments.add(base[begin : begin + 5], tuned[begin : begin + 5])
        assert moments._rows.shape[1] <= 2 * (1 + 2 * 4)
    assert of_moments(moments)["cka"] == pytest.approx(np.mean(slow(base, tuned)["cka"]), rel=1e-8)


def test_equal_features_have_not_moved():
    base, _ = features()
    found = representation_shift(base, base.copy())
    assert found["d"] == found["distance"] == found["relative_norm"] == 0
    assert found["cka"] == pytest.approx(1, abs=1e-12) and found["cosine"] == pytest.approx(1, abs=1e-12)
    assert found["procrustes"] < 1e-12 and found["by_layer"]["in_plane"] == [None] * LAYERS


def test_a_rotation_and_a_scale_move_neither_cka_nor_procrustes():
    base, _ = features()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0]
    found = representation_shift(base, 3 * base @ turn + 7)
    assert found["cka"] == pytest.approx(1, abs=1e-9) and found["procrustes"] < 1e-9
    assert found["relative_norm"] > 1 and found["d"] > 1


def test_unrelated_features_have_a_cka_about_nought_where_width_exceeds_items():
    rng = np.random.default_rng(2)
    found = representation_shift(rng.normal(size=(20, 8, 400)), rng.normal(size=(20, 8, 400)))
    assert abs(found["cka"]) < 0.05 and found["procrustes"] < 0.5  # and Procrustes, which is biased, would not tell


def test_order_does_not_matter():
    base, tuned = features()
    order = np.random.default_rng(3).permutation(ITEMS)
    one, other = representation_shift(base, tuned), representation_shift(base[order], tuned[order])
    assert all(one[key] == pytest.approx(other[key], rel=1e-9) for key in ("d", *MEANS))


def test_published_distance_is_that_of_the_published_steps():
    base, tuned = features()
    points = {"original": [], "updated": []}
    for layer in range(LAYERS):
        first, second = PCA(n_components=2).fit(base[:, layer]).components_
        pc1, pc2 = (base[:, layer] @ first).mean(), (base[:, layer] @ second).mean()
        points["original"].append((0.0, pc2))
        points["updated"].append(((tuned[:, layer] @ first).mean() - pc1, (tuned[:, layer] @ second).mean()))
    wanted = np.linalg.norm(np.mean(points["updated"], axis=0) - np.mean(points["original"], axis=0))
    found = representation_shift(base, tuned, as_published=True)
    assert found["d"] == pytest.approx(wanted, rel=1e-9) and set(found) == {"items", "d", "by_layer"}
    assert [own[1] for own in found["by_layer"]["principal"]] == pytest.approx([pc2 for _, pc2 in points["original"]])


@pytest.mark.parametrize(
    ("base", "tuned", "said"),
    [
        (np.ones((3, 1, 5)), np.ones((3, 1, 5)), "4 at least"),
        (np.ones((9, 1, 5)), np.ones((9, 1, 5)), "no plane"),
        (np.ones((9, 1, 5)), np.ones((9, 1, 6)), "not one"),
        (np.full((9, 1, 5), np.nan), np.ones((9, 1, 5)), "not finite"),
    ],
)
def test_what_has_no_shift_says_so(base, tuned, said):
    with pytest.raises(ValueError, match=said):
        representation_shift(base, tuned)


@pytest.fixture(scope="module")
def models():
    base, tokenizer = load("models/embedded")
    tuned = copy.deepcopy(base)
    made = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=made))
    return base, tuned, tokenizer


def test_models_and_texts_in_plain_numbers_out(models):
    base, tuned, tokenizer = models
    prompts = [f"{a}+{b}" * (1 + a % 3) for a in range(3, 9) for b in range(4)]
    texts, pad = batch_prompt_ids(tokenizer, prompts), tokenizer.pad_token_id
    found = representation_shift(base, tuned, texts, pad_id=pad)
    assert len(found["by_layer"]["cka"]) == base.config.num_hidden_layers and found["items"] == 24
    again = representation_shift(base, tuned, texts[::-1], pad_id=5)
    assert all(found[key] == pytest.approx(again[key], rel=1e-4, abs=1e-7) for key in ("d", *MEANS))
    assert 0 < found["relative_norm"] < 1 and representation_shift(base, base, texts)["d"] == 0
    published = representation_shift(base, tuned, texts, pad_id=pad, as_published=True)
    assert len(published["by_layer"]["shift"]) == 1 + base.config.num_hidden_layers
    with pytest.raises(ValueError, match="two models with texts"):
        representation_shift(base, tuned)


def test_measure_takes_the_first_items_of_each_benchmark_and_pools_groups(models, tmp_path):
    base, tuned, tokenizer = models
    asked = {"add": [f"{n}+2" for n in range(9)], "take": [f"{n}-1" for n in range(10, 19)], "few": ["a?", "b?"]}
    about = {"sample": 0, "response": "5", "outcome": "right", "finish_reason": "stop", "completion_tokens": 1}
    rows = [
        {"benchmark": name, "group": "other" if name == "few" else "math", "item": one, "prompt": one, "reference": "5"}
        for name, prompts in asked.items()
        for one in prompts
    ]
    pq.write_table(pa.Table.from_pylist([row | about for row in rows]), tmp_path / "items.parquet")
    both = [drift.Model(model, "models/embedded", tmp_path) for model in (base, tuned)]
    settings = SimpleNamespace(drift=Drift(representation_items=6, representation_as_published=True))
    found = drift.measure("representation", drift.Pair(*both, tokenizer, settings, [[5, 6, 7]] * 3, tmp_path))
    json.dumps(found, allow_nan=False)
    prompts = asked["add"][:6] + asked["take"][:6]
    whole = representation_shift(base, tuned, batch_prompt_ids(tokenizer, prompts), pad_id=tokenizer.pad_token_id)
    assert found["groups"]["math"]["items"] == 12
    assert all(found["groups"]["math"][key] == pytest.approx(whole[key], rel=1e-4) for key in ("d", *MEANS))
    assert found["benchmarks"]["take"]["items"] == 6 and found["benchmarks"]["take"]["group"] == "math"
    assert "4 at least" in found["groups"]["other"]["reason"] and "4 at least" in found["new_task"]["reason"]
    published = found["as_published"]
    each = [published["benchmarks"][name]["d"] for name in ("add", "take")]
    assert (
        published["groups"]["math"]["d"] == pytest.approx(np.mean(each)) and published["groups"]["other"]["d"] is None
    )
