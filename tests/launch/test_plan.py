"""The plan of an experiment: without a network it is made, and what does not fit is refused with a change that does."""

import subprocess
import sys

import pytest

from conf.errors import UserError
from conf.files import read_json
from launch import costs, machine, needs, plan, remedy
from launch.compose import compose
from models import sizes

PAIR = "experiment=qwen3_14b_math"
OWN = "rollouts.use_vllm=false"  # the project's generator


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(machine, "_asks_hub", lambda: pytest.fail("the hub was asked"))


def planned(tmp_path, *overrides):
    plan.main([f"runs={tmp_path}", *overrides])
    (file,) = tmp_path.rglob("plan.json")
    return read_json(file)


def test_the_published_pair_is_planned_without_a_network(tmp_path, capsys):
    found = planned(tmp_path, PAIR)
    said = capsys.readouterr().out
    assert list(found["arms"]) == ["sft", "grpo"] and found["change"] is None
    for arm in found["arms"].values():
        assert arm["fits"] and arm["peak_gib"] <= arm["device_gib"] and arm["best_zero_stage"] == 3
        assert arm["total"]["money"] == pytest.approx(3 * arm["total"]["device_hours"])
        assert not arm["zero_stages"]["2"]["largest_micro_batch"]
    parts = found["arms"]["grpo"]["phases_gib"]
    assert "vLLM" in parts["rollouts"] and "logits" in parts["head"]
    own = needs.of(compose([PAIR, "recipe=grpo", OWN])).phases["rollouts"]
    assert {"key-value cache", "gathered model"} <= set(own)
    assert found["arms"]["grpo"]["total"]["flops"] > found["arms"]["sft"]["total"]["flops"]
    assert "making targets" in said and "plan.response_length=3072" in said


def test_a_plan_needs_no_torch():
    code = "import sys, launch.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("overrides", "change"),
    [
        (["recipe=grpo", "recipe.micro_batch_size=8"], {"recipe.micro_batch_size": 2}),
        (["recipe=sft", "hardware.zero_stage=2"], {"hardware.zero_stage": 3}),
        (["recipe=sft", "hardware.gradient_checkpointing=false"], {"hardware.gradient_checkpointing": True}),
        (["recipe=grpo", "hardware.generation_tokens=131072"], {"hardware.generation_tokens": 65536}),
    ],
)
def test_what_does_not_fit_is_refused_with_the_smallest_change(tmp_path, overrides, change):
    with pytest.raises(UserError, match="GiB of a device's") as caught:
        planned(tmp_path, PAIR, *overrides)
    text = " ".join(f"{key}={str(value).lower() if value is True else value}" for key, value in change.items())
    assert caught.value.change.endswith(text)
    (file,) = tmp_path.rglob("plan.json")
    assert read_json(file)["change"] == change
    told = [given for given in overrides if given.partition("=")[0] not in change]
    plan.main([f"runs={tmp_path}", PAIR, *told, *text.split()])  # and with it the plan is made


def test_no_smaller_change_would_do():
    """The change against every single key, each at every value tried."""
    arms = [compose([PAIR, f"recipe={name}", "hardware=gpu1", "model=qwen3_4b"]) for name in ("sft", "grpo")]
    change = remedy.smallest(arms)
    assert change and all(remedy.fits(remedy.changed(arm, change)) for arm in arms)
    for key in change:
        rest = {name: value for name, value in change.items() if name != key}
        assert not all(remedy.fits(remedy.changed(arm, rest)) for arm in arms)


def test_the_largest_micro_batch_is_the_last_that_fits():
    arm = compose([PAIR, "recipe=sft", "model=qwen3_1_7b"])
    rows = remedy.largest_micro_batch(arm)
    assert rows and 64 % rows == 0 and remedy.fits(remedy.changed(arm, {"recipe.micro_batch_size": rows}))
    assert rows == 64 or not remedy.fits(remedy.changed(arm, {"recipe.micro_batch_size": 2 * rows}))


def test_a_critic_and_a_reference_are_in_it():
    plain, critic = (needs.of(compose([PAIR, f"recipe={name}", "hardware=nodes4x8"])) for name in ("grpo", "ppo"))
    assert "critic" not in plain.phases["backward"]
    assert {"critic", "activations of the critic"} <= set(critic.phases["backward"])
    reference = needs.of(compose([PAIR, "recipe=grpo_kl", "hardware=nodes4x8"]))
    assert "base and snapshot" in reference.phases["backward"]
    adapter = needs.of(compose([PAIR, "recipe=grpo_kl", "hardware=nodes4x8", "model.lora_rank=32"]))
    assert "base and snapshot" not in adapter.phases["backward"]


def test_vllm_takes_its_share_and_sleeps():
    asked = [PAIR, "recipe=grpo", "rollouts.use_vllm=true", "rollouts.vllm_gpu_memory_utilization=0.5"]
    asleep, awake = needs.of(compose(asked)), needs.of(compose([*asked, "rollouts.vllm_enable_sleep_mode=false"]))
    assert "vLLM" in asleep.phases["rollouts"] and "vLLM" not in asleep.phases["backward"]
    assert awake.phases["backward"]["vLLM"] == pytest.approx(0.5 * 79.2 * 2**30)
    own, served = (
        costs.rollout_seconds(compose(given), needs.sized("", "Qwen/Qwen3-14B-Base"))
        for given in ([*asked[:2], OWN], asked)
    )
    assert served < own / 5


def test_a_server_takes_devices_of_its_own():
    asked = [PAIR, "recipe=grpo", "rollouts.vllm_mode=server", "rollouts.vllm_tensor_parallel_size=2"]
    arm = compose(asked)
    assert needs.set_aside(arm) == 2 and "vLLM" not in needs.of(arm).phases["rollouts"]
    rollouts = next(cost for cost in costs.of(arm) if cost.name == "rollouts")
    assert rollouts.devices == 8 + 2 and needs.set_aside(compose([PAIR, "recipe=sft", *asked[2:]])) == 0


def test_four_bits_take_an_eighth_of_float32():
    adapter = [PAIR, "recipe=sft", "hardware=gpu1", "model.lora_rank=32", "hardware.mixed_precision=no"]
    plain, packed = (needs.of(compose([*adapter, f"model.quantization={q}"])) for q in ("none", "nf4"))
    own = needs.sized("", "Qwen/Qwen3-14B-Base").own
    saved = plain.phases["backward"]["parameters"] - packed.phases["backward"]["parameters"]
    assert saved == pytest.approx(own.layers * own.layer * (4 - 0.516), rel=1e-3)
    assert packed.phases["loading"]["whole model"] < plain.phases["loading"]["whole model"] / 2


def test_lora_needs_less_than_all_parameters():
    full, adapter = (needs.of(compose([PAIR, "recipe=sft", *more])) for more in ([], ["model.lora_rank=32"]))
    assert adapter.phases["backward"]["optimizer"] < full.phases["backward"]["optimizer"] / 50


def test_time_and_money_are_unknown_where_the_device_is():
    arm = compose([PAIR, "recipe=grpo", "hardware.peak_tflops=0", "hardware.price_per_device_hour=0"])
    found = plan.plan(arm)
    assert found["total"]["seconds"] is None and found["total"]["money"] is None and found["total"]["flops"] > 0


def test_rows_longer_than_the_model_reads_are_refused(tmp_path):
    with pytest.raises(UserError, match="trained for 32768 tokens"):
        planned(tmp_path, PAIR, "data.max_completion_length=40000")


def test_a_model_of_unknown_sizes_is_refused(tmp_path):
    with pytest.raises(UserError, match="Qwen/Qwen3-14B-Base") as caught:
        planned(tmp_path, PAIR, "model.path=some/model")
    assert caught.value.given == "model.path=some/model"


def test_every_published_model_has_a_file():
    from launch.compose import options

    paths = {compose([f"model={name}"]).model.path for name in options("model")}
    assert set(sizes.published()) - paths == {"Qwen/Qwen3-32B"}  # the teacher


def test_the_embedded_experiment_is_planned_from_measured_speeds(tmp_path):
    found = planned(tmp_path, "experiment=embedded")
    assert all(arm["fits"] and arm["total"]["seconds"] for arm in found["arms"].values())
    assert found["total"]["money"] is None


def test_further_suites_are_counted_as_often_as_they_are_scored():
    own = "suites.embedded"
    given = [PAIR, "suites=[embedded]", f"{own}.items=50", f"{own}.samples=1", f"{own}.max_new_tokens=4096"]
    model = needs.sized("model.path", compose([PAIR]).model.path)
    plain = costs.evaluation(compose([PAIR]), model)
    saves = 140 // 35
    for when, times in (("save", saves), ("end", 1), ("base", 0)):
        more = costs.evaluation(compose([*given, f"{own}.when=[{when}]"]), model)
        share = times * 50 / (saves * 100)  # 50 of 100 items, with as many samples
        assert more.flops == pytest.approx(plain.flops * (1 + share))
        assert more.seconds == pytest.approx(plain.seconds * (1 + share), rel=0.1)


def test_what_drift_takes_is_counted_where_it_is_asked_for():
    model = needs.sized("model.path", compose([PAIR]).model.path)
    found = {one.name: one for one in costs.of(compose([PAIR]))}
    assert "drift" not in {one.name for one in costs.of(compose([PAIR, "drift.measures=[]"]))}
    halved = compose([PAIR, "drift.measures=[tokens]", "drift.tokens_items=50"])
    whole = compose([PAIR, "drift.measures=[tokens]"])
    assert costs.drift(halved, model).flops == pytest.approx(costs.drift(whole, model).flops / 2)
    assert 0 < costs.drift(whole, model).seconds < found["drift"].seconds
    at_end = compose([PAIR, "drift.when=[end]"])
    assert costs.drift(at_end, model).flops == pytest.approx(found["drift"].flops / 4)
