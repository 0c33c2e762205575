"""Packages that a configuration asks for and this machine does not have: one message that names what to install."""

from importlib.util import find_spec

import pytest

from conf.errors import UserError
from launch import extras, show
from models import serving

SERVER = ["rollouts.use_vllm=true", "rollouts.vllm_mode=server", "recipe=grpo"]


@pytest.mark.parametrize(
    ("package", "overrides", "why", "change"),
    [
        ("vllm", ["recipe=grpo", "rollouts.use_vllm=true"], "package vllm", ".[vllm]"),
        ("vllm", [*SERVER, "rollouts.vllm_weight_sync=nccl"], "package vllm", "rollouts.use_vllm=false"),
        ("vllm", [*SERVER, "rollouts.vllm_weight_sync=folder"], "command `vllm`", ".[vllm]"),
        ("vllm", ["suite.backend=vllm"], "command `vllm`", "suite.backend=transformers"),
        ("flash_attn", ["model.attn_implementation=flash_attention_2"], "package flash_attn", "flash-attn"),
        ("liger_kernel", ["model.use_liger_kernel=true"], "package liger_kernel", ".[liger]"),
        ("bitsandbytes", ["model.quantization=nf4", "model.lora_rank=8"], "package bitsandbytes", ".[quantization]"),
    ],
)
def test_what_is_not_installed_is_named(make, package, overrides, why, change):
    if find_spec(package) is not None or package == "vllm" and serving.executable():
        pytest.skip(f"{package} is installed")
    with pytest.raises(UserError, match=why) as caught:
        extras.check(make("hardware=gpu1", *overrides))
    assert change in caught.value.change


def test_an_arm_that_samples_nothing_needs_no_vllm(make):
    extras.check(make("hardware=gpu1", "recipe=sft", "rollouts.use_vllm=true", "suite.backend=transformers"))


def test_a_run_that_is_printed_shows_its_server(make, capsys):
    asked = ["hardware=gpu8", "hardware.launcher=print", "train.prompts_per_step=8", *SERVER]
    assert show.shown([make(*asked, "rollouts.vllm_tensor_parallel_size=2")])
    said = capsys.readouterr().out
    assert " --host 127.0.0.1 --port PORT --dtype bfloat16 --tensor-parallel-size 2 " in said
    assert '{"backend": "nccl"}' in said and "--generation-config vllm" in said
