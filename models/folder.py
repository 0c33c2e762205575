"""A model folder as files: is it whole, and what is its digest. No torch here."""

import hashlib
import json
import re
from pathlib import Path

from conf import cache
from conf.errors import UserError
from models import seal

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(path: str) -> bool:
    """Whether `path` names a model on a hub: `owner/name`, and no such folder here."""
    return not Path(path).exists() and not path.startswith((".", "/", "models/")) and bool(HUB_ID.fullmatch(path))


def check(path: str) -> None:
    """Refuse a local folder that cannot be loaded, naming what it lacks; a hub id passes."""
    if is_hub_id(path):
        return
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(
            f"model.path={path}",
            "there is no such folder",
            f"`{cache.FETCH}` brings it"
            if cache.holds(path)
            else "set model.path to a model folder; `make base` makes models/embedded",
        )
    weights = sorted(folder.glob("*.safetensors"))
    described = "adapter_config.json" if (folder / "adapter_config.json").is_file() else "config.json"
    missing = [name for name in (described, "tokenizer.json") if not (folder / name).is_file()]
    missing += [] if weights else ["*.safetensors"]
    if missing:
        raise UserError(
            f"model.path={path}",
            f"the folder lacks {', '.join(missing)}",
            "copy the missing files there, or set model.path to a whole model folder",
        )
    for file in weights:
        check_safetensors(file)


def check_sealed(path: str | Path) -> None:
    """Refuse a checkpoint whose model has changed since it was saved; a folder without a seal passes."""
    folder = Path(path)
    if not (folder / seal.SEAL).is_file():
        return
    names = seal.of_model(folder)
    reason = seal.cut(folder, names) or seal.changed(folder, names)
    if reason:
        why = f"{reason}, so its scores would be those of another model"
        change = "copy the checkpoint again from where it is whole, or choose another one of the run"
        raise UserError(f"model.path={path}", why, change)


def check_safetensors(file: Path) -> None:
    """Refuse a file cut short: the header states how long it must be."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        whole = size > 8 and length < size
        try:
            header = json.loads(opened.read(length)) if whole else {}
        except (json.JSONDecodeError, UnicodeDecodeError):
            whole = False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"] if whole else []
    if not ends or 8 + length + max(ends) != size:
        raise UserError(
            f"{file}",
            "the weights are cut short or damaged",
            "copy or download the file again, or delete the checkpoint to go on from the one before it",
        )


def digest(path: str | Path) -> str:
    """SHA-256 of a folder's weights, configuration and tokenizer, names and bytes; a hub id stands for itself.

    What is written beside a checkpoint after it was saved does not enter."""
    folder = Path(path)
    if not folder.is_dir():
        return f"hub:{path}"
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".safetensors", ".json", ".jinja") and file.name not in seal.LATER:
            total.update(file.name.encode() + b"\0")
            with file.open("rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def template_digest(path: str | Path) -> str:
    """SHA-256 of the chat template of a model's folder; a hub id stands for itself."""
    folder = Path(path)
    if not folder.is_dir():
        return f"hub:{path}"
    own, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    text = own.read_text(encoding="utf-8") if own.is_file() else ""
    if not text and config.is_file():
        text = str(json.loads(config.read_text(encoding="utf-8")).get("chat_template") or "")
    return hashlib.sha256(text.encode()).hexdigest()


def has_token(path: str | Path, token: str) -> bool | None:
    """Whether a local model's vocabulary has `token`; None where its tokenizer.json does not say."""
    file = Path(path) / "tokenizer.json"
    if not file.is_file():
        return None
    tree = json.loads(file.read_text(encoding="utf-8"))
    words = (tree.get("model") or {}).get("vocab") or []
    listed = words if isinstance(words, dict) else {one[0] for one in words}
    return token in listed or any(one.get("content") == token for one in tree.get("added_tokens") or [])


def identity(path: str | Path, template_of: str = "") -> str:
    """`digest`, and where another model's chat template takes the place of its own, that template's."""
    return digest(path) + (f" with the template {template_digest(template_of)}" if template_of else "")
