"""How long the report of a large experiment takes to make and to open: 8 arms, 3 seeds, 20 checkpoints, 12 benchmarks.

The folder is made here, in the real formats and always the same; what its models say is made up.
"""

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import Figure
from bench.browser import browser, chromium
from conf import freeze
from conf.files import append_jsonl, write_json
from conf.schema import Configuration
from conf.validate import validate
from evaluation.scores import item_scores, mean_of
from evaluation.summing import all_scores
from models.seeds import stream

ARMS = ("sft", "rft", "dft", "grpo", "grpo_kl", "ppo", "rloo", "offpolicy")
SEEDS, CHECKPOINTS, EVERY, ITEMS, SAMPLES = 3, 20, 5, 35, 4
GROUPS = {
    "math": ("math500", "aime24", "aime25", "olympiad"),
    "other_reasoning": ("gpqa", "livecodebench", "acpbench", "headqa"),
    "non_reasoning": ("coqa", "ifeval", "halueval", "mctaco"),
}
WORDS = ("so", "then", "we", "add", "both", "sides", "and", "divide", "by", "two", "which", "gives", "the", "answer")
TEXTS = 997  # different responses, before each gets its number
RESPONSES = (1 + len(ARMS) * SEEDS * CHECKPOINTS) * sum(map(len, GROUPS.values())) * ITEMS * (1 + SAMPLES)


def figures() -> Iterator[Figure]:
    """Making the report from the run folder alone, and opening its page."""
    with tempfile.TemporaryDirectory() as folder:
        root = write_folder(Path(folder) / "runs" / "large")
        seconds, own, mebibytes = made(root)
        page = root / "report" / "index.html"
        yield Figure(f"report of {RESPONSES:,} graded responses, from the folder", seconds, 60, "s", False)
        yield Figure("processor time of that", own, 60, "s", False)
        yield Figure("peak memory of that", mebibytes, 2048, "MiB", False)
        yield Figure("its page", page.stat().st_size / 1e6, 15, "MB", False)
        if chromium():
            loaded, painted = opened(page)
            yield Figure("navigation to load, headless Chromium, median of 5", loaded, 2, "s", False)
            yield Figure("navigation to first paint", painted, 2, "s", False)


def made(root: Path) -> tuple[float, float, float]:
    """Seconds, seconds of a processor (without what else the machine does), and peak MiB of making the report in a
    process of its own, imports included."""
    program = "import sys; from pathlib import Path; from evaluation.report import write_report\n"
    program += "write_report(Path(sys.argv[1]))"
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", program, str(root)], check=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, own, after.ru_maxrss / 1024


def opened(path: Path, times: int = 5) -> tuple[float, float]:
    """Median seconds from navigation to the load event and to the first paint."""
    loads, paints = [], []
    with browser() as page:
        for _ in range(times):
            page.open(path)
            loads.append(page.run("performance.getEntriesByType('navigation')[0].loadEventStart") / 1000)
            paint = "performance.getEntriesByName('first-paint')[0].startTime"
            page.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
            paints.append(page.run(paint) / 1000)
    return float(np.median(loads)), float(np.median(paints))


# --- the folder -------------------------------------------------------------------------------------------------------


def write_folder(root: Path) -> Path:
    """An experiment's folder of RESPONSES graded responses."""
    levels = dict(zip(GROUPS, (0.4, 0.6, 0.7), strict=True))
    write_evaluation(root / "base" / "evaluation", 0, levels, whole=True)
    for place, arm in enumerate(ARMS):
        for seed in range(SEEDS):
            write_run(root / "arms" / arm / f"seed-{seed}", place, seed, levels)
    counts = {"loaded": 960, "kept": 960, "rows_for_policy_arms": 960, "rows_for_teacher_arms": 960}
    (root / "data").mkdir()
    write_json(root / "data" / "manifest.json", {"counts": counts})
    write_json(root / "lock.json", {"rows": "a" * 64, "order": "b" * 64})
    return root


def write_run(folder: Path, place: int, seed: int, levels: dict[str, float]) -> None:
    """One arm at one seed: math rises, what was never trained falls, for each arm by another amount."""
    for number in range(1, CHECKPOINTS + 1):
        step, part = number * EVERY, number / CHECKPOINTS
        moved = dict(zip(GROUPS, (0.3 * part, -0.02 * place * part, -0.05 * place * part), strict=True))
        skill = {group: levels[group] + moved[group] for group in GROUPS}
        write_evaluation(folder / "evaluation" / f"step-{step:06d}", step, skill, number == CHECKPOINTS)
    arm, steps = folder.parent.name, CHECKPOINTS * EVERY
    freeze.write(configuration(arm, seed, steps), folder / "config.yaml")
    write_json(folder / "manifest.json", {"starts": []})
    rng = random.Random(stream("bench", arm, seed))
    for step in range(1, steps + 1):
        prompts = 16 * step
        spent: dict[str, float] = {
            "prompts_shown": prompts,
            "completions": 8 * prompts,
            "tokens_prompted": 80 * prompts,
        }
        spent |= {"tokens_generated": 900 * prompts, "tokens_trained": 900 * prompts, "optimizer_updates": step}
        spent |= {f"flops_{name}": prompts * 10**9 for name in ("generate", "score", "train")}
        spent |= {"flops": prompts * 3 * 10**9, "seconds": 2.0 * step, "device_seconds": 2.0 * step}
        append_jsonl(folder / "ledger.jsonl", {"step": step, **spent})
        logged = {"rewards/accuracy/mean": rng.random(), "completions/mean_length": 100 + 20 * rng.random()}
        logged |= {"entropy": rng.random(), "kl_base/exact": 0.01 * step * rng.random(), "grad_norm": rng.random()}
        append_jsonl(folder / "metrics.jsonl", {"step": step, **logged})


def configuration(arm: str, seed: int, steps: int) -> Configuration:
    """What the run was made with."""
    policy = {"trainer": "policy", "q": "policy", "w": "group_advantage", "surrogate": "clipped"}
    teacher = {"trainer": "sft", "q": "teacher", "w": "one", "surrogate": "log"}
    recipe: dict[str, Any] = {
        "name": arm,
        "treatment": ["recipe"],
        "learning_rate": 1e-5,
        **(teacher if arm == "sft" else policy),
    }
    rest: dict[str, Any] = {name: {} for name in ("model", "data", "hardware", "logger")}
    about = {"experiment": {"name": "large", "arms": list(ARMS)}, "recipe": recipe, "seed": seed, "runs": "runs"}
    train, suite = {"steps": steps, "save_steps": EVERY}, {"items": ITEMS, "samples": SAMPLES}
    return validate({**rest, **about, "train": train, "suite": suite})


def write_evaluation(folder: Path, step: int, skill: dict[str, float], whole: bool) -> None:
    """Responses and their scores; those of a checkpoint on the way (not `whole`) without bootstrap intervals."""
    folder.mkdir(parents=True)
    columns = responses(random.Random(stream("bench", folder.parts[-4:], step)), skill)
    pq.write_table(pa.table(columns), folder / "items.parquet")
    scores = all_scores(columns) if whole else quick(columns)
    write_json(folder / "scores.json", {"step": step, "label": folder.name, "settings": {}, **scores})


@cache
def said() -> list[str]:
    """What models say."""
    rng = random.Random(stream("bench", "said"))
    return [" ".join(rng.choices(WORDS, k=rng.randint(40, 160))) for _ in range(TEXTS)]


def responses(rng: random.Random, skill: dict[str, float]) -> dict[str, list[Any]]:
    """The columns of items.parquet."""
    found: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for group, names in GROUPS.items():
        for name in names:
            for item in range(ITEMS):
                text = f"{name}, question {item}: {said()[item][:150]}"
                for sample in range(1 + SAMPLES):
                    outcome = "right" if rng.random() < skill[group] else "wrong"
                    told = f"{said()[rng.randrange(TEXTS)]} {rng.random()}"
                    row = (name, group, "text", f"{name}-{item}", text, str(item), sample, told, outcome, "equal")
                    values = (*row, "", outcome, outcome, None, "steps" if group == "math" else "", 120, False)
                    for column, value in zip(COLUMNS, values, strict=True):
                        found[column].append(value)
    return found


COLUMNS = (
    *("benchmark", "group", "kind", "item", "prompt", "reference", "sample", "response", "outcome", "reason"),
    *("extracted", "strict", "aware", "paper", "strategy", "completion_tokens", "truncated"),
)


def quick(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """scores.json with the plain scores, which is all that a curve asks for."""
    none = {"low": None, "high": None}
    benchmarks: dict[str, dict[str, Any]] = {}
    for name, own in item_scores(columns).items():
        greedy, sampled = float(100 * np.nanmean(own.greedy)), float(100 * np.nanmean(own.sampled))
        scored = {"greedy": {"score": greedy, **none}, "sampled": {"score": sampled, **none}}
        about: dict[str, Any] = {
            "group": own.group,
            "items": len(own.ids),
            "unscorable": 0,
            "truncated": 0,
            "strategies": {},
        }
        about |= {"responses": ITEMS * (1 + SAMPLES), "pass_at_k": {"1": sampled}}
        benchmarks[name] = about | scored
    groups = {
        group: {
            kind: {"score": mean_of([benchmarks[name][kind]["score"] for name in names]), **none}
            for kind in ("greedy", "sampled")
        }
        | {"benchmarks": list(names), "missing": [], "pass_at_k": {}}
        for group, names in GROUPS.items()
    }
    return {"benchmarks": benchmarks, "groups": groups, "missing": {}}
