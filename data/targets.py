"""SFT targets by rejection sampling: k responses a prompt, each judged, all of them kept with their verdict.

runs/<experiment>/targets/<name>/
  responses/part-000001.jsonl   every answer and every failure as it came; synced before anything else happens
  verdicts/part-000001.jsonl    one a response and reference
  targets.parquet               one row a response to the prompts wanted, ordered by prompt and sample: `data.targets`
  manifest.json                 written last: counts, failures, tokens, seconds, ledger
  config.yaml  server.json  progress.json
"""

import fcntl
import hashlib
import json
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import models
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration
from data import endpoint, local, responses, verdicts
from data.endpoint import Task
from data.responses import Parts, Row, Stored
from data.verdicts import Prompt
from models import flops
from models.seeds import stream

HARMLESS = {"base_url", "parameters", "samples", "concurrency", "timeout", "retries"}  # they change no response
HOPELESS = {"unreachable", "timeout", "rate_limited", "server_error", "denied"}
PATIENCE = 64  # of these in a row, each tried as often as asked, after which the server is taken for lost
SHOWN_SECONDS = 0.5  # between two notes of how far it is
PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "httpx2", "math-verify")

Manifest = dict[str, Any]


def make(configuration: Configuration, folder: Path) -> Manifest:
    """Ask for every response that `folder` lacks, judge, write targets.parquet and, last, manifest.json.

    Nothing that was answered is asked again; what failed is. UserError where the server cannot be used or is lost.
    """
    prompts = read_prompts(configuration, folder.parent)
    place = {prompt.text: number for number, prompt in enumerate(prompts)}
    stored = responses.scan(folder / "responses", place, configuration.targets.samples)
    key = _key(configuration, prompts)
    if (done := _done(folder, key)) and not stored.missing():
        return done
    if stored.missing():
        _sample(configuration, folder, prompts, stored)
        stored = responses.scan(folder / "responses", place, configuration.targets.samples)
    counts = verdicts.write_table(folder, prompts, stored, configuration.hardware.reward_workers)
    manifest = {"key": key} | _manifest(configuration, folder, stored, counts)
    write_json(folder / "manifest.json", manifest)
    return manifest


def name(configuration: Configuration, weights: str) -> str:
    """The folder's name: the model's, and a digest of all that decides a response. `weights`: the model's digest."""
    given = configuration.targets
    decides = given.model_dump(mode="json", exclude=HARMLESS) | {"backend": backend(configuration), "weights": weights}
    if given.q == "base" and configuration.data.num_fewshot:
        decides["num_fewshot"] = configuration.data.num_fewshot
    short = "base" if given.q == "base" else re.sub(r"[^\w.-]+", "-", given.model.rstrip("/").rpartition("/")[2])
    return f"{short}{'-think' if given.thinking else ''}-{_sha256(decides)[:8]}"


def backend(configuration: Configuration) -> str:
    """Where responses come from. The base is on this machine."""
    given = configuration.targets
    return "transformers" if given.q == "base" and given.backend == "endpoint" else given.backend


def check(configuration: Configuration) -> None:
    """UserError for keys of `targets` that contradict each other, or would change nothing in silence."""
    given = configuration.targets
    if given.q == "teacher" and not given.model:
        where = "a model that the server has" if given.backend == "endpoint" else "a folder or a hub id"
        raise UserError("targets.model is empty", "no teacher is named", f"set targets.model to {where}")
    if given.q == "base" and given.model not in ("", configuration.model.path):
        what, why = f"targets.q=base with targets.model={given.model}", "the base is model.path"
        raise UserError(what, why, "leave targets.model out, or set targets.q=teacher")
    if given.q == "base" and given.thinking:
        why = "the base reads its prompts as in every arm, where nothing tells it whether to think"
        raise UserError("targets.q=base with targets.thinking=true", why, "set targets.thinking=false")
    if given.temperature == 0 and given.samples > 1:
        what, why = f"targets.temperature=0 with targets.samples={given.samples}", "greedy responses are all the same"
        raise UserError(what, why, "set targets.samples=1, or a temperature")
    if given.top_p < 1 and backend(configuration) == "transformers":
        why = "the generator of this machine samples from the whole distribution, as rollouts do"
        raise UserError(f"targets.top_p={given.top_p}", why, "set targets.top_p=1, or another targets.backend")


def read_prompts(configuration: Configuration, folder: Path) -> list[Prompt]:
    """The experiment's rows as compiled without any targets, kept in folder/prompts-<digest>.

    What only training needs (its length, its order, what is done about targets) is taken out, so that it may change.
    """
    from data.compile import compile_dataset, read

    data = {"solution": "", "targets": "", "target_rule": "first", "targets_per_prompt": 1, "pairing": "union"}
    changes = {
        "data": configuration.data.model_copy(update=data | {"max_completion_length": 2**31}),
        "train": configuration.train.model_copy(update={"steps": 1, "prompts_per_step": 1}),
    }
    plain = configuration.model_copy(update=changes)
    decides = [plain.data.model_dump(mode="json"), plain.suite.model_dump(mode="json"), plain.model.path]
    place = folder / f"prompts-{_sha256(decides)[:8]}"
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another command may want the same rows
        compile_dataset(plain, place)
    names, of_base = ["id", "prompt", "kind", "reference"], configuration.targets.q == "base"
    rows = read(place)[0].select_columns([*names, "prompt_ids"] if of_base else names)
    extraction = configuration.data.extraction
    return [
        Prompt(row["id"], row["prompt"], row["kind"], row["reference"], extraction, row.get("prompt_ids", ()))
        for row in rows
    ]


# --- sampling ---------------------------------------------------------------------------------------------------------


def _sample(configuration: Configuration, folder: Path, prompts: Sequence[Prompt], stored: Stored) -> None:
    """Ask for what is missing, keep and judge it; UserError once the server has failed PATIENCE times in a row."""
    seed, missing = configuration.targets.seed, stored.missing()
    tasks = (_task(prompts[p], k, seed) for p, k in missing)
    judged, wanted = Parts(folder / "verdicts"), {prompt.text: prompt for prompt in prompts}
    tally = Counter(total=stored.where.size, done=stored.where.size - len(missing))
    # once something was answered, a request refused speaks of its prompt and not of them all
    hopeless = HOPELESS if stored.totals["responses"] else HOPELESS | {"refused"}
    lost, shown = 0, 0.0
    for rows in _asked(configuration, folder, tasks):
        pairs = [(wanted[row["prompt"]], row) for row in rows if row["failure"] is None]
        found = verdicts.judge(pairs, judged, configuration.hardware.reward_workers)
        tally.update(outcome for outcome, _ in found)
        tally.update(done=len(rows), failed=len(rows) - len(pairs))
        if time.monotonic() - shown > SHOWN_SECONDS:
            shown = time.monotonic()
            write_json(folder / "progress.json", tally)
        for row in rows:
            lost = lost + 1 if row["failure"] in hopeless else 0
        hopeless = HOPELESS if pairs else hopeless
        if lost >= PATIENCE:
            raise _lost(configuration, lost, rows[-1])
    write_json(folder / "progress.json", tally)


def _asked(configuration: Configuration, folder: Path, tasks: Iterator[Task]) -> Iterator[list[Row]]:
    """Rows of the backend as they come, each written down before it is seen here."""
    parts, began = Parts(folder / "responses"), time.monotonic()
    counted = _counter(configuration)

    def keep(rows: list[Row]) -> None:
        for row in rows:
            row |= counted(row) | {"start": parts.first, "elapsed": round(time.monotonic() - began, 3)}
        parts.append(rows)

    where = backend(configuration)
    if where == "transformers":
        return local.with_transformers(configuration, tasks, keep)
    if where == "vllm":
        return local.with_vllm(configuration, tasks, keep)
    server = endpoint.connect(configuration.targets)
    write_json(folder / "server.json", {"base_url": configuration.targets.base_url, "models": server.models})
    return endpoint.ask_all(server, tasks, keep)


def _task(prompt: Prompt, sample: int, seed: int) -> Task:
    return Task(prompt.text, sample, stream(seed, "targets", prompt.text, sample) % 2**31, prompt.ids)


def _counter(configuration: Configuration) -> Callable[[Row], Row]:
    """Fills in the tokens that a server did not tell, as the base's tokenizer counts them, and says so."""
    lock = threading.Lock()  # one tokenizer for all threads, and it cannot serve two at once

    @cache
    def tokenizer() -> Any:
        return models.tokenizer_of(configuration)

    def fill(row: Row) -> Row:
        if row["failure"] or None not in (row["prompt_tokens"], row["completion_tokens"]):
            return {"estimated": False}
        with lock:
            prompt = len(models.prompt_ids(tokenizer(), row["prompt"]))
            response = len(models.response_ids(tokenizer(), row["response"]))
        counted = {"prompt_tokens": prompt, "completion_tokens": response}
        return {name: row[name] if row[name] is not None else counted[name] for name in counted} | {"estimated": True}

    return fill


def _lost(configuration: Configuration, times: int, row: Row) -> UserError:
    return UserError(
        f"targets.base_url={configuration.targets.base_url}",
        f"{times} requests in a row failed, the last with {row['failure']} ({row['detail']})",
        "see to the server, then start the same command: it asks only for what is missing",
    )


# --- what came out ----------------------------------------------------------------------------------------------------


def _done(folder: Path, key: str) -> Manifest | None:
    """The manifest of a folder finished with the same key."""
    whole = (folder / "manifest.json").is_file() and (folder / "targets.parquet").is_file()
    manifest = read_json(folder / "manifest.json") if whole else {}
    return manifest if manifest.get("key") == key else None


def _key(configuration: Configuration, prompts: Sequence[Prompt]) -> str:
    given = configuration.targets
    return _sha256([given.samples, given.parameters, *(prompt.digest for prompt in prompts)])


def _manifest(configuration: Configuration, folder: Path, stored: Stored, counts: Counter[str]) -> Manifest:
    """Settings, counts, failures, tokens and cost; `ledger` is of everything ever asked in this folder."""
    totals, server = stored.totals, folder / "server.json"
    asked, outcomes = stored.where.size, ("right", "wrong", "unscorable", "cut", "right_but_cut", "prompts_with_right")
    reasons = {key.removeprefix("reason "): n for key, n in sorted(counts.items()) if key.startswith("reason ")}
    failures = Counter(row["failure"] for row in stored.failed.values())
    examples = {row["failure"]: row["detail"] for row in stored.failed.values()}
    return {
        "settings": configuration.targets.model_dump(mode="json") | {"backend": backend(configuration)},
        "model": configuration.targets.model or configuration.model.path,
        "server": read_json(server) if server.is_file() else None,
        "counts": {
            "prompts": len(stored.where),
            "asked": asked,
            **{outcome: counts[outcome] for outcome in outcomes},
            "failed": asked - len(stored.present()),
        },
        "reasons": reasons,
        "failures": dict(sorted(failures.items())),
        "failure_examples": dict(sorted(examples.items())),
        "ever": {name: totals[name] for name in ("responses", "failures", "retries", "estimated")},
        "ledger": _ledger(configuration, stored, counts),
        "packages": _packages(),
    }


def _ledger(configuration: Configuration, stored: Stored, counts: Counter[str]) -> dict[str, Any]:
    """What it cost, rejected responses and those to prompts no longer wanted included; seconds of wall time."""
    totals, here = stored.totals, backend(configuration) != "endpoint"
    return {
        "responses": totals["responses"],
        "rejected": totals["responses"] - counts["right"] + counts["right_but_cut"],
        "tokens_prompted": totals["prompt_tokens"],
        "tokens_generated": totals["completion_tokens"],
        "flops_generate": _flops(configuration, stored),
        "seconds": stored.seconds,
        "device_seconds": stored.seconds if here else None,  # how many devices a server has, it does not tell
        "teacher_parameters": configuration.targets.parameters or (_parameters(configuration) if here else None),
    }


def _flops(configuration: Configuration, stored: Stored) -> float | None:
    """Of a model on this machine exactly, each distinct prompt read once; of another 2 N D where N is known."""
    known = flops.read(local.model_path(configuration)) if backend(configuration) != "endpoint" else None
    if known is not None:
        reading = sum(flops.forward(known, tokens, 1) for tokens in stored.prompts.values())
        writing = (n * flops.decode(known, p, max(0, c - 1)) for (p, c), n in stored.lengths.items())
        return float(reading + sum(writing))
    parameters = configuration.targets.parameters
    tokens = stored.totals["prompt_tokens"] + stored.totals["completion_tokens"]
    return flops.of_parameters(parameters, tokens) if parameters else None


def _parameters(configuration: Configuration) -> int | None:
    """Parameters in the weights of a local folder; None for a hub's model."""
    total = 0
    for file in Path(local.model_path(configuration)).glob("*.safetensors"):
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        total += sum(math.prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__")
    return total or None


def _packages() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
