"""Sizes that need no network, against the totals that are published and against transformers' own models."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from conf.files import write_json
from models import sizes

PUBLISHED = {  # parameters of the safetensors files, as the hub shows them
    "Qwen/Qwen3-0.6B-Base": 596_049_920,
    "Qwen/Qwen3-1.7B-Base": 1_720_574_976,
    "Qwen/Qwen3-4B-Base": 4_022_468_096,
    "Qwen/Qwen3-8B-Base": 8_190_735_360,
    "Qwen/Qwen3-14B-Base": 14_768_307_200,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
}


def test_every_published_model_has_its_parameters():
    assert {path: sizes.parameters(config).total for path, config in sizes.published().items()} == PUBLISHED


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama", "mistral"])
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_transformers(kind, tied):
    sized = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    sized |= {"intermediate_size": 150, "vocab_size": 200, "tie_word_embeddings": tied}
    sized |= {"head_dim": 24} if kind == "qwen3" else {}
    sized |= {"attention_bias": True, "mlp_bias": True} if kind == "llama" else {}
    config = AutoConfig.for_model(kind, **sized)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert sizes.parameters(config.to_dict()).total == sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize("kind", ["olmo2", "smollm3", "phi3", "gemma2", "gpt_neox"])
def test_other_architectures_are_close(kind):
    sized = {"hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 8, "intermediate_size": 4096}
    config = AutoConfig.for_model(kind, **sized)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    total = sum(one.numel() for one in model.parameters())
    assert sizes.parameters(config.to_dict()).total == pytest.approx(total, rel=0.002)


def test_a_folder_speaks_for_itself(tmp_path):
    write_json(tmp_path / "config.json", {"model_type": "llama", "hidden_size": 8})
    assert sizes.config(str(tmp_path)) == {"model_type": "llama", "hidden_size": 8}
    assert sizes.config("models/embedded")["vocab_size"] == 102
    assert sizes.config("no/such-model") is None and sizes.config(str(tmp_path / "nothing")) is None
    assert sizes.parameters({"model_type": "qwen3_moe"}) is None
