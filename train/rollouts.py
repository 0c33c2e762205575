"""vLLM beside a run that samples: started, given the policy's weights after every update, asked, ended with the run.

An adapter is added to the weights on their way, and changes nothing where it is; under ZeRO-3 each tensor is gathered
for as long as it takes to hand it over.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from conf.schema import Configuration
from models import serving
from models.engine import Engine
from models.handing import weights
from models.render import prompt_ids
from train import mismatch, processes, sharded

LOG = "rollouts.log"  # of the server, in the run's folder
EXCHANGE = "rollouts/weights"  # where it finds the policy's

Version = tuple[str, int]  # whose weights, and how many updates or copies were made of them


class Sampler:
    """An engine that samples for a trainer, in the place of one of its models."""

    def __init__(self, engine: Engine, trainer: Any, configuration: Configuration) -> None:
        self.engine, self.trainer, self.configuration = engine, trainer, configuration
        self.holds: Version | None = None  # nothing of the run's at first, and after a rest
        self.probe: mismatch.Probe | None = None

    def give(self, model: Any, q: str) -> None:
        """Have the engine hold `model`, which samples for `q`, where it does not yet. Every process must come here.
        UserError where it does not hold it afterwards, see `mismatch.check_sync`."""
        version = self._version(q)
        if self.holds == version:
            return
        self.engine.load(weights(model, self.engine.dtype, sharded.gathered_parameters), processes.rank() == 0)
        processes.wait()  # none asks a server that another is still giving weights to
        text = prompt_ids(self.trainer.processing_class, mismatch.PROBE)
        now = mismatch.Probe(mismatch.log_probabilities(model, text), torch.tensor(self.engine.score(text)))
        epsilon, limit = torch.finfo(self.engine.dtype).eps, self.configuration.train.mismatch_limit
        mismatch.check_sync(now, self.probe, epsilon, limit)
        self.probe, self.holds = now, version

    def _version(self, q: str) -> Version:
        """Of the weights that sample: a base stays, a snapshot is renewed, a policy moves with every update."""
        if q == "base":
            return q, 0
        if q == "snapshot":
            return q, self.trainer.finished // self.configuration.recipe.resample_steps
        return "policy", int(self.trainer.state.global_step)

    def rest(self) -> None:
        """Leave the device to the policy, where they share one."""
        if self.engine.sleeps:
            self.engine.rest()
            self.holds = None

    def sync_weights(self) -> None:
        """TRL's call before a rollout. Weights are given where it is known whose (`PolicyTrainer.sampler`)."""


@contextmanager
def beside(configuration: Configuration, folder: Path, trainer: Any) -> Iterator[None]:
    """The trainer samples from vLLM inside, where the run in `folder` says so."""
    if not configuration.samples_with_vllm:
        yield
        return
    with _engine(configuration, folder) as engine:
        attach(trainer, engine, configuration)
        yield


def attach(trainer: Any, engine: Engine, configuration: Configuration) -> None:
    """Have `trainer` sample from `engine`. TRL weighs its tokens where `use_vllm` is set, and asks for weights."""
    trainer.engine = trainer.vllm_generation = Sampler(engine, trainer, configuration)
    trainer.use_vllm, trainer._last_loaded_step = configuration.rollouts.vllm_importance_sampling_correction, -1


@contextmanager
def _engine(configuration: Configuration, folder: Path) -> Iterator[Engine]:
    given = configuration.rollouts
    if given.vllm_mode == "colocate":
        from models.colocated import Colocated

        yield Colocated(configuration, processes.rank(), processes.count())
        return
    from models.served import Served

    exchange = folder / EXCHANGE if given.vllm_weight_sync == "folder" else None
    with _server(configuration, folder) as (url, server):
        group_port = given.vllm_group_port or serving.free_port()
        dtype = getattr(torch, serving.dtype_of(configuration))
        yield Served(url, dtype, server, exchange, group_port)


@contextmanager
def _server(configuration: Configuration, folder: Path) -> Iterator[tuple[str, serving.Process | None]]:
    """The server's address, once it answers; the first process starts it where none is given, and ends it."""
    given = configuration.rollouts
    port = processes.gathered([given.vllm_server_port or serving.free_port()])[0][0]  # the first process's
    running_already = given.vllm_server_base_url or os.environ.get(serving.ADDRESS, "")
    url = running_already or f"http://{given.vllm_server_host}:{port}"
    server: serving.Process | None = None
    with ExitStack() as stack:
        if processes.rank() == 0 and not running_already:
            command = serving.command(
                configuration, configuration.model.path, port, *serving.for_rollouts(configuration)
            )
            surroundings = serving.environment(devices(configuration))
            running = serving.started(command, surroundings, folder / LOG, url, given.vllm_server_timeout)
            server = stack.enter_context(running)
        elif processes.rank() == 0:
            serving.wait(url, given.vllm_server_timeout)
        processes.wait()
        yield url, server


def devices(configuration: Configuration) -> list[int]:
    """Numbers of the CUDA devices set aside for the server: those after the run's own."""
    hardware, given = configuration.hardware, configuration.rollouts
    if hardware.device == "cpu":
        return []
    first = hardware.processes // hardware.nodes
    return list(range(first, first + given.vllm_tensor_parallel_size))
