"""vLLM in a run's own processes, asleep while the policy learns. Written for vllm 0.30."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from conf.schema import Configuration
from models.engine import Engine, Weights, Written
from models.serving import LOGPROBS, dtype_of, longest

SLEEP = 2  # vLLM's level that drops weights and cache: the weights are another policy's by the time it wakes


class Colocated(Engine):
    """One engine a process, or one over `vllm_tensor_parallel_size` neighbours; each writes its process's rows."""

    def __init__(self, configuration: Configuration, rank: int, processes: int) -> None:
        from trl.trainer.utils import ensure_master_addr_port
        from vllm import LLM

        given = configuration.rollouts
        own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes}
        for name, value in own.items():
            os.environ.setdefault(name, str(value))
        ensure_master_addr_port()
        self.group = _group(given.vllm_tensor_parallel_size, rank, processes)
        self.sleeps = given.vllm_enable_sleep_mode
        self.dtype = getattr(torch, dtype_of(configuration))
        self.llm = LLM(
            model=configuration.model.path,
            dtype=dtype_of(configuration),
            tensor_parallel_size=given.vllm_tensor_parallel_size,
            gpu_memory_utilization=given.vllm_gpu_memory_utilization,
            max_model_len=longest(configuration),
            enable_sleep_mode=self.sleeps,
            distributed_executor_backend="external_launcher",
            seed=0,  # every row has its own
            logprobs_mode=LOGPROBS,
            generation_config="vllm",
            trust_remote_code=configuration.model.trust_remote_code,
        )
        self.rest()

    def write(self, prompts: Sequence[Sequence[int]], fields: Sequence[dict[str, Any]]) -> Iterator[Written]:
        from vllm import SamplingParams

        asked, begin = self._together(list(zip(prompts, fields, strict=True)))
        rows = [{"prompt_token_ids": list(prompt)} for prompt, _ in asked]
        settings = [SamplingParams(**own, detokenize=False) for _, own in asked]
        answers = self.llm.generate(rows, settings, use_tqdm=False)
        for answer in answers[begin : begin + len(prompts)]:
            ids = list(answer.outputs[0].token_ids)
            pairs = zip(ids, answer.outputs[0].logprobs, strict=True)
            yield Written(ids, [chosen[token].logprob for token, chosen in pairs])

    def score(self, ids: Sequence[int]) -> list[float]:
        from vllm import SamplingParams

        settings = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        (answer,) = self.llm.generate([{"prompt_token_ids": list(ids)}], settings, use_tqdm=False)
        found = zip(ids[1:], answer.prompt_logprobs[1:], strict=True)
        return [chosen[token].logprob for token, chosen in found]

    def load(self, weights: Weights, main: bool) -> None:
        if self.sleeps:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.llm.wake_up(tags=["weights"])
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        if self.sleeps:
            self.llm.wake_up(tags=["kv_cache"])
        self.llm.reset_prefix_cache()

    def rest(self) -> None:
        if self.sleeps:
            self.llm.sleep(level=SLEEP)

    def _together(self, own: list[Any]) -> tuple[list[Any], int]:
        """The rows of all processes that share this engine, and where this one's begin."""
        if self.group is None:
            return own, 0
        size = torch.distributed.get_world_size(self.group)
        parts: list[Any] = [None] * size
        torch.distributed.all_gather_object(parts, own, group=self.group)
        before = parts[: torch.distributed.get_rank(self.group)]
        return [row for part in parts for row in part], sum(map(len, before))


def _group(size: int, rank: int, processes: int) -> Any:
    """The processes that hold one model together with this one; None where it holds its own."""
    if size == 1:
        return None
    every = [list(range(first, first + size)) for first in range(0, processes, size)]
    return torch.distributed.new_subgroups_by_enumeration(every)[0]
