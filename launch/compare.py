"""Models beside a base, trained here or not: `python -m launch.compare base=PLACE models="PLACE LABEL=PLACE ..."`.

A PLACE is a model's folder or hub id, or the folder of a run (its last checkpoint; as base: what it was trained from)
or of an experiment (all of its runs; as base: its base). suite=NAME, template=own|base, fail_if="non_reasoning < -3",
experiment.name=NAME and any KEY=VALUE beside. Ends with 5 where the gate failed, and with 4 where a benchmark has no
score.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from conf import freeze
from conf.files import read_json, write_json
from conf.schema import Configuration, Suite
from data import suite as suites
from evaluation import drift
from evaluation.report import gate as gates
from evaluation.settings import settings
from launch import candidates, cluster, command, evaluate, folders, gating, preflight, report
from launch.candidates import Candidate
from launch.command import WorkerFailed
from launch.compose import compose, given, with_backend
from launch.progress import progress
from launch.scores import NO_SCORE
from launch.workers import Usage, python_job, run_pool
from models.folder import check, check_sealed, has_token, identity, is_hub_id
from train import comparing, measuring

SHORT = gating.SHORT | {"base": "compare.base", "models": "compare.models", "template": "compare.template"}
HEAD = "compare-"
ALIKE = (  # keys beside the suite's under which an evaluation that stands elsewhere must have been made
    *("model.dtype", "model.attn_implementation", "model.quantization", "model.use_liger_kernel"),
    *("model.eos_token", "model.pad_token", "hardware.device", "hardware.mixed_precision", "hardware.matmul_precision"),
)


def main(arguments: list[str]) -> None:
    """Score base and models, measure what needs both, write the report, judge the gate."""
    rest, short = gating.apart(arguments, SHORT)
    gating.refuse_unused(short)
    places: dict[str, Any] = short | {"compare.models": short.get("compare.models", "").split()}
    base, models = candidates.base_of(short.get("compare.base", "")), candidates.models_of(places["compare.models"])
    configuration = gating.applied(_composed(rest, places["compare.base"]), places | {"compare.base": base.path})
    configuration = _measured(configuration, rest)
    if cluster.whole(configuration, ["launch.compare", *arguments]):
        return
    own = {one.label: _of(configuration, one, base, models, rest) for one in (base, *models)}
    _check(own)
    folder = folders.experiment_folder(own[base.label])
    with folders.held(folder):
        lacking = _score(folder, (base, *models), own)
        _write_about(folder, base, models, configuration)
        _measure(folder, models, own)
        _write_about(folder, base, models, configuration)
        page = report.write(own[base.label], Usage(), again=True)
    _say(page)
    gating.check(page, configuration)
    if lacking:
        raise WorkerFailed(f"without a score: {'; '.join(lacking)}", NO_SCORE)


def _composed(arguments: list[str], base: str) -> Configuration:
    """The configuration, with the model and suite of the run or experiment whose base it is where none are given."""
    configuration, before = compose(arguments), candidates.frozen(base)
    if before is None:
        return configuration
    kept = {
        section: getattr(before, section)
        for section in ("model", "suite")
        if not any(given(arguments, section) or one.startswith(f"{section}.") for one in arguments)
    }
    return with_backend(configuration.model_copy(update=kept))


def _measured(configuration: Configuration, arguments: list[str]) -> Configuration:
    """With every measure of drift that generates nothing, where the user named none."""
    measures = [name for name in drift.MEASURES if name not in drift.GENERATING]
    if not given(arguments, "drift.measures"):
        configuration = gating.applied(configuration, {"drift.measures": measures})
    measuring.check(configuration)
    return configuration


def _of(
    configuration: Configuration, one: Candidate, base: Candidate, models: list[Candidate], arguments: list[str]
) -> Configuration:
    """What one model is scored under: the same settings for all. A token of the base's that ends or pads is another
    model's too where its vocabulary has it; worked examples are the base's alone."""
    model = configuration.model.model_copy(update={"path": one.path})
    if one is not base:
        tokens = {name: getattr(model, name) for name in ("eos_token", "pad_token")}
        model = model.model_copy(update={k: "" for k, v in tokens.items() if v and has_token(one.path, v) is False})
    suite = configuration.suite if one is base else configuration.suite.model_copy(update={"shots": 0})
    named = configuration.experiment.name if given(arguments, "experiment.name") else ""
    arms = {"name": _name(configuration, base, named), "arms": [each.label for each in models], "seeds": [0]}
    experiment = configuration.experiment.model_copy(update=arms)
    return configuration.model_copy(update={"model": model, "suite": suite, "experiment": experiment})


def _name(configuration: Configuration, base: Candidate, given_name: str) -> str:
    """compare-NAME; without a name a digest of base, suite and template, so that a model more is scored alone."""
    if given_name:
        return given_name if given_name.startswith(HEAD) else HEAD + given_name
    every = {"": configuration.suite, **configuration.suites}
    asked = {name: one.model_dump(mode="json", exclude=suites.FREE) for name, one in every.items()}
    what = json.dumps([folders.fingerprint(base.path), asked, configuration.compare.template], sort_keys=True)
    return HEAD + hashlib.sha256(what.encode()).hexdigest()[:8]


def _check(own: dict[str, Configuration]) -> None:
    """What can be known to fail before anything is scored: the machine, each model, the gate's conditions."""
    first, *others = own.values()
    preflight.check(first)
    for configuration in others:
        path = configuration.model.path
        if is_hub_id(path):
            preflight.check_hub("MODELS", path, "model", "`models/embedded` is in this repository")
        else:
            check(path)
            check_sealed(path)
    if first.gate.fail_if:
        groups = {own.BENCHMARKS[name].group: None for name, own in suites.asked(first.suite).items()}
        gates.parse(first.gate.fail_if, [*groups, *suites.asked(first.suite)])


def _place(folder: Path, label: str) -> Path:
    return folder / (candidates.BASE if label == candidates.BASE else f"models/{label}") / "evaluation"


def _score(folder: Path, every: tuple[Candidate, ...], own: dict[str, Configuration]) -> list[str]:
    """Score one model after the other on every suite, as far as it is not done; what has no score, by name."""
    lacking = []
    for one in every:
        configuration, place = own[one.label], _place(folder, one.label)
        digest = identity(one.path, configuration.template_of)
        for name, suite in {"": configuration.suite, **configuration.suites}.items():
            where = place / "suites" / name if name else place
            asked = configuration.model_copy(update={"suite": suite, "suites": {}} if name else {})
            done = _done(asked, where, digest) or (not name and _taken(asked, one, where, digest))
            print(f"{one.label}: {one.path}{f', suite {name}' if name else ''}{': done' if done else ''}", flush=True)
            if done:
                freeze.write(asked, where / "config.yaml")
            else:
                evaluate.run(asked, where)
            missing = read_json(where / "scores.json").get("missing", {})
            lacking += [f"{one.label}, {benchmark}: {about['reason']}" for benchmark, about in missing.items()]
        _forget_drift(folder, one, own, digest)
    return lacking


def _done(configuration: Configuration, place: Path, digest: str) -> bool:
    """Whether the whole evaluation stands there; one that lacks benchmarks is tried again."""
    path, shots = place / "scores.json", place / suites.FEW_SHOTS / "scores.json"
    if not path.is_file() or (configuration.suite.shots and not shots.is_file()):
        return False
    scores = read_json(path)
    return not scores.get("missing") and scores["settings"] == settings(
        configuration.suite, 0, configuration.model.path, digest
    )


def _taken(configuration: Configuration, one: Candidate, place: Path, digest: str) -> bool:
    """Take over the evaluation that the model's own run made, where it was made of the same weights in the same way."""
    if one.evaluated is None or configuration.template_of or configuration.suite.shots:
        return False
    there, config = one.evaluated
    if not ((there / "scores.json").is_file() and (there / "items.parquet").is_file() and config.is_file()):
        return False
    scores, wanted = read_json(there / "scores.json"), settings(configuration.suite, 0, one.path, digest)
    before, now = (freeze.flatten(each.model_dump(mode="json")) for each in (freeze.read(config), configuration))
    own = scores.get("settings", {})
    alike = _suite(own) == wanted["suite"] and own.get("model") == wanted["model"] and "shots" not in own
    if not alike or scores.get("missing") or any(before.get(key) != now.get(key) for key in ALIKE):
        return False
    place.mkdir(parents=True, exist_ok=True)
    for name in ("items.parquet", "likelihood.parquet"):
        if (there / name).is_file():
            shutil.copyfile(there / name, place / f".{name}")
            (place / f".{name}").replace(place / name)
    write_json(place / "scores.json", scores | {"step": 0, "label": one.path, "settings": wanted})
    return True


def _suite(stored: dict[str, Any]) -> dict[str, Any]:
    """The suite of stored settings; what an earlier version had no key for was as the key's default is."""
    there = {"backend": "transformers"} | stored.get("suite", {})
    known = {key: value for key, value in there.items() if key in Suite.model_fields}
    found: dict[str, Any] = settings(Suite.model_validate(known), 0, "")["suite"]
    return found


def _forget_drift(folder: Path, one: Candidate, own: dict[str, Configuration], digest: str) -> None:
    """Remove what was measured of other weights under this label, or beside another base."""
    base = own[candidates.BASE]
    asked = base.drift.model_dump(mode="json", exclude={"measures", "when", "where"})
    of = {"model": digest, "base": identity(base.model.path), "drift": asked}
    path = _place(folder, one.label).parent / "measured.json"
    if not path.is_file() or read_json(path) != of:
        shutil.rmtree(_place(folder, one.label) / "drift", ignore_errors=True)
        path.with_name(comparing.FILE).unlink(missing_ok=True)
        write_json(path, of)


def _measure(folder: Path, models: list[Candidate], own: dict[str, Configuration]) -> None:
    """Each model's tokenizer, and drift, in a process of its own with the base beside it."""
    for one in models:
        configuration, place = own[one.label], _place(folder, one.label)
        results = [place / "drift" / name / measuring.RESULT for name in configuration.drift.measures]
        if comparing.told(folder, one.label) and all(path.is_file() for path in results):
            continue
        job = python_job(
            f"{one.label} beside base", "launch.stage", ["beside", str(folder), one.label], place, configuration
        )
        with progress(0) as display:
            run_pool([job], 1, display, Usage())


def _write_about(folder: Path, base: Candidate, models: list[Candidate], configuration: Configuration) -> None:
    """compare.json, which tells the report whom to read; models of earlier commands stay in the folder, unread."""
    about = {one.label: {"path": one.path} | comparing.told(folder, one.label) for one in models}
    template, suite = configuration.compare.template, configuration.suite.name
    write_json(
        folder / "compare.json",
        {
            "base": base.path,
            "models": about,
            "template": template,
            "suite": suite,
            "measures": configuration.drift.measures,
        },
    )


def _say(page: Path) -> None:
    """The leaderboard in a few lines."""
    board = read_json(page.parent / "results.json")["board"]
    width = max(len(row["model"]) for row in board)
    for row in board:
        cells = [
            f"{group} {gain['difference']:+.1f}"
            for group, gain in row["gains"].items()
            if gain["difference"] is not None
        ]
        print(f"  {row['model']:<{width}}  {'  '.join(cells)} points")
    print(f"report: {page}")


if __name__ == "__main__":
    command.run(main, __doc__)
