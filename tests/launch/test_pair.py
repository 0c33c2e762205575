"""Which arm goes first, what the others may spend, and the whole pair under matched FLOPs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.errors import UserError
from conf.files import read_json, read_jsonl, write_json
from conf.schema import Configuration
from evaluation.spending import spent
from launch import budget, estimate, pair
from launch.compose import compose
from models import flops
from models.folder import check
from train.ledger import NO_TARGETS

ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., Configuration]


def both(*overrides: str) -> list[Configuration]:
    return pair.pairs(["experiment=embedded", *overrides])


def arm(configurations: list[Configuration], name: str) -> Configuration:
    return next(one for one in configurations if one.recipe.name == name)


def test_the_dearer_arm_is_the_one_that_trains_or_samples_more() -> None:
    equal = ["recipe.num_generations=8", "data.targets_per_prompt=8"]
    for match in ("flops", "trained_tokens", "device_seconds"):
        assert budget.dearest(both(f"budget.match={match}", *equal)) == "grpo"
        wide = both(f"budget.match={match}", "recipe.num_generations=2", "data.targets_per_prompt=16")
        assert budget.dearest(wide) == "sft"
    # to sample and train on eight responses takes more FLOPs than to train on nine, and fewer trained tokens
    close = ["recipe.num_generations=8", "data.targets_per_prompt=9"]
    assert budget.dearest(both("budget.match=flops", *close)) == "grpo"
    assert budget.dearest(both("budget.match=trained_tokens", *close)) == "sft"


def test_an_expected_step_is_what_the_ledger_would_book() -> None:
    given = compose(["recipe=grpo", "recipe.num_iterations=2", "recipe.beta=0.1", "train.prompts_per_step=3"])
    shape, step = flops.read(given.model.path), estimate.step(given, prompt=10, response=20)
    assert shape and step.completions == 24 and step.trained_tokens == 2 * 24 * 20
    rows = [(10, 20)] * 24
    assert step.train == 2 * flops.train(shape, rows) + 2 * flops.score(shape, rows)
    prompts = [[number] * 10 for number in range(3) for _ in range(8)]
    assert step.generate == flops.generate(shape, prompts, [[0] * 20] * 24)


def entry(**changes: float) -> dict[str, float]:
    """Fifty steps of a run that samples, its responses twice as long as its prompts."""
    counted = {"step": 50, "prompts_shown": 800, "completions": 6400, "tokens_prompted": 64000}
    counted |= {"tokens_generated": 128000, "tokens_trained": 128000, "flops": 4.0e12}
    return {
        **counted,
        "seconds": 100.0,
        "seconds_generate": 30.0,
        "seconds_reward": 10.0,
        "device_seconds": 200.0,
        **NO_TARGETS,
        **changes,
    }


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_an_estimated_horizon_follows_from_what_the_dearer_run_measured(schedule: str, tmp_path: Path) -> None:
    given = both("budget.match=device_seconds", "train.steps=50", f"train.lr_scheduler_type={schedule}")
    sft, grpo = arm(given, "sft"), arm(given, "grpo")
    other = budget.limited(sft, grpo, entry(), tmp_path)
    # the same training, without the 30 seconds of sampling and the 10 of waiting: 60 seconds for 50 steps, on 2 devices
    per_step = 2 * 60 / 50
    assert other.budget.limit == 200
    needed = -(-200 // per_step)
    assert other.train.steps == -(-needed * {"constant": 2.0, "linear": 1.1}[schedule] // 1)
    assert other.train.save_steps == -(-25 * needed // 50)


def test_an_arm_that_samples_less_gets_more_steps(tmp_path: Path) -> None:
    given = both("budget.match=trained_tokens", "experiment.arms=[grpo]", "train.steps=50", "train.save_steps=10")
    half = given[0].model_copy(update={"recipe": given[0].recipe.model_copy(update={"num_generations": 4})})
    other = budget.limited(half, given[0], entry(), tmp_path)
    assert (
        other.budget.limit == 128000 and other.train.steps == 200
    )  # 16 prompts, 4 responses of 20 tokens: 100, doubled


def test_what_cannot_be_counted_is_refused_before_anything_is_spent(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model_type"):
        budget.check([make("budget.match=flops")])
    budget.check([make("budget.match=trained_tokens")])
    unknown = dict.fromkeys(("flops_generate", "teacher_parameters", "device_seconds"))
    known = dict.fromkeys(("responses", "rejected", "tokens_prompted", "tokens_generated", "seconds"), 1)
    write_json(tmp_path / "manifest.json", {"ledger": known | unknown})
    targets = ["budget.match=device_seconds", f"data.targets={tmp_path}"]
    with pytest.raises(UserError, match="count_targets"):
        budget.check([make("recipe=grpo", *targets), make("recipe=sft", *targets, "budget.count_targets=true")])
    budget.check([make("recipe=sft", *targets), make("recipe=grpo", *targets, "budget.count_targets=true")])


def test_each_match_has_a_folder_of_its_own() -> None:
    assert pair.named(["experiment=embedded"]) == ["experiment=embedded"]
    assert pair.named(["budget.match=flops"])[-1] == "experiment.name=embedded-flops"
    assert pair.named(["budget.match=flops", "experiment.name=mine"])[-1] == "experiment.name=mine"


def command(runs: Path, *more: str) -> list[str]:
    small = ["train.steps=8", "train.save_steps=4", "suite.items=2", "suite.samples=1", "data.rows=64"]
    names = ["budget.match=flops", "recipe.num_generations=4", "data.targets_per_prompt=1"]
    return [sys.executable, "-m", "launch.pair", "experiment=embedded", f"runs={runs}", *small, *names, *more]


@pytest.mark.slow
def test_the_pair_spends_equal_flops_and_says_so(tmp_path: Path) -> None:
    check("models/embedded")
    done = subprocess.run(command(tmp_path), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("grpo/seed-0: done") < done.stdout.index("sft/seed-0: ")
    folder = tmp_path / "embedded-flops"
    ends = {name: read_jsonl(folder / f"arms/{name}/seed-0/ledger.jsonl") for name in ("sft", "grpo")}
    limit = spent(ends["grpo"][-1], "flops", False)
    assert ends["sft"][-2]["flops"] < limit <= ends["sft"][-1]["flops"]
    assert ends["sft"][-1]["step"] > ends["grpo"][-1]["step"] == 8
    results = read_json(folder / "report/results.json")
    assert results["budget"]["match"] == "flops" and not [
        row for row in results["changed"] if row["class"] == "not declared"
    ]
    before = {name: json.dumps(rows) for name, rows in ends.items()}
    again = subprocess.run(command(tmp_path), cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and "training" not in again.stdout, again.stdout + again.stderr
    assert before == {name: json.dumps(read_jsonl(folder / f"arms/{name}/seed-0/ledger.jsonl")) for name in before}
