"""Whatever touches a model: load and digest, the one rendering, the one generator. Torch comes only with a model."""

from models.folder import check, digest, identity
from models.render import batch_prompt_ids, batch_response_ids, prompt_ids, response_ids, response_text

__all__ = [
    "batch_prompt_ids",
    "batch_response_ids",
    "check",
    "continuation_logps",
    "digest",
    "generate",
    "identity",
    "load",
    "load_tokenizer",
    "prompt_ids",
    "response_ids",
    "response_text",
    "tokenizer_of",
]


def __getattr__(name: str):
    if name == "generate":
        from models.generation import generate

        return generate
    if name == "continuation_logps":
        from models.likelihood import continuation_logps

        return continuation_logps
    if name in ("load", "load_tokenizer", "tokenizer_of"):
        import models.loading

        return getattr(models.loading, name)
    raise AttributeError(name)
