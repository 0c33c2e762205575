"""Writes a small experiment's folder in the documented format, without a model."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from conf import freeze
from conf.files import write_json
from conf.schema import Configuration
from evaluation.report import write_results
from evaluation.report.page import render
from evaluation.summing import all_scores

BENCHMARKS = {
    **dict.fromkeys(("add", "chain", "long"), "math"),
    **dict.fromkeys(("sort", "count", "plan"), "other_reasoning"),
    **dict.fromkeys(("fact", "reading", "polite"), "non_reasoning"),
}
STRATEGIES = ("direct", "steps", "careless")
RECIPES = {
    "sft": {"trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log", "learning_rate": 5e-5},
    "grpo": {"trainer": "policy", "q": "policy", "w": "group_advantage", "surrogate": "clipped", "learning_rate": 3e-4},
}
RECIPES |= {
    "iterative_rft": RECIPES["grpo"] | {"q": "snapshot", "w": "right", "surrogate": "log", "resample_steps": 1},
    "offpolicy_rl": RECIPES["grpo"] | {"q": "teacher", "surrogate": "log"},
    "grpo_kl": RECIPES["grpo"] | {"beta": 0.04},
    "grpo_random_reward": RECIPES["grpo"] | {"reward_funcs": ["random"]},
    "sft_format_only": RECIPES["sft"] | {"trainer": "policy", "target_form": "of_another_prompt"},
}


def configuration(arm="sft", seed=0, runs="runs", experiment="tiny", arms=("sft", "grpo"), **sections) -> Configuration:
    recipe = {"name": arm, "treatment": ["recipe"], **RECIPES[arm]}
    defaults = {
        "experiment": {"name": experiment, "arms": list(arms)},
        "recipe": recipe,
        "suite": {"items": 30, "samples": 4},
    }
    rest = {name: {} for name in ("model", "data", "train", "hardware", "logger")}
    return Configuration(seed=seed, runs=runs, **(rest | defaults | sections))


def write_evaluation(
    folder: Path, step: int, skill: dict[str, float], seed: int, say=None, benchmarks=None, items=30, samples=4
):
    """Responses right with the chance `skill[group]`; `say` replaces the text of every response."""
    folder.mkdir(parents=True)
    rng, rows = random.Random(f"{folder.name}{seed}{step}"), []
    for benchmark, group in (benchmarks or BENCHMARKS).items():
        for number in range(items):
            for sample in range(samples + 1):
                right = rng.random() < skill[group]
                rows.append(
                    {
                        **{"benchmark": benchmark, "group": group, "kind": "text", "item": f"{benchmark}-{number}"},
                        **{"prompt": f"{benchmark} {number}", "reference": str(number), "sample": sample},
                        **{
                            "response": say or f"so {number if right else number + 1}",
                            "outcome": "right" if right else "wrong",
                        },
                        **modes(right, group, number),
                        **{"reason": "equal" if right else "differs", "extracted": str(number), "completion_tokens": 9},
                        **{
                            "strategy": rng.choice(STRATEGIES) if group == "math" else "",
                            "truncated": rng.random() < 0.02,
                        },
                    }
                )
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    write_json(folder / "scores.json", {"step": step, "label": str(folder), "settings": {}, **all_scores(columns)})


def modes(right: bool, group: str, number: int) -> dict[str, str | None]:
    """Every third answer is known, whatever its form; the published extractor of non-reasoning finds every second."""
    grades = {"strict": right, "aware": right or number % 3 == 0, "paper": right and number % 2 == 0}
    words: dict[str, str | None] = {mode: "right" if grade else "wrong" for mode, grade in grades.items()}
    return words if group == "non_reasoning" else words | {"paper": None}


def write_run(
    root: Path, arm: str, seed: int, skills: dict[int, dict[str, float]], say=None, benchmarks=None, **sections
):
    folder = root / "arms" / arm / f"seed-{seed}"
    for step, skill in skills.items():
        write_evaluation(folder / "evaluation" / f"step-{step:06d}", step, skill, seed, say, benchmarks)
    freeze.write(configuration(arm, seed, str(root.parent), root.name, **sections), folder / "config.yaml")
    start = {"git": {"commit": "0" * 40}, "device": "cpu", "packages": {"trl": "1.16.0"}}
    write_json(folder / "manifest.json", {"base": "0" * 64, "starts": [start]})
    steps = range(1, max(skills) + 1)
    write_rows(folder / "ledger.jsonl", [ledger_row(step, 16 if arm == "grpo" else 1) for step in steps])
    write_rows(folder / "metrics.jsonl", [metrics_row(arm, seed, step) for step in steps])


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def metrics_row(arm: str, seed: int, step: int) -> dict[str, float]:
    """As training logs it; an arm that imitates earns no rewards, and one step of one seed had nothing to measure."""
    rng = random.Random(f"{arm}{seed}{step}")
    row = {"step": step, "completions/mean_length": rng.uniform(20, 30), "entropy": rng.uniform(0.2, 0.4)}
    row |= {"grad_norm": rng.uniform(0.1, 2), "loss": rng.uniform(-1, 1)}
    if arm == "grpo":
        row["rewards/accuracy/mean"] = rng.random()
    return row if (seed, step) == (1, 3) else row | {"kl_base/exact": rng.uniform(0, 0.01) * step}


def ledger_row(step: int, samples: int) -> dict[str, float]:
    prompts, completions = 24 * step, 24 * step * samples
    tokens = {"tokens_prompted": 12 * prompts, "tokens_generated": 30 * completions, "tokens_trained": 30 * completions}
    about = {"step": step, "prompts_shown": prompts, "completions": completions, "optimizer_updates": step}
    return {**about, **tokens, "seconds": 2.5 * step, "peak_memory_bytes": 700_000_000}


def skill(math: float, other: float, non: float) -> dict[str, float]:
    return {"math": math, "other_reasoning": other, "non_reasoning": non}


def write_experiment(root: Path, seeds=(0,), say=None) -> Path:
    """Base, SFT and GRPO with two checkpoints each."""
    root.mkdir(parents=True)
    write_evaluation(root / "base" / "evaluation", 0, skill(0.5, 0.6, 0.7), 0)
    for seed in seeds:
        write_run(root, "sft", seed, {20: skill(0.6, 0.5, 0.5), 40: skill(0.7, 0.4, 0.4)}, say)
        write_run(root, "grpo", seed, {20: skill(0.75, 0.6, 0.7), 40: skill(0.9, 0.62, 0.68)})
    write_json(root / "lock.json", {"order": "a" * 64, "rows": "b" * 64, "base": "c" * 64})
    (root / "data").mkdir()
    write_json(
        root / "data" / "manifest.json",
        {"counts": {"loaded": 963, "rows_for_policy_arms": 960, "rows_for_teacher_arms": 950}},
    )
    return root


def write_page(root: Path) -> str:
    """The page without its figures, which take most of the time; results.json and tables/ are written."""
    return render(write_results(root), {})


def write_sweep(root: Path, seeds=(100,), splits=("validation", "test"), items=40) -> None:
    """Three rates an arm with two checkpoints each: the higher the rate, the more is gained and the less is kept."""
    folder = root.parent / f"{root.name}-sweep"
    folder.mkdir()
    rates = {"sft": [2.5e-5, 5e-5, 1e-4], "grpo": [1e-4, 3e-4, 8e-4]}
    fall = {"sft": 0.11, "grpo": 0.03}

    def scored(skills: dict[str, float], seed: str) -> dict:
        rng = random.Random(seed)
        letters = {
            name: "".join("1" if rng.random() < skills[group] else "0" for _ in range(items))
            for name, group in BENCHMARKS.items()
        }
        own = {g: [letters[name].count("1") / items for name in letters if BENCHMARKS[name] == g] for g in skills}
        return {"groups": {group: 100 * sum(one) / len(one) for group, one in own.items()}, "items": letters}

    points = [
        {
            **{"arm": arm, "learning_rate": rate, "seed": seed, "step": step, "spent": {"prompts": 16 * step}},
            "splits": {
                split: scored(_swept(fall[arm], n, step), f"{split}{arm}{rate}{seed}{step}") for split in splits
            },
        }
        for arm, own in rates.items()
        for n, rate in enumerate(own)
        for seed in seeds
        for step in (20, 40)
    ]
    bases = {split: scored(skill(0.5, 0.6, 0.7), split) for split in splits}
    about = {"chosen": {"sft": 5e-5, "grpo": 3e-4}, "seeds": list(seeds), "benchmarks": BENCHMARKS, "bases": bases}
    write_json(folder / "sweep.json", {**about, "points": points})


def _swept(fall: float, rate: int, step: int) -> dict[str, float]:
    return skill(0.6 + 0.09 * rate * step / 40, 0.6 - fall * (rate + step / 40), 0.7 - fall * (rate + step / 40))
