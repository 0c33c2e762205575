"""Load a model and its tokenizer from a local folder or a hub, safetensors only."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from conf.errors import UserError
from conf.schema import Configuration
from models.folder import check, is_hub_id


def load_tokenizer(
    path: str, trust_remote_code: bool = False, eos_token: str = "", pad_token: str = "", template_of: str = ""
) -> Any:
    """The tokenizer, its tokens exchanged for those given, refused where padding or the end of a response would be
    ambiguous. `template_of`: the model whose chat template takes the place of its own."""
    with from_hub(path):
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    if template_of:
        with from_hub(template_of):
            other = AutoTokenizer.from_pretrained(template_of, trust_remote_code=trust_remote_code)
        tokenizer.chat_template = other.chat_template
    for name, token in (("eos_token", eos_token), ("pad_token", pad_token)):
        if token and token not in tokenizer.get_vocab():
            change = f"set model.{name} to one of the tokens in its tokenizer.json, or leave it empty"
            raise UserError(f"model.{name}={token}", f"the tokenizer of {path} has no such token", change)
        if token:
            setattr(tokenizer, name, token)
    if tokenizer.chat_template is None:
        raise UserError(
            f"model.path={path}",
            "the tokenizer has no chat template, so no prompt can be rendered",
            "add chat_template.jinja to the folder",
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise UserError(
            f"model.path={path}",
            "pad and end token are the same, or there is none to pad with: the model would never learn to stop",
            "set model.eos_token to the token that its template ends a turn with, or model.pad_token to another one",
        )
    return tokenizer


def tokenizer_of(configuration: Configuration) -> Any:
    """The base's tokenizer, as a run's configuration says; a compared model's own."""
    given = configuration.model
    tokens = (given.eos_token, given.pad_token)
    return load_tokenizer(given.path, given.trust_remote_code, *tokens, configuration.template_of)


def load(
    path: str,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    attn_implementation: str = "eager",
    trust_remote_code: bool = False,
    spread: bool = False,
    eos_token: str = "",
    pad_token: str = "",
    quantization: str = "none",
    compute_dtype: str = "",
    use_liger_kernel: bool = False,
    template_of: str = "",
) -> tuple[Any, Any]:
    """(model in evaluation mode, tokenizer). UserError for a folder that lacks weights or holds damaged ones.

    `spread`: over the processes, where ZeRO-3 is set up and all of them come here; otherwise whole in this one.
    `compute_dtype`: that products with weights of 4 bits are computed in; `dtype` where empty.
    """
    check(path)
    tokenizer = load_tokenizer(path, trust_remote_code, eos_token, pad_token, template_of)
    with nullcontext() if spread else whole(), from_hub(path):
        model: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            attn_implementation=attn_implementation,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            **(_four_bits(compute_dtype or dtype, device) if quantization == "nf4" else {}),
        )
    if quantization == "nf4":
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        for module in model.modules():  # on some processors bitsandbytes would sample in bfloat16 whatever is asked for
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
    if use_liger_kernel:
        _apply_liger(model, path)
    return (model if quantization == "nf4" else model.to(device)).eval(), tokenizer


def _four_bits(compute_dtype: str, device: str) -> dict[str, Any]:
    """Weights of linear layers in NF4, quantization constants too, as they are read (QLoRA, arXiv:2305.14314)."""
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, compute_dtype),
    )
    return {
        "quantization_config": config,
        "device_map": {"": torch.cuda.current_device() if device == "cuda" else device},
    }


def _apply_liger(model: Any, path: str) -> None:
    """Liger's kernels for one model's layers. Not those for its loss, which both trainers compute in pieces already."""
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN
    from transformers.integrations.liger import apply_liger_kernel

    kind = model.config.model_type
    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        why = f"liger-kernel has no kernels for a {kind}"
        raise UserError(f"model.use_liger_kernel=true with model.path={path}", why, "set model.use_liger_kernel=false")
    apply_liger_kernel(model, {"fused_linear_cross_entropy": False})


@contextmanager
def from_hub(path: str) -> Iterator[None]:
    """What a hub does not give, or gives without what makes a model, as the user's error; a full disk stays one."""
    try:
        yield
    except (OSError, ValueError) as error:
        if not is_hub_id(path) or getattr(error, "errno", None) is not None:
            raise
        said = " ".join(str(error).split())[:500]
        change = "look at the name, the network and `hf auth whoami`, or set model.path to a local folder"
        raise UserError(f"model.path={path} is a hub id", f"it could not be had: {said}", change) from None


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
        eos_token=given.eos_token,
        pad_token=given.pad_token,
        quantization=given.quantization,
        compute_dtype="bfloat16" if configuration.hardware.mixed_precision == "bf16" else given.dtype,
        use_liger_kernel=given.use_liger_kernel,
        template_of=configuration.template_of,
    )
