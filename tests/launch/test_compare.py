"""`make compare` as a user starts it: scored, measured, resumed, refused by name, and a gate's exit code."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from safetensors.numpy import load_file, save_file

from conf.files import read_json
from launch.compose import compose

SMALL = ["suite.items=3", "suite.samples=1", "suite.benchmarks=[arithmetic_3,sorting,facts]"]


def compare(*arguments):
    command = [sys.executable, "-m", "launch.compare", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}, check=False
    )


def variant(folder, change=None):
    """The embedded base with other weights, or another tokenizer."""
    shutil.copytree(compose([]).model.path, folder)
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.3.mlp.down_proj.weight"
    save_file(weights | {name: 0.2 * weights[name]}, folder / "model.safetensors", {"format": "pt"})
    if change:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(change(read_json(path))))
    return folder


def exchanged(tokenizer):
    """Two characters change places, so that every id is there and two mean other text."""
    words = tokenizer["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    return tokenizer


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models=models/embedded"], "no base"),
        (["base=models/embedded"], "no models"),
        (["base=models/nowhere", "models=models/embedded"], "BASE=models/nowhere"),
        (["base=models/embedded", "models=x=models/embedded", "fail_if=mth < 0"], "write math"),
        (["base=models/embedded", "models=x=models/embedded", "template=teachers"], "compare.template"),
        (["base=models/embedded", "models=x=models/embedded", "fail_if_unsure=true"], "no condition to be unsure of"),
        (["base=models/embedded", "models=x=models/embedded", "drift.measures=[nothing]"], "drift.measures=nothing"),
    ],
)
def test_mistakes_are_refused_before_anything_is_scored(arguments, said, tmp_path, capsys, monkeypatch):
    from launch import command
    from launch.compare import main

    monkeypatch.setattr(sys, "argv", ["launch.compare", *arguments, f"runs={tmp_path}"])
    with pytest.raises(SystemExit) as ended:
        command.run(main)
    assert ended.value.code == 2 and said in capsys.readouterr().err
    assert not list(tmp_path.rglob("scores.json"))


@pytest.mark.slow
def test_two_variants_of_the_embedded_base(tmp_path):
    """Another model's weights, and one that writes other tokens; then once more, with nothing left to do."""
    weak, foreign = variant(tmp_path / "weak"), variant(tmp_path / "foreign", exchanged)
    given = ["base=models/embedded", f"models={weak} other={foreign}", f"runs={tmp_path}", *SMALL]
    ended = compare(*given, "experiment.name=try", "fail_if=math > -101", "drift.measures=[tokens,weights]")
    assert ended.returncode == 5, ended.stderr
    assert "the gate failed" in ended.stderr and "FAIL weak: math > -101: fails" in ended.stdout
    root = tmp_path / "compare-try"
    results = read_json(root / "report/results.json")
    assert set(results["arms"]) == {"weak", "other"} and results["compared"]["models"]["weak"]["same_vocabulary"]
    settings = [read_json(path)["settings"]["suite"] for path in root.rglob("evaluation/scores.json")]
    assert len(settings) == 3 and all(one == settings[0] for one in settings)
    refused = [one for one in results["failed"] if one["where"] == "other"]
    assert [one["what"] for one in refused] == ["drift tokens"] and "refused: its vocabulary has" in refused[0]["error"]
    made = sorted(str(path.relative_to(root / "models").parent) for path in root.rglob("drift/*/result.json"))
    assert made == [
        f"{one}/evaluation/drift/{name}"
        for one, name in (("other", "weights"), ("weak", "tokens"), ("weak", "weights"))
    ]
    assert [one for one in results["failed"] if one["where"] == "weak"] == []
    before = {path: path.stat().st_mtime_ns for path in root.rglob("items.parquet")}
    given[1] = f"models=weak={weak}"
    again = compare(*given, "experiment.name=try", "drift.measures=[]")
    assert again.returncode == 0 and again.stdout.count(": done") >= 2, again.stderr
    assert {path: path.stat().st_mtime_ns for path in root.rglob("items.parquet")} == before
    assert set(read_json(root / "report/results.json")["arms"]) == {"weak"}
    assert "Traceback" not in ended.stderr + again.stderr
