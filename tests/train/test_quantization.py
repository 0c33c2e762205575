"""QLoRA: a base of 4 bits, an adapter that learns, and the same base wherever it is read."""

from importlib.util import find_spec

import pytest
import torch

from conf.errors import UserError
from conf.files import read_jsonl
from conf.validate import validate
from models.adapter import adapted
from models.handing import weights
from models.loading import load, load_configured
from train import worker

QLORA = {"model__quantization": "nf4", "model__lora_rank": 4}
SMALL = {"data__max_completion_length": 40, "train__steps": 2, "train__save_steps": 2, "train__kl_rows": 4}
needs_package = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")


@needs_package
def test_the_base_is_rounded_to_sixteen_values_and_the_adapter_is_not(configure):
    configuration = configure("sft", **QLORA)
    base, tokenizer = load_configured(configuration)
    plain, _ = load(configuration.model.path)
    model = adapted(configuration, base)
    kinds = {str(one.dtype) for one in model.parameters()}
    assert kinds == {"torch.uint8", "torch.float32"} and all(one.dtype == torch.float32 for one in learned(model))
    found, exact = dict(weights(model, torch.float32)), dict(plain.named_parameters())
    assert set(found) == set(exact)
    for name, value in found.items():
        off = (value - exact[name]).norm() / exact[name].norm()
        assert value.shape == exact[name].shape and (0.01 < off < 0.15 if "proj" in name else off == 0), name
        if "proj" in name:
            assert len((value.flatten()[:64] / value.flatten()[:64].abs().max()).unique()) <= 16


def learned(model):
    return [one for one in model.parameters() if one.requires_grad]


@needs_package
def test_weights_that_are_handed_over_are_the_adapted_models(configure):
    """A plain model with them gives the logits of the base of 4 bits and the adapter together."""
    configuration = configure("sft", **QLORA)
    model = adapted(configuration, load_configured(configuration)[0])
    torch.manual_seed(0)
    for one in learned(model):
        one.data = 0.1 * torch.randn_like(one)
    whole, _ = load(configuration.model.path)
    whole.load_state_dict(dict(weights(model, torch.float32)), strict=False)
    ids = torch.randint(5, 40, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(whole(ids).logits, model(ids).logits, rtol=1e-3, atol=1e-3)


@needs_package
@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["sft", "grpo"])
def test_it_is_trained_and_evaluated_and_its_base_stays(configure, run_folder, recipe):
    configuration = configure(recipe, **SMALL, **QLORA, recipe__learning_rate=1e-2, recipe__reward_funcs=["random"])
    folder = run_folder(configuration)
    worker.run(folder)
    steps = read_jsonl(folder / "metrics.jsonl")
    assert steps[0]["kl_base/exact"] == pytest.approx(0, abs=1e-6) and steps[1]["kl_base/exact"] > 1e-4
    assert (folder / "evaluation/step-000002/scores.json").exists()
    saved = worker.load_saved(configuration, folder, 2)
    base = dict(weights(load_configured(configuration)[0], torch.float32))
    changed = [name for name, one in weights(saved, torch.float32) if not torch.equal(one, base[name])]
    assert changed and all("proj" in name for name in changed)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model__quantization": "nf4"}, "QLoRA trains an adapter"),
        (QLORA | {"hardware__zero_stage": 3}, "ZeRO-3"),
        ({"model__use_liger_kernel": True}, "Triton"),
        ({"model__attn_implementation": "flash_attention_2"}, "CUDA devices"),
    ],
)
def test_what_cannot_be_is_refused(configure, changes, why):
    with pytest.raises(UserError, match=why):
        validate(configure("sft", **changes).model_dump(mode="json"))
