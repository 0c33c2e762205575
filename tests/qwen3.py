"""Folders with the settings of Qwen3-14B-Base and random weights: its tokenizer's ids and special tokens, its template,
its vocabulary, heads and untied embeddings, at any width and depth."""

import json
from pathlib import Path
from typing import Any

import torch
import trl
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

REGULAR, VOCABULARY = 151643, 151936  # entries before the special ones; rows of the embedding
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
PLAIN = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
SMALL = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes as the real one reads them; the merged entries are names alone, so that every id stands where it does."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"merged {i}" for i in range(REGULAR - len(letters)))]
    tokenizer = Tokenizer(BPE({word: i for i, word in enumerate(words)}, []))
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in SPECIAL])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in PLAIN])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=131072,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return fast


def make_folder(folder: Path, layers: int = 2, dtype: torch.dtype = torch.float32, **sizes: Any) -> Path:
    """A base in `folder`; without `sizes` a small one."""
    torch.manual_seed(0)
    shape = {"max_position_embeddings": 32768, "rope_theta": 1000000.0, "head_dim": 128} | (sizes or SMALL)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        num_hidden_layers=layers,
        tie_word_embeddings=False,
        bos_token_id=REGULAR,
        eos_token_id=REGULAR,
        dtype=dtype,
        **shape,
    )
    Qwen3ForCausalLM(config).to(dtype).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    stated = {"do_sample": False, "max_new_tokens": 2048, "eos_token_id": REGULAR}  # as published: what must not matter
    (folder / "generation_config.json").write_text(json.dumps(stated))
    return folder
