"""A disk that fills up at a checkpoint: one message, the last whole checkpoint stays, and with room the run goes on."""

import os
import resource
import subprocess
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file

from conf.errors import ending
from conf.files import read_jsonl
from train import checkpoints, worker

MEGABYTE = 2**20
SHORT = {"train__steps": 4, "train__save_steps": 2, "data__max_completion_length": 40}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of so many bytes in a folder, and a way to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size, *options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(folder)]
        return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount(64 * MEGABYTE):
        pytest.skip("no file system can be mounted here")
    try:
        yield folder, mount
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


SLOW = [pytest.param(share, marks=pytest.mark.slow) for share in (0.1, 0.95)]


@pytest.mark.parametrize("share", [0.5, *SLOW])
def test_a_disk_that_is_full_at_a_checkpoint(configure, run_folder, small_disk, capsys, share):
    """`share` of the second checkpoint fits: the weights are cut, the optimizer, or the last of it."""
    whole = run_folder(configure(**SHORT), "whole")
    worker.run(whole)
    disk, mount = small_disk
    folder = run_folder(configure(**SHORT), str(disk / "cut"))
    one = size_of(whole / "checkpoints/step-000002")
    assert mount(int(size_of(disk) + (1 + share) * one) // 4096 * 4096 + 2**17, "remount")
    assert ending(lambda: worker.run(folder), folder) == 2
    said = capsys.readouterr().err
    assert "error: the output folder" in said and "make room" in said and "Traceback" not in said
    assert checkpoints.latest(folder / "checkpoints")[0] == 2 and not (folder / "done.json").exists()
    assert mount(64 * MEGABYTE, "remount")
    assert ending(lambda: worker.run(folder), folder) == 0
    assert [row["step"] for row in read_jsonl(folder / "metrics.jsonl")] == [1, 2, 3, 4]
    ends = [load_file(run / "checkpoints/step-000004/model.safetensors") for run in (whole, folder)]
    for name, tensor in ends[0].items():
        torch.testing.assert_close(ends[1][name], tensor, rtol=1e-4, atol=1e-6)


@contextmanager
def files_up_to(size):
    """No file may grow past so many bytes, as under a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [MEGABYTE, pytest.param(4 * MEGABYTE, marks=pytest.mark.slow)])
def test_a_file_that_may_not_grow(configure, run_folder, capsys, size):
    """Where nothing can be mounted this is how a disk that takes no more is tried: weights, then the optimizer."""
    folder = run_folder(configure(**SHORT))
    with files_up_to(size):
        assert ending(lambda: worker.run(folder), folder) == 2
    assert "error: the output folder" in capsys.readouterr().err
    assert checkpoints.latest(folder / "checkpoints") is None
    assert ending(lambda: worker.run(folder), folder) == 0
