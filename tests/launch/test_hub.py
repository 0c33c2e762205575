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


@pytest.mark.slow
def test_a_model_that_the_hub_stops_giving(tmp_path: Path, hub: Hub) -> None:
    """The check passes, and the file does not come."""
    hub.files["some/model"] = {}
    said = in_three_parts(command("launch.evaluate", tmp_path, hub.url, "experiment=embedded", "model.path=some/model"))
    assert "model.path=some/model" in said and "could not be had" in said


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment with one finished run."""
    folder = tmp_path_factory.mktemp("finished")
    answer = command("launch", folder, "http://127.0.0.1:1", *SMALL)
    assert answer.returncode == 0, answer.stderr
    return folder


SIZES = "train.steps=1 train.save_steps=1 train.prompts_per_step=2 data.rows=64 suite.items=2 suite.samples=0"
SMALL = ["experiment=embedded", "recipe=sft", *SIZES.split()]
PUSHED = "some/model-sft-seed-0"


@pytest.mark.slow
def test_a_finished_run_is_uploaded_once(finished: Path, hub: Hub) -> None:
    push = ["launch.push", finished, hub.url, *SMALL, "hub.model_id=some/model"]
    answer = command(*push)  # type: ignore[arg-type]
    assert answer.returncode == 0, answer.stderr
    given, private = hub.files[PUSHED], hub.private[PUSHED]
    run = finished / "runs/embedded/arms/sft/seed-0"
    saved = run / "checkpoints/step-000001"
    assert f"{hub.url}/{PUSHED}/commit/" in answer.stdout and private
    assert given == {name: (saved / name).read_bytes() for name in given}
    wanted = {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md", "lock.json"}
    assert wanted <= set(given) and not {"optimizer.pt", "rng_state.pth", "training_args.bin"} & set(given)
    assert command(*push).returncode == 0 and hub.commits == 1  # type: ignore[arg-type]
    texts = [path.read_text(errors="replace") for path in run.rglob("*") if path.suffix in (".json", ".log", ".yaml")]
    assert not any(TOKEN in text for text in [answer.stdout, answer.stderr, *texts])
    (run / "pushed.json").unlink()


@pytest.mark.slow
def test_a_push_that_fails_is_told_and_made_good(finished: Path, hub: Hub) -> None:
    """The training's own command ends well; the next one uploads."""
    hub.breaks = "/commit/"
    told = command("launch", finished, hub.url, *SMALL, "hub.model_id=some/model", "hub.private_repo=false")
    assert told.returncode == 0 and "not uploaded: hub.model_id=some/model" in told.stderr
    assert "launch.push" in told.stderr and "Traceback" not in told.stderr and not hub.files[PUSHED]
    said = in_three_parts(command("launch.push", finished, hub.url, *SMALL, "hub.model_id=some/model"))
    assert "500" in said
    hub.breaks = ""
    answer = command("launch", finished, hub.url, *SMALL, "hub.model_id=some/model", "hub.private_repo=false")
    assert answer.returncode == 0 and "model.safetensors" in hub.files[PUSHED] and not hub.private[PUSHED]
    (finished / "runs/embedded/arms/sft/seed-0/pushed.json").unlink()


@pytest.mark.slow
def test_pushing_without_a_hub_a_token_or_a_name(finished: Path, tmp_path: Path, hub: Hub) -> None:
    assert "no repository" in in_three_parts(command("launch.push", finished, hub.url, *SMALL))
    said = in_three_parts(command("launch.push", tmp_path, hub.url, *SMALL, "hub.model_id=some/model"))
    assert "no run there is finished" in said
    away = command("launch.push", finished, "http://127.0.0.1:1", *SMALL, "hub.model_id=some/model")
    assert "hub.model_id=some/model" in in_three_parts(away)
    hub.known = "hf_another"
    refused = in_three_parts(command("launch.push", finished, hub.url, *SMALL, "hub.model_id=some/model"))
    assert "401" in refused and "hf auth login" in refused
    assert "hub.model_id" in in_three_parts(command("launch", tmp_path, hub.url, *SMALL, "hub.model_id=no-owner"))
