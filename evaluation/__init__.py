"""The suite's running and grading, every measure, and the report. Names load on first use: statistics need no torch."""

import importlib

_HOMES = {
    "pass_at_k": "evaluation.statistics",
    "transfer_index": "evaluation.transfer",
    "TransferIndex": "evaluation.transfer",
    "representation_shift": "evaluation.representation",
    "token_shift": "evaluation.tokens",
    "evaluate": "evaluation.run",
    "write_report": "evaluation.report",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'evaluation' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
