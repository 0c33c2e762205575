"""A model that a package carries as one GGUF file of few bits a weight, written anew as safetensors."""

import os
from pathlib import Path

NOTE = """# {name}

Made from `{file}` of the package {package}: the weights were quantised to 4 bits and are dequantised here, so the model
is a little worse than the original. Say so wherever results of it are shown.
"""


def convert(file: Path, out: Path, package: str) -> None:
    """Write model, tokenizer and a README.md that says what they are into `out`; float32, half a minute for 135M."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the file
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, logging

    logging.disable_progress_bar()
    at = {"gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **at)
    dequantised = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, **at, dtype=torch.float32, quantization_config=dequantised
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "README.md").write_text(NOTE.format(name=out.name, file=file.name, package=package), encoding="utf-8")
