"""What the files of two models say of an update, against numpy on the whole tensors."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conf.files import read_json
from evaluation import weights
from evaluation.spectra import estimated, ranks
from models.tensors import changes

BASE = "models/embedded"
Q = "model.layers.1.self_attn.q_proj.weight"


def tuned_tensors():
    """Some weights moved by much, some by less than bfloat16 tells, some not at all; one matrix by rank 1."""
    tensors, made = load_file(f"{BASE}/model.safetensors"), torch.Generator().manual_seed(0)
    for number, (name, one) in enumerate(tensors.items()):
        moved = torch.rand(one.shape, generator=made) < 0.7
        size = 1e-5 if number % 2 else 1e-2
        tensors[name] = one + moved * size * torch.randn(one.shape, generator=made)
    tensors[Q] = load_file(f"{BASE}/model.safetensors")[Q] + torch.outer(torch.ones(128), torch.arange(128.0)) * 1e-3
    return tensors


def write(folder, tensors, shards=1):
    folder.mkdir(exist_ok=True)
    shutil.copy(f"{BASE}/config.json", folder)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return str(folder)
    files = {name: f"model-0000{number % shards}.safetensors" for number, name in enumerate(tensors)}
    for file in set(files.values()):
        save_file({name: one for name, one in tensors.items() if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return str(folder)


def measured(base, tuned, out):
    out.mkdir(exist_ok=True)
    model = [SimpleNamespace(weights=str(path)) for path in (base, tuned)]
    configuration = SimpleNamespace(hardware=SimpleNamespace(device="cpu"))
    return weights.measure(SimpleNamespace(base=model[0], tuned=model[1], configuration=configuration, out=out))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    one = measured(BASE, write(folder / "tuned", tuned_tensors()), folder / "out")
    return one, read_json(folder / "out" / "modules.json")


def test_shares_and_norms_are_those_of_numpy(found):
    base, tuned = load_file(f"{BASE}/model.safetensors"), tuned_tensors()
    one = np.concatenate([base[name].flatten().numpy() for name in base])
    other = np.concatenate([tuned[name].flatten().numpy() for name in base])
    total = found[0]["total"]
    rounded = [torch.from_numpy(each).bfloat16().float().numpy() for each in (one, other)]
    wanted = {
        "bf16": (rounded[0] == rounded[1]).mean(),
        "float32": (one == other).mean(),
        "relative": (np.abs(other - one) <= 1e-3 * np.maximum(np.abs(one), np.abs(other))).mean(),
    }
    assert {key: total["unchanged"][key] for key in wanted} == pytest.approx(wanted, abs=1e-6)
    assert wanted["float32"] < wanted["relative"] and wanted["float32"] < wanted["bf16"]
    assert total["norm"] == pytest.approx(np.linalg.norm((other - one).astype(np.float64)), rel=1e-6)
    relative = np.linalg.norm((other - one).astype(np.float64)) / np.linalg.norm(one.astype(np.float64))
    assert total["relative_norm"] == pytest.approx(relative, rel=1e-6)
    assert total["parameters"] == len(one) == sum(cell["parameters"] for cell in found[0]["kinds"].values())
    largest = sum(
        int(((tuned[name] - base[name]).abs() <= 1e-3 * base[name].abs().max()).sum()) for name in base
    ) / len(one)  # fmt: skip
    assert total["unchanged"]["of_largest"] == pytest.approx(largest, abs=1e-6)


def test_ranks_are_those_of_numpy(found):
    base, tuned = load_file(f"{BASE}/model.safetensors"), tuned_tensors()
    for one in found[1]:
        update = (tuned[one["name"]] - base[one["name"]]).double().numpy()
        if update.ndim != 2:
            assert one["effective_rank"] is None
            continue
        values = np.linalg.svd(update, compute_uv=False)
        share = values[values > 0] / values.sum()
        assert one["effective_rank"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-3)
        assert one["stable_rank"] == pytest.approx((values**2).sum() / values[0] ** 2, rel=1e-6)
    rank_one = next(one for one in found[1] if one["name"] == Q)
    assert rank_one["effective_rank"] == pytest.approx(1, abs=0.01) and rank_one["kind"] == "q"
    assert rank_one["layer"] == 1 and set(found[0]["layers"]) == {"0", "1", "2", "3"}


def test_shards_and_a_tied_head_change_nothing(found, tmp_path):
    tensors = tuned_tensors()
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    again = measured(BASE, write(tmp_path / "sharded", tensors, shards=3), tmp_path / "out")
    assert again == found[0]


def test_equal_weights_are_all_unchanged_and_have_no_rank(tmp_path):
    total = measured(BASE, BASE, tmp_path)["total"]
    assert set(total["unchanged"].values()) == {1.0} and total["norm"] == 0
    assert total["effective_rank"] is None and total["stable_rank"] is None


def test_weights_stored_in_bfloat16_say_nothing_of_float32(tmp_path):
    base = {name: one.bfloat16() for name, one in load_file(f"{BASE}/model.safetensors").items()}
    tuned = {name: one.bfloat16() for name, one in tuned_tensors().items()}
    told = measured(write(tmp_path / "base", base), write(tmp_path / "tuned", tuned), tmp_path / "out")
    unchanged = told["total"]["unchanged"]
    assert told["stored"] == {"base": "bfloat16", "tuned": "bfloat16"} and unchanged["float32"] is None
    assert unchanged["relative"] == unchanged["bf16"]  # 1e-3 is less than half a step of bfloat16, 2^-9


@pytest.fixture
def adapter(tmp_path):
    made = torch.Generator().manual_seed(1)
    a, b = torch.randn(4, 128, generator=made), 0.01 * torch.randn(128, 4, generator=made)
    prefix = f"base_model.model.{Q.removesuffix('.weight')}"
    save_file({f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}, tmp_path / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_rslora": False}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    return tmp_path, 2 * b @ a


def test_an_adapter_is_merged(adapter):
    folder, update = adapter
    found = {change.name: change for change in changes(BASE, str(folder))}
    assert torch.equal(found[Q].update, update) and torch.allclose(found[Q].tuned, found[Q].base + update)
    assert all(not change.update.any() for name, change in found.items() if name != Q)
    told = measured(BASE, folder, folder / "out")
    assert told["kinds"]["mlp"]["unchanged"]["float32"] == 1 and told["kinds"]["q"]["effective_rank"] < 4.01
    config = read_json(folder / "adapter_config.json") | {"use_dora": True}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="use_dora=True"):
        list(changes(BASE, str(folder)))


def test_models_of_other_tensors_are_not_compared(tmp_path):
    tensors = load_file(f"{BASE}/model.safetensors")
    extra = write(tmp_path / "extra", tensors | {"model.extra.weight": torch.ones(2)})
    with pytest.raises(ValueError, match="model.extra.weight is in one of them"):
        list(changes(BASE, extra))
    other = write(tmp_path / "other", tensors | {"model.embed_tokens.weight": torch.ones(3, 128)})
    with pytest.raises(ValueError, match=r"\[102, 128\] in the base and \[3, 128\]"):
        list(changes(BASE, other))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.layers.3.self_attn.q_norm.weight", "norm"),
        ("model.layers.3.self_attn.o_proj.weight", "o"),
        ("model.layers.3.mlp.experts.7.up_proj.weight", "mlp"),
        ("lm_head.weight", "head"),
        ("transformer.h.11.attn.c_attn.weight", "qkv"),
        ("transformer.h.11.attn.c_proj.bias", "o"),
        ("gpt_neox.layers.5.attention.query_key_value.weight", "qkv"),
    ],
)
def test_kinds(name, kind):
    assert weights.kind_of(name) == kind


def test_estimated_ranks_are_near_those_of_all_singular_values():
    torch.manual_seed(0)
    bulk = torch.randn(200, 130)
    few = torch.randn(200, 8) @ torch.randn(8, 130)
    for matrix, near in ((bulk + 2 * few, 0.05), (few, 1e-3)):
        found = estimated(matrix, float((matrix**2).sum()), "a name")
        assert found == pytest.approx(ranks(matrix), rel=near)
        assert found == estimated(matrix, float((matrix**2).sum()), "a name")
