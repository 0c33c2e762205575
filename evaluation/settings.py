"""What the scores of an evaluation hang on; no torch here."""

import hashlib
import json
from typing import Any

from conf.schema import Suite
from data import suite as suites


def settings(suite: Suite, step: int, label: str, model_digest: str = "", few_shots: bool = False) -> dict[str, Any]:
    """What the scores hang on; `digest` is sha256 over all of it. suites.FREE is left out."""
    new = {"num_fewshot": 0, "likelihood": True}  # left out where they are as before these keys were there
    left_out = suites.FREE | {key for key, usual in new.items() if getattr(suite, key) == usual}
    own: dict[str, Any] = {
        "suite": suite.model_dump(mode="json", exclude=left_out),
        "model": model_digest,
        "step": step,
        "label": label,
    }
    own |= {"shots": suite.shots} if few_shots else {}
    return own | {"digest": hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()}
