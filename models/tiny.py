"""The embedded base's architecture and tokenizer: a Qwen3 of under a million parameters that writes characters."""

import string
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel

SPECIAL = ["<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"]
CHARACTERS = string.ascii_letters + string.digits + " +-*=.,:;?!'\"()[]{}<>/\\#%_|&^$@~`\n"
TEMPLATE = (
    "{%- for m in messages -%}{{ '<|' + m['role'] + '|>' + m['content'] }}"
    "{%- if m['role'] == 'assistant' -%}{{ '<|end|>' }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def make_tokenizer() -> Any:
    """One token a character, `\\boxed{` as one; what the world never writes is `<|unknown|>`."""
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, "<|unknown|>", "\\boxed{", *CHARACTERS]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\\boxed\{|[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([*SPECIAL, "<|unknown|>"])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        unk_token="<|unknown|>",
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    return fast


def make_model(tokenizer: Any, seed: int = 0) -> Any:
    """A fresh Qwen3: 4 layers of 128, 4 heads of 32 with 2 for keys and values."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            initializer_range=0.06,  # 0.02 learns far more slowly at this width
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
