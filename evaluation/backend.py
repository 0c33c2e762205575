"""What generates the responses that are scored: the model itself, or vLLM with its weights (suite.backend)."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from conf.schema import Configuration
from models import serving
from models.handing import write_model
from models.served import Served

LOG = "vllm.log"  # beside the scores


@contextmanager
def writer(configuration: Configuration, model: Any, tokenizer: Any, folder: Path, needed: bool) -> Iterator[Any]:
    """What `models.generate` takes: `model`, or where one is `needed` a server with its weights, which ends with the
    block.

    The weights are written out, as the server reads files: adapters added, 4 bits unpacked. It takes the first device
    that this process sees, or its own, and rollouts.vllm_gpu_memory_utilization of it.
    """
    if configuration.suite.backend != "vllm" or not needed:
        yield model
        return
    folder.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, serving.dtype_of(configuration))
    port, host = serving.free_port(), "127.0.0.1"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".served-") as place:
        where = Path(place) / "model"
        write_model(model, tokenizer, dtype, where)
        alone = configuration.rollouts.model_copy(update={"vllm_tensor_parallel_size": 1, "vllm_server_host": host})
        command = serving.command(configuration.model_copy(update={"rollouts": alone}), str(where), port)
        devices = [torch.cuda.current_device()] if configuration.hardware.device == "cuda" else []
        url, patience = f"http://{host}:{port}", configuration.rollouts.vllm_server_timeout
        with (
            _aside(configuration, model),
            serving.started(command, serving.environment(devices), folder / LOG, url, patience) as process,
        ):
            engine = Served(url, dtype, process)
            engine.config = model.config
            yield engine


@contextmanager
def _aside(configuration: Configuration, model: Any) -> Iterator[None]:
    """The model leaves its device to the server; one of 4 bits, which takes little room, stays."""
    if configuration.hardware.device == "cpu" or configuration.model.quantization != "none":
        yield
        return
    device = model.device
    model.to("cpu")
    torch.cuda.empty_cache()
    try:
        yield
    finally:
        model.to(device)
