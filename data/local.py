"""Responses from a model on this machine: transformers through the one generator, or vLLM in this process."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import models
from conf.errors import UserError
from conf.schema import Configuration
from data.endpoint import Task, whole
from data.responses import Row

Keep = Callable[[list[Row]], None]

ROUNDS = 8  # times targets.concurrency: how many are sampled before they are kept; rows that end make room for others


def model_path(configuration: Configuration) -> str:
    """Folder or hub id of the model that answers; with q=base the experiment's own base."""
    return configuration.model.path if configuration.targets.q == "base" else configuration.targets.model


def with_transformers(configuration: Configuration, tasks: Iterator[Task], keep: Keep) -> Iterator[list[Row]]:
    """Rows, each already kept; `targets.concurrency` of them are written at a time."""
    import torch

    from models.loading import load

    given, own = configuration.targets, configuration.model
    model, tokenizer = load(
        model_path(configuration),
        dtype=own.dtype,
        device=configuration.hardware.device,
        attn_implementation=own.attn_implementation,
        trust_remote_code=own.trust_remote_code,
        **_tokens(configuration),
    )
    for batch in _batches(tasks, ROUNDS * given.concurrency):
        try:
            rows = _generated(configuration, model, tokenizer, batch)
        except torch.OutOfMemoryError:
            why = "this many responses at a time do not fit into the device's memory"
            raise UserError(f"targets.concurrency={given.concurrency}", why, "lower it; what is kept stays") from None
        keep(rows)
        yield rows


def with_vllm(configuration: Configuration, tasks: Iterator[Task], keep: Keep) -> Iterator[list[Row]]:
    """Rows from vLLM on one device, each already kept; several devices are a server's business."""
    from vllm import LLM, SamplingParams

    given, own = configuration.targets, configuration.model
    path = model_path(configuration)
    tokenizer = models.load_tokenizer(path, own.trust_remote_code, **_tokens(configuration))
    engine = LLM(
        model=path,
        dtype=own.dtype,
        trust_remote_code=own.trust_remote_code,
        seed=given.seed,
        max_num_seqs=given.concurrency,
    )
    limits = {"max_tokens": given.max_new_tokens, "temperature": given.temperature, "top_p": given.top_p}
    for batch in _batches(tasks, ROUNDS * given.concurrency):
        prompts = [_prompt_ids(configuration, tokenizer, task) for task in batch]
        settings = [SamplingParams(seed=task.seed, **limits) for task in batch]
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        answers = [answer.outputs[0] for answer in engine.generate(asked, settings, use_tqdm=False)]
        found = zip(batch, prompts, answers, strict=True)
        rows = [
            _row(configuration, tokenizer, task, prompt, list(answer.token_ids), answer.finish_reason or "")
            for task, prompt, answer in found
        ]
        keep(rows)
        yield rows


def _tokens(configuration: Configuration) -> dict[str, Any]:
    """The end and pad tokens that the configuration exchanges: the base's, not a teacher's."""
    own = configuration.model
    return {"eos_token": own.eos_token, "pad_token": own.pad_token} if configuration.targets.q == "base" else {}


def _generated(configuration: Configuration, model: Any, tokenizer: Any, batch: tuple[Task, ...]) -> list[Row]:
    given = configuration.targets
    prompts = [_prompt_ids(configuration, tokenizer, task) for task in batch]
    responses = models.generate(
        model,
        prompts,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        max_new_tokens=given.max_new_tokens,
        temperature=given.temperature,
        seeds=[task.seed for task in batch],
        batch_size=given.concurrency,
        batch_tokens=configuration.hardware.generation_tokens,
    )
    return [
        _row(configuration, tokenizer, task, prompt, ids, "stop" if ids[-1] == tokenizer.eos_token_id else "length")
        for task, prompt, ids in zip(batch, prompts, responses, strict=True)
    ]


def _prompt_ids(configuration: Configuration, tokenizer: Any, task: Task) -> list[int]:
    """The base reads a prompt as every arm does; a teacher is told whether to think."""
    if configuration.targets.q == "base":
        return list(task.ids)
    return models.prompt_ids(tokenizer, task.prompt, enable_thinking=configuration.targets.thinking)


def _row(
    configuration: Configuration, tokenizer: Any, task: Task, prompt: list[int], ids: list[int], finish: str
) -> Row:
    """`ids` end in the token that ended the response, where one did."""
    text = tokenizer.decode(ids[:-1] if finish == "stop" else ids, skip_special_tokens=False)
    return {
        "prompt": task.prompt,
        "sample": task.sample,
        "response": whole(text, None, thinking=True) if configuration.targets.thinking else text,
        "finish_reason": finish,
        "failure": None,
        "prompt_tokens": len(prompt),
        "completion_tokens": len(ids),
        "attempts": 1,
    }


def _batches(tasks: Iterator[Task], size: int) -> Iterator[tuple[Task, ...]]:
    while batch := tuple(islice(tasks, size)):
        yield batch
