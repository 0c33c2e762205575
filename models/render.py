"""The one rendering of a prompt and a response to token ids, for training, rollouts and evaluation alike."""

from collections.abc import Sequence
from typing import Any

Shots = Sequence[tuple[str, str]]  # prompts with their responses


def prompt_ids(tokenizer: Any, prompt: str, shots: Shots = (), **template: Any) -> list[int]:
    """The prompt as one user turn of the chat template, up to where the assistant begins to write.

    `shots` stand before it as earlier turns. `template` goes to a teacher's template (`enable_thinking`); the base and
    all arms are rendered without.
    """
    return list(
        tokenizer.apply_chat_template(
            _chat(prompt, shots), tokenize=True, add_generation_prompt=True, return_dict=True, **template
        )["input_ids"]
    )


def _chat(prompt: str, shots: Shots) -> list[dict[str, str]]:
    before = [(("user", asked), ("assistant", answered)) for asked, answered in shots]
    messages = [{"role": role, "content": text} for pair in before for role, text in pair]
    return [*messages, {"role": "user", "content": prompt}]


def response_ids(tokenizer: Any, text: str) -> list[int]:
    """The response's own ids and the end token; special tokens inside the text are read as plain characters."""
    return [*tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True), tokenizer.eos_token_id]


def response_text(tokenizer: Any, ids: Sequence[int]) -> str:
    """What the model wrote, without the end token."""
    end = tokenizer.eos_token_id
    return tokenizer.decode([i for i in ids if i != end], skip_special_tokens=False)


def batch_prompt_ids(tokenizer: Any, prompts: Sequence[str], shots: Sequence[Shots] = ()) -> list[list[int]]:
    """`prompt_ids` of many prompts, in one call of the tokenizer; `shots` of each, where there are any."""
    chats = [_chat(prompt, before) for prompt, before in zip(prompts, shots or [()] * len(prompts), strict=True)]
    found = tokenizer.apply_chat_template(
        chats, tokenize=True, add_generation_prompt=True, return_dict=True, return_attention_mask=False
    )
    return found["input_ids"]


def batch_response_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """`response_ids` of many responses, in one call of the tokenizer."""
    found = tokenizer(
        list(texts), add_special_tokens=False, split_special_tokens=True, return_attention_mask=False, verbose=False
    )
    return [[*ids, tokenizer.eos_token_id] for ids in found["input_ids"]]
