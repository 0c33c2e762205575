"""Training on one CUDA device: what it computes against a CPU, what it takes against the plan."""

from importlib.util import find_spec

import pytest

from bench.gpu import CASES, WITHIN, Case, run
from conf.files import read_jsonl
from launch.compose import compose
from launch.training import train_all

SMALL = [
    *("experiment=embedded", "train.steps=3", "train.save_steps=3", "train.prompts_per_step=4", "data.rows=64"),
    *("recipe.num_generations=4", "data.targets_per_prompt=4", "suite.benchmarks=[arithmetic_3]", "suite.items=2"),
    *("suite.samples=1", "suite.max_new_tokens=16", "suite.backend=transformers"),
]
ONE = ["hardware=gpu1", "model.attn_implementation=sdpa"]


@pytest.fixture
def trained(tmp_path):
    """Metrics of a run by the command line, step by step."""

    def train(name, *overrides):
        (folder,) = train_all([compose([*SMALL, f"experiment.name={name}", f"runs={tmp_path}", *overrides])])
        return read_jsonl(folder / "metrics.jsonl")

    return train


@pytest.mark.parametrize("spread", [0, 2, 3])
@pytest.mark.parametrize("recipe", ["sft", "grpo"])
def test_bfloat16_and_zero_train_as_a_cpu_does(trained, recipe, spread):
    """Of GRPO the first responses may differ, since bfloat16 moves draws; what they are worth does not by much."""
    cpu = trained("cpu", f"recipe={recipe}")
    cuda = trained("cuda", f"recipe={recipe}", *ONE, f"hardware.zero_stage={spread}")
    assert [row["step"] for row in cuda] == [1, 2, 3]
    if recipe == "sft":
        assert [row["loss"] for row in cuda] == pytest.approx([row["loss"] for row in cpu], rel=0.02)
    else:
        assert cuda[0]["entropy"] == pytest.approx(cpu[0]["entropy"], rel=0.25)
        assert all(row["sampling/sampling_logp_difference/mean"] < 0.1 for row in cuda)


@pytest.mark.skipif(find_spec("vllm") is None, reason="vllm is not installed")
@pytest.mark.parametrize("sleeps", [True, False])
def test_vllm_beside_the_policy_samples_from_it(trained, sleeps):
    """Every step's weights reach it: else the probe after each, or the bound on the difference, ends the run."""
    share = ["rollouts.use_vllm=true", "rollouts.vllm_gpu_memory_utilization=0.3", "recipe.learning_rate=1e-3"]
    rows = trained("vllm", "recipe=grpo", *ONE, *share, f"rollouts.vllm_enable_sleep_mode={sleeps}")
    assert len(rows) == 3 and all(row["sampling/sampling_logp_difference/mean"] < 0.1 for row in rows)


@pytest.mark.parametrize(
    ("package", "override"),
    [
        ("liger_kernel", "model.use_liger_kernel=true"),
        ("flash_attn", "model.attn_implementation=flash_attention_2"),
        ("bitsandbytes", "model.quantization=nf4"),
    ],
)
def test_kernels_change_rounding_and_no_more(trained, package, override):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    lora = ["recipe=sft", *ONE, "model.lora_rank=8"]
    plain, own = trained("plain", *lora), trained("own", *lora, override)
    off = 0.1 if package == "bitsandbytes" else 0.02  # 4 bits are another base
    assert [row["loss"] for row in own] == pytest.approx([row["loss"] for row in plain], rel=off)


@pytest.mark.parametrize("name", [name for name in CASES if "vLLM" not in name])
def test_peak_memory_is_the_planned_one(tmp_path, name):
    found = run(name, CASES[name], tmp_path)
    assert found.peak == pytest.approx(found.planned, rel=WITHIN)


def test_the_shapes_of_qwen3_14b_take_a_step(tmp_path):
    """All heads, the width and the vocabulary; fewer layers, with an adapter."""
    case = Case("Qwen/Qwen3-14B-Base", 4, ("recipe=grpo", "model.lora_rank=16", "model.dtype=bfloat16"))
    found = run("grpo 14B shapes", case, tmp_path)
    assert found.tokens > 0 and found.phases["generate"] > 0
