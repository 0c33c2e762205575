"""vLLM in a process beside the run, over HTTP: `vllm serve`, started here or running already. Written for vllm 0.30."""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import torch

from conf.errors import UserError
from models.engine import Engine, Weights, Written
from models.handing import write_folder
from models.serving import Process

AT_A_TIME = 256  # requests of a process; the server batches those of all
CONNECT_SECONDS, ANSWER_SECONDS = 30.0, 7200.0
EXCERPT = 500  # characters of a server's own words


class Served(Engine):
    """A client of one server. `process`: the server where this process has started it; `exchange`: a folder that both
    can read, empty to send weights over NCCL to `group_port`."""

    def __init__(
        self,
        url: str,
        dtype: torch.dtype,
        process: Process | None = None,
        exchange: Path | None = None,
        group_port: int = 0,
    ) -> None:
        self.url, self.dtype, self.process, self.exchange, self.group_port = url, dtype, process, exchange, group_port
        limits = httpx2.Limits(max_connections=AT_A_TIME, max_keepalive_connections=AT_A_TIME)
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self.client = httpx2.Client(base_url=url, timeout=timeout, limits=limits, trust_env=False)
        self.model: str = self._asked("GET", "/v1/models")["data"][0]["id"]
        self.nccl: Any = None  # TRL's client, once it has met the server

    def write(self, prompts: Sequence[Sequence[int]], fields: Sequence[dict[str, Any]]) -> Iterator[Written]:
        with ThreadPoolExecutor(min(AT_A_TIME, max(1, len(prompts)))) as pool:
            yield from pool.map(self._written, prompts, fields)

    def score(self, ids: Sequence[int]) -> list[float]:
        answer = self._complete(ids, {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0})
        found = zip(ids[1:], answer["prompt_logprobs"][1:], strict=True)
        return [chosen[str(token)]["logprob"] for token, chosen in found]

    def load(self, weights: Weights, main: bool) -> None:
        if not main:
            for _ in weights:  # gathering them takes every process
                pass
        elif self.exchange is None:
            self._send(weights)
        else:
            write_folder(weights, self.exchange)
            call = {"method": "reload_weights", "kwargs": {"weights_path": str(self.exchange.resolve())}}
            self._asked("POST", "/collective_rpc", call)
            shutil.rmtree(self.exchange)
        if main:
            self._asked("POST", "/reset_prefix_cache", {})

    def _send(self, weights: Weights) -> None:
        """By TRL's client, which announces all tensors before it sends the first."""
        if self.nccl is None:
            from trl.generation.vllm_client import VLLMClient

            self.nccl = VLLMClient(base_url=self.url, group_port=self.group_port, connection_timeout=CONNECT_SECONDS)
            self.nccl.init_communicator(device=torch.cuda.current_device())
        held = [(name, tensor.cpu()) for name, tensor in weights]  # gathered once, and not once more to be announced
        told = [(name, str(one.dtype).removeprefix("torch."), list(one.shape)) for name, one in held]
        self.nccl.update_named_params(told, ((name, one.cuda()) for name, one in held))

    def _written(self, prompt: Sequence[int], fields: dict[str, Any]) -> Written:
        answer = self._complete(prompt, fields)
        return Written(answer["token_ids"], answer["logprobs"]["token_logprobs"])

    def _complete(self, prompt: Sequence[int], fields: dict[str, Any]) -> dict[str, Any]:
        body = {"model": self.model, "prompt": list(prompt), "return_token_ids": True, **fields}
        found: dict[str, Any] = self._asked("POST", "/v1/completions", body)["choices"][0]
        return found

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the server answers; UserError where it does not, or has ended."""
        try:
            answer = self.client.request(method, path, json=body)
            if answer.status_code == 200:
                return answer.json() if answer.content else None
            fault = f"{path} gave {answer.status_code}: {answer.text[:EXCERPT]}"
        except (httpx2.HTTPError, json.JSONDecodeError) as error:
            fault = f"{path}: {error or type(error).__name__}"
        said = self.process.ended() if self.process else ""
        why = said or "without it nothing can be sampled, and its weights may not be the policy's"
        change = "mend what its log shows, then start the same command: the run goes on from its last checkpoint"
        raise UserError(f"the vLLM server at {self.url}, {fault}", why, change)
