"""lock.json: what a run shares with every other of its experiment, measured on what it really uses. No torch here.

The experiment's own lock is measured where its data are compiled and its base is scored; each run measures again, on
its own trainer, when it starts. A run whose measurement differs in a confound does not start (conf/control.py).
"""

import ast
import hashlib
import json
from functools import cache
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import conf
from conf import control, freeze
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration
from models import seeds
from models.folder import is_hub_id
from train import facts

VERSION = 1
ROOT = Path(conf.__file__).parent.parent
COMPUTING = ("models", "data", "evaluation", "train")  # floors whose code decides what comes out of a run
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SHOWING = ("evaluation.report",)  # draws what came out

Lock = dict[str, Any]


def light(configuration: Configuration) -> Lock:
    """What can be said without a model: the verifier, and the seeds and how streams are derived from them."""
    return {
        "version": VERSION,
        "verifier": {"math_verify": version("math-verify"), "source": _sha256(code(("rewards",)))},
        "seeds": {"list": configuration.experiment.seeds, "streams": seeds.DERIVATION},
    }


def measure(
    configuration: Configuration,
    compiled: dict[str, Any],
    model: Any,
    tokenizer: Any,
    experiment: Path | None = None,
) -> Lock:
    """What every arm shares. `compiled` is the content of data/manifest.json, `experiment` the folder whose suites are
    compiled; `model` is not changed."""
    return {
        **light(configuration),
        "configuration": locked(configuration),
        "base": base(configuration.model.path) | {"chat_template": _sha256(tokenizer.chat_template)},
        "data": dict(compiled["digests"]),
        "suite": suite(configuration, experiment),
        "harness": harness(configuration),
        "decoding": {
            "end_id": tokenizer.eos_token_id,
            "end_token": tokenizer.eos_token,
            "pad_id": tokenizer.pad_token_id,
        },
        "precision": precision(configuration, model),
        "trainable": trainable(model),
        "batch": {"prompts_per_step": configuration.train.prompts_per_step},
    }


def measure_run(
    configuration: Configuration,
    compiled: dict[str, Any],
    trainer: Any,
    tokenizer: Any,
    order: Any,
    stored: int,
    experiment: Path | None = None,
) -> Lock:
    """`measure` on a trainer about to start, with its batch and the `order` [steps, prompts] it goes through.

    Of an order that goes on after the `stored` steps, those are digested: no arm may see others.
    """
    shared = measure(configuration, compiled, trainer.model, tokenizer, experiment)
    seen = order[:stored]
    digest = hashlib.sha256(f"{seen.shape}".encode() + seen.astype("<i8").tobytes()).hexdigest()
    rows = compiled["counts"].get(f"rows_for_{'teacher' if configuration.recipe.q == 'teacher' else 'policy'}_arms")
    return shared | {
        "rows": {"used": rows} if rows is not None else {},
        "order": {"of_run": digest},
        **({"start": start(configuration)} if configuration.train.start_from else {}),
        **batch(configuration, trainer.args),
    }


def start(configuration: Configuration) -> dict[str, Any]:
    """Of a run that begins where another ended: which experiment's, arm's and seed's, at which step, and a digest of
    its weights; of a folder that is no run's checkpoint the digest alone says it."""
    folder = Path(configuration.train.start_from)
    found = {"weights": _files(sorted(folder.glob("*.safetensors")))}
    run = folder.absolute().parents[1]
    if folder.parent.name != "checkpoints" or not (run / "config.yaml").is_file():
        return {"experiment": "", **found}
    first = freeze.read(run / "config.yaml")
    about = {"experiment": first.experiment.name, "arm": first.recipe.name, "seed": first.seed}
    return {**about, "step": int(folder.name.removeprefix("step-")), **found}


def keep(configuration: Configuration, folder: Path, trainer: Any, tokenizer: Any, order: Any, resumed_at: int) -> None:
    """Measure the run in `folder` that is about to train, and write its lock.json and arguments.json.

    UserError where it differs, in a confound that allow_confound does not name, from its experiment's lock, or at all
    from what it was itself up to the checkpoint it goes on from.
    """
    experiment = folder.parents[2]
    compiled = read_json(experiment / "data" / "manifest.json")
    stored = len(np.load(experiment / "data" / "order.npy", mmap_mode="r", allow_pickle=False))
    lock = measure_run(configuration, compiled, trainer, tokenizer, order, stored, experiment)
    arguments = resolved(trainer.args)
    _check(folder, experiment, facts.of(configuration, lock, arguments), resumed_at)
    if trainer.is_world_process_zero():
        write_json(folder / "lock.json", lock)
        write_json(folder / "arguments.json", arguments)


def _check(folder: Path, experiment: Path, now: facts.Facts, resumed_at: int) -> None:
    """Refuse what `keep` says."""
    change = "give experiment.name=NAME for a new experiment"
    if (experiment / "lock.json").exists():
        shared = facts.common(facts.of_experiment(experiment), now)
        freeze.refuse(freeze.confounds(*shared, skip=facts.ARM_ONLY), f"{folder} is not as {experiment}", change)
    if resumed_at and (folder / "lock.json").exists():
        changed = freeze.changes(*facts.common(facts.of_run(folder), now))
        freeze.refuse(changed, f"{folder} was begun otherwise than it would go on", change)


def keep_optimizer(folder: Path, optimizer: Any, write: bool) -> None:
    """See in what precision the optimizer keeps its state after an update; correct lock.json where it said otherwise.

    UserError where that is a confound that allow_confound does not name. `write`: whether this process writes.
    """
    tensors = [value for state in optimizer.state.values() for value in state.values() if getattr(value, "ndim", 0)]
    kept = ", ".join(sorted({_dtype(tensor) for tensor in tensors}))
    lock = read_json(folder / "lock.json")
    if not kept or kept == lock["precision"]["optimizer_state"]:
        return
    there = facts.of(freeze.read(folder / "config.yaml"), lock)
    changed = freeze.changes(there, there | {"lock.precision.optimizer_state": kept})
    freeze.refuse(changed, f"{folder} keeps its optimizer state otherwise", "set model.dtype to the type it has")
    if write:
        lock["precision"]["optimizer_state"] = kept
        write_json(folder / "lock.json", lock)


def locked(configuration: Configuration) -> dict[str, Any]:
    """Every key of the configuration that may not differ, or only where a recipe declares it."""
    flat = freeze.flatten(configuration.model_dump(mode="json"))
    return {key: value for key, value in flat.items() if control.entry(key).kind == "locked"}


def base(path: str) -> dict[str, str]:
    """Digests of the base's files: weights, configuration, tokenizer; those of a hub id lie in the hub's cache.

    UserError where there are no weights.
    """
    folder = _snapshot(path)
    parts = {
        "weights": sorted(folder.glob("*.safetensors")),
        "configuration": [folder / "config.json", folder / "generation_config.json"],
        "tokenizer": sorted(
            file
            for pattern in ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt")
            for file in folder.glob(pattern)
        ),
    }
    if not parts["weights"]:
        why = "no *.safetensors is found there or in the hub's cache, so nothing shows from which weights a run starts"
        raise UserError(f"model.path={path}", why, "set model.path to a whole model folder")
    return {name: _files(files) for name, files in parts.items()}


def suite(configuration: Configuration, experiment: Path | None = None) -> dict[str, str]:
    """Benchmark, SUITE/BENCHMARK of a further suite -> digest of its items: prompts, references, options, choices; of
    one that cannot be had, that it is missing. From the files of `experiment` where they stand there."""
    from data import suite as suites
    from data import suitefile

    digests: dict[str, str] = {}
    for name, one in {"": configuration.suite, **configuration.suites}.items():
        head = f"{name}/" if name else ""
        items, missing = suitefile.found(one, suitefile.path(experiment, name) if experiment else None)
        digests |= {f"{head}{benchmark}": own for benchmark, own in suites.digests(items).items()}
        digests |= {f"{head}{benchmark}": "missing" for benchmark in missing}
    return digests


def harness(configuration: Configuration) -> dict[str, str]:
    """The version of lm-eval and a digest of each of its task files that the suites follow, where they do."""
    from data.published.harness import digests
    from data.suite import asked

    every = [configuration.suite, *configuration.suites.values()]
    held = [own.BENCHMARKS[name] for one in every for name, own in asked(one).items()]
    files = {file for task in held for file in getattr(task, "harness", ())}
    return digests(tuple(sorted(files))) if files else {}


def precision(configuration: Configuration, model: Any) -> dict[str, str]:
    """Of the parameters as they are; of master weights, optimizer state and gradient reduction as the keys say.

    There is no separate master copy: the optimizer updates the parameters, and gradients are reduced in their type. But
    an adapter is float32, and DeepSpeed in mixed precision keeps float32 masters of parameters in bfloat16.
    """
    from models.critic import is_critics

    given, hardware = configuration.model, configuration.hardware
    stated = "float32" if given.lora_rank and hardware.zero_stage != 3 else given.dtype
    parameters = ", ".join(sorted({_dtype(one) for name, one in model.named_parameters() if not is_critics(name)}))
    found = {"parameters": parameters, "master": parameters, "optimizer_state": stated, "reduction": parameters}
    if hardware.zero_stage and hardware.mixed_precision == "bf16":
        found |= {"parameters": "bfloat16", **dict.fromkeys(("master", "optimizer_state", "reduction"), "float32")}
    return found


def trainable(model: Any) -> dict[str, Any]:
    """How many parameters of the policy are trained, and a digest of their names and shapes; a critic is no part of it
    (its own are the recipe's treatment)."""
    from models.critic import is_critics

    trained = {name: one for name, one in model.named_parameters() if one.requires_grad and not is_critics(name)}
    shapes = {name: getattr(one, "ds_shape", one.shape) for name, one in trained.items()}  # ZeRO-3 hides them
    found = sorted((name, list(shape)) for name, shape in shapes.items())
    return {"parameters": sum(prod(shape) for _, shape in found), "digest": _sha256(found)}


def batch(configuration: Configuration, arguments: Any) -> Lock:
    """Prompts behind a step and responses behind each of its updates, over all processes."""
    responses = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    a_prompt = getattr(arguments, "num_generations", configuration.data.targets_per_prompt)
    return {
        "batch": {"prompts_per_step": responses * configuration.mini_batches // a_prompt},
        "update": {"responses": responses, "processes": arguments.world_size},
    }


def resolved(arguments: Any) -> dict[str, Any]:
    """TRL's arguments as they came out, defaults included; what never matters (paths, names) is left out."""
    stated = json.loads(arguments.to_json_string())
    kept = {key: value for key, value in stated.items() if control.entry(f"arguments.{key}").kind != "harmless"}
    return {"class": type(arguments).__name__} | kept


@cache
def code(floors: tuple[str, ...] = COMPUTING) -> dict[str, str]:
    """Module -> digest of what it does: comments, docstrings and layout do not enter."""
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for floor in floors
        for file in sorted((ROOT / floor).rglob("*.py"))
    }
    return {name: _source(file) for name, file in modules.items() if not control.matches(name, SHOWING)}


def _source(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _snapshot(path: str) -> Path:
    """The folder that holds a base: itself, or the newest snapshot of a hub id in the hub's cache."""
    if not is_hub_id(path):
        return Path(path)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(path, "config.json")
    return Path(found).parent if isinstance(found, str) else Path(path)


def _files(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in (file for file in files if file.is_file()):
        with file.open("rb") as opened:
            total.update(file.name.encode() + b"\0" + hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
