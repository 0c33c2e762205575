"""Load a model and its tokenizer from a local folder or a hub, safetensors only."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from conf.errors import UserError
from conf.schema import Configuration
from models.folder import check


def load_tokenizer(path: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer, refused where padding or the end of a response would be ambiguous."""
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    if tokenizer.chat_template is None:
        raise UserError(
            f"model.path={path}",
            "the tokenizer has no chat template, so no prompt can be rendered",
            "add chat_template.jinja to the folder",
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise UserError(
            f"model.path={path}",
            "pad and end token are the same: the model would never learn to stop",
            "set another pad_token in the tokenizer's configuration",
        )
    return tokenizer


def load(
    path: str,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    attn_implementation: str = "eager",
    trust_remote_code: bool = False,
    spread: bool = False,
) -> tuple[Any, Any]:
    """(model in evaluation mode, tokenizer). UserError for a folder that lacks weights or holds damaged ones.

    `spread`: over the processes, where ZeRO-3 is set up and all of them come here; otherwise whole in this one.
    """
    check(path)
    tokenizer = load_tokenizer(path, trust_remote_code)
    with nullcontext() if spread else whole():
        model: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            attn_implementation=attn_implementation,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
        )
    return model.to(device).eval(), tokenizer


@contextmanager
def whole() -> Iterator[None]:
    """Models made inside are whole; under ZeRO-3 transformers would spread each over all processes."""
    from transformers.integrations import deepspeed

    before = deepspeed._hf_deepspeed_config_weak_ref
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed._hf_deepspeed_config_weak_ref = before


def load_configured(
    configuration: Configuration, path: str = "", read_only: bool = False, spread: bool = False
) -> tuple[Any, Any]:
    """`load` as a run's configuration says: its base, or the checkpoint at `path`.

    `read_only`: no training follows, so a model whose products are in bfloat16 is held in bfloat16.
    """
    given = configuration.model
    return load(
        path or given.path,
        dtype="bfloat16" if read_only and configuration.hardware.mixed_precision == "bf16" else given.dtype,
        device=configuration.hardware.device,
        attn_implementation=given.attn_implementation,
        trust_remote_code=given.trust_remote_code,
        spread=spread,
    )
