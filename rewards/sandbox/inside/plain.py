"""Plain data as JSON and back: the only thing that passes between model-written code and whoever judges it.

What is decoded is an instance of the exact built-in type, whatever class it had on the other side, so that no method
of a program's own (`__eq__`, `__len__`, `__hash__`) ever runs where it is compared.
"""

from collections.abc import Callable
from typing import Any

MALFORMED = (ValueError, TypeError, RecursionError, OverflowError)  # what decoding foreign JSON may raise

_SAFE = 2**53  # beyond it, integers travel as hexadecimal: Python refuses to read very long decimals


def encode(value: Any) -> Any:
    """`value` as JSON's own types, with tags for those it lacks. Raises TypeError for what is not plain data."""
    if value is None or isinstance(value, bool | str | float):
        return float(value) if isinstance(value, float) else value
    if isinstance(value, int):
        return int(value) if -_SAFE < value < _SAFE else {"int": hex(value)}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    return {_tag(value): _parts(value)}


def _tag(value: Any) -> str:
    for name, kind in (
        ("tuple", tuple),
        ("set", set),
        ("frozenset", frozenset),
        ("bytes", bytes),
        ("complex", complex),
    ):
        if isinstance(value, kind):
            return name
    raise TypeError(f"{type(value).__name__} is not plain data")


def _parts(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return [value.real, value.imag] if isinstance(value, complex) else [encode(item) for item in value]


def decode(data: Any) -> Any:
    """The value that `encode` wrote. Raises one of MALFORMED for anything else."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    ((tag, parts),) = data.items()
    if tag not in _DECODERS:
        raise ValueError(f"unknown tag {tag[:20]!r}")
    return _DECODERS[tag](parts)


def _complex(real: float, imaginary: float) -> complex:
    return complex(real, imaginary)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "dict": lambda pairs: {decode(key): decode(item) for key, item in pairs},
    "tuple": lambda items: tuple(decode(item) for item in items),
    "set": lambda items: {decode(item) for item in items},
    "frozenset": lambda items: frozenset(decode(item) for item in items),
    "bytes": bytes.fromhex,
    "complex": lambda parts: _complex(*parts),
}
