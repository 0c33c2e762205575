"""A hub that is away, and one that keeps a model to itself: one message each, before anything is spent."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import TOKEN, Hub, running

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as server:
        yield server


def command(module: str, folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the project that knows the hub at `url`, an empty cache and a token."""
    own = {"HF_ENDPOINT": url, "HF_HOME": str(folder / "home"), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))} | own
    started = [sys.executable, "-m", module, f"runs={folder / 'runs'}", *arguments]
    return subprocess.run(started, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def in_three_parts(answer: subprocess.CompletedProcess[str]) -> str:
    assert answer.returncode == 2 and "Traceback" not in answer.stderr, answer.stderr
    assert "\n  why: " in answer.stderr and "\n  do:  " in answer.stderr and TOKEN not in answer.stderr + answer.stdout
    return answer.stderr


def test_a_hub_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = in_three_parts(command("launch", tmp_path, url, "experiment=embedded", "model.path=some/model"))
    assert "the hub does not answer" in said and not list((tmp_path / "runs").rglob("config.yaml"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model(tmp_path: Path, hub: Hub, status: int) -> None:
    hub.gated["some/model"] = status
    said = in_three_parts(command("launch", tmp_path, hub.url, "experiment=embedded", "model.path=some/model"))
    assert "it is gated" in said and f"{hub.url}/some/model" in said and "hf auth login" in said


def test_a_model_and_a_data_set_that_the_hub_does_not_have(tmp_path: Path, hub: Hub) -> None:
    said = in_three_parts(command("launch", tmp_path, hub.url, "experiment=embedded", "model.path=some/model"))
    assert "no such model, or it is private" in said
    said = in_three_parts(command("launch.pair", tmp_path, hub.url, "experiment=embedded", "data.source=some/rows"))
    assert "data.source=some/rows" in said and "no such dataset, or it is private" in said


def test_a_model_that_the_hub_stops_giving(tmp_path: Path, hub: Hub) -> None:
    """The check passes, and the file does not come."""
    hub.files["some/model"] = {}
    said = in_three_parts(command("launch.evaluate", tmp_path, hub.url, "experiment=embedded", "model.path=some/model"))
    assert "model.path=some/model" in said and "could not be had" in said
