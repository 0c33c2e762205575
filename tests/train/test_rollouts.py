"""Rollouts from a server in another process, over HTTP: the same training as by the project's own generator."""

import os
import sys
from pathlib import Path

import httpx2
import psutil
import pyarrow.parquet as pq
import pytest
import torch
from peft import LoraConfig, get_peft_model

from conf.errors import UserError
from conf.files import read_jsonl
from evaluation.run import evaluate
from models import generate, load, serving
from models.engine import Engine, Written
from models.handing import weights
from models.served import Served
from tests.train.launched import launched
from train import rollouts, worker
from train.mismatch import log_probabilities

ROOT = Path(__file__).parent.parent.parent
SMALL = {
    "data__max_completion_length": 40,
    "train__steps": 3,
    "train__save_steps": 3,
    "train__prompts_per_step": 2,
    "recipe__num_generations": 2,
    "recipe__reward_funcs": ["random"],
    "recipe__learning_rate": 1e-2,
    "suite__samples": 0,
}
SERVER = {"use_vllm": True, "vllm_mode": "server", "vllm_weight_sync": "folder", "vllm_server_timeout": 60.0}
SAME = ("loss", "grad_norm", "completions/mean_length", "entropy", "reward")
ASKED = {"end_id": 3, "pad_id": 0, "max_new_tokens": 12}


@pytest.fixture(autouse=True)
def standin(monkeypatch):
    """The command `vllm` is the stand-in of tests/vllm_server.py."""
    monkeypatch.setenv("PATH", f"{ROOT / 'tests/standin'}:{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def served(configure, tmp_path):
    """A client of a server of the base."""
    configuration = configure("grpo", rollouts=SERVER)
    port = serving.free_port()
    url = f"http://127.0.0.1:{port}"
    command = serving.command(configuration, configuration.model.path, port)
    with serving.started(command, serving.environment([3]), tmp_path / "log", url, 60) as process:
        yield Served(url, torch.float32, process, tmp_path / "weights")


def test_an_engine_answers_as_the_generator_does(served, base):
    """Row by row the same streams, lengths, end token and log-probabilities; other weights once they are given."""
    model, tokenizer = load(str(base))
    prompts, seeds = [[1, 20, 30, 2], [1, 25, 2], [1, 20, 30, 2], [1, 9, 9, 9, 2]], [2**62 + i for i in range(4)]
    ASKED["end_id"] = tokenizer.eos_token_id
    for scale in (0.0, 0.3):
        for one in model.parameters():
            one.data += scale * torch.randn_like(one)
        served.load(model.named_parameters(), main=True)
        for temperature in (1.0, 0.7, 0.0):
            found, own = [], []
            given = dict(temperature=temperature, seeds=seeds, **ASKED)
            assert generate(served, prompts, logps=found, **given) == generate(model, prompts, logps=own, **given)
            assert [pytest.approx(row, abs=1e-4) for row in own] == found
        with torch.no_grad():
            logps = model(torch.tensor([prompts[0]])).logits[0].log_softmax(-1)
        expected = [logps[t, token].item() for t, token in enumerate(prompts[0][1:])]
        assert served.score(prompts[0]) == pytest.approx(expected, abs=1e-4)
    asked = httpx2.get(f"{served.url}/asked").json()
    assert asked["reloads"] == 2 and asked["devices"] == "3" and not served.exchange.exists()
    with pytest.raises(StopIteration):  # a process that is not the first only goes through the weights
        left = iter(model.named_parameters())
        served.load(left, main=False)
        next(left)


@pytest.mark.slow
def test_a_run_by_a_server_is_the_run_by_the_generator(configure, run_folder, base):
    metrics = []
    for name, how in (("own", {"use_vllm": False}), ("server", SERVER)):
        folder = run_folder(configure("grpo", **SMALL, rollouts=how), name)
        worker.run(folder)
        metrics.append(read_jsonl(folder / "metrics.jsonl"))
    for key in SAME:
        assert [row[key] for row in metrics[1]] == pytest.approx([row[key] for row in metrics[0]], rel=1e-3), key
    assert all(row["sampling/sampling_logp_difference/mean"] < 1e-5 for row in metrics[1])
    assert all(row["seconds/sync"] > 0 for row in metrics[1])
    assert (folder / "rollouts.log").exists() and not servers(base)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [False, True])
def test_scores_by_vllm_are_those_of_the_model(configure, base, tmp_path, adapter):
    """An adapter is added to the weights on their way, and stays where it is."""
    model, tokenizer = load(str(base))
    if adapter:
        model = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
        for one in (one for one in model.parameters() if one.requires_grad):
            one.data = 0.1 * torch.randn_like(one)
    found = {}
    for backend in ("transformers", "vllm"):
        configuration = configure("grpo", suite__backend=backend, suite__items=3, suite__max_new_tokens=8)
        evaluate(model, tokenizer, configuration, tmp_path / backend, 0, "base")
        found[backend] = pq.read_table(tmp_path / backend / "items.parquet").to_pylist()
    same = ("item", "sample", "response", "outcome")
    assert [[row[key] for key in same] for row in found["vllm"]] == [
        [row[key] for key in same] for row in found["transformers"]
    ]
    assert not list((tmp_path / "vllm").glob(".served-*"))
    plain, _ = load(str(base))
    assert adapter == any(
        not torch.equal(one, dict(plain.named_parameters())[n]) for n, one in weights(model, torch.float32)
    )


def servers(base):
    """Processes that still serve this base."""
    lines = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if "tests.vllm_server" in line and str(base) in line]


@pytest.mark.parametrize(
    ("manners", "patience", "why"),
    [
        ("no_start", 600.0, r"did not start\n  why: it ended with code 1: ValueError: The model's max seq len"),
        ("silent", 4.0, r"did not answer within rollouts.vllm_server_timeout=4 seconds"),
        ("dies:6", 600.0, r"it ended with code 3: RuntimeError: CUDA error.*log"),
        ("stale", 600.0, r"log-probabilities of a probe"),
    ],
)
@pytest.mark.slow
def test_a_server_that_fails_ends_the_run_with_its_first_error(
    configure, run_folder, base, monkeypatch, manners, patience, why
):
    monkeypatch.setenv("STANDIN", manners)
    folder = run_folder(configure("grpo", **SMALL, rollouts=SERVER | {"vllm_server_timeout": patience}))
    with pytest.raises(UserError, match=why):
        worker.run(folder)
    assert not servers(base) and not (folder / "done.json").exists()


class Other(Engine):
    """A sampler whose weights are not the policy's, and that a probe does not find out."""

    dtype = torch.float32

    def __init__(self, model, trainer):
        self.model, self.trainer = model, trainer

    def write(self, prompts, fields):
        logps, seeds = [], [own["seed"] for own in fields]
        given = {"end_id": fields[0]["stop_token_ids"][0], "max_new_tokens": fields[0]["max_tokens"]}
        found = generate(self.model, prompts, pad_id=0, temperature=1.0, seeds=seeds, logps=logps, **given)
        yield from map(Written, found, logps)

    def score(self, ids):
        return log_probabilities(self.trainer.policy, ids).tolist()

    def load(self, weights, main):
        assert main and len(list(weights)) == len(list(self.model.parameters()))


@pytest.mark.parametrize("surrogate", ["clipped", "log"])
def test_tokens_are_weighed_by_the_truncated_ratio_to_the_sampler(configure, made, base, surrogate):
    """Against a plain sum over tokens; what is logged is not truncated."""
    truncated = {"use_vllm": True, "vllm_importance_sampling_correction": True}
    truncated |= {"vllm_importance_sampling_clip_max": 1.05}
    small = {name: value for name, value in SMALL.items() if name.startswith(("data", "train", "recipe"))}
    changes = {"recipe__surrogate": surrogate, "recipe__loss_type": "dapo", "train__mismatch_limit": 0}
    trainer, *_ = made(configure("grpo", **small | changes, rollouts=truncated))
    other, _ = load(str(base))
    for one in other.parameters():
        one.data += 0.02 * torch.randn_like(one)
    rollouts.attach(trainer, Other(other, trainer), trainer.configuration)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    difference = inputs["old_per_token_logps"] - inputs["sampling_per_token_logps"]
    mask = inputs["completion_mask"]
    ratio = (difference * mask).exp().clamp(max=1.05)
    torch.testing.assert_close(inputs["importance_sampling_ratio"], ratio)
    advantages = torch.tensor([1.0, -2.0, 0.5, 3.0])[: len(mask)]
    with torch.no_grad():
        found = trainer._compute_loss(trainer.model, inputs | {"advantages": advantages})
        logps = trainer._logps(trainer.model, inputs)[0]
    each = advantages[:, None] * ratio * (1.0 if surrogate == "clipped" else logps)  # the policy's own ratio is 1 yet
    assert found.item() == pytest.approx(-(each * mask).sum().item() / mask.sum().item(), rel=1e-4)
    trainer._tell_mismatch()
    told = trainer._metrics["train"]["sampling/importance_sampling_ratio/max"]
    assert told == pytest.approx([(difference.exp() * mask).max().item()], rel=1e-4) and told[0] > 1.05


@pytest.mark.slow
def test_a_policy_spread_over_processes_reaches_a_server_whole(configure, run_folder):
    """ZeRO-3 and an adapter: each tensor gathered, the adapter added; one process starts the server, both ask it."""
    spread = {"hardware__processes": 2, "hardware__zero_stage": 3, "model__lora_rank": 4, "recipe__num_generations": 4}
    configuration = configure("grpo", **SMALL | spread, rollouts=SERVER)
    folder = run_folder(configuration)
    launched(configuration, folder)
    rows = read_jsonl(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3] and any(row["grad_norm"] > 0 for row in rows[:2])
    assert all(row["sampling/sampling_logp_difference/max"] < 1e-3 for row in rows)
