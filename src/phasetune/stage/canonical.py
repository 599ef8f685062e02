"""One way of writing equal values, so that a digest of them is an identity.

Values that can't be written down the same way twice are refused instead of guessed: sets have no
order, NaN is not equal to itself, a path says nothing of what lies there.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from phasetune.errors import PlanError

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

DIGEST_LENGTH = 32


def canonical(value: object, *, where: str = "value") -> Json:
    """Reduce a value to JSON types; equal values give equal results.

    Raises:
        PlanError: a value has no stable writing; the message names `where`.
    """
    if isinstance(value, Enum):
        return canonical(value.value, where=where)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _canonical_float(value, where)
    if isinstance(value, Mapping):
        return {
            _text_key(key, where): canonical(item, where=f"{where}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [canonical(item, where=f"{where}[{i}]") for i, item in enumerate(value)]
    raise PlanError(
        f"{where} is a {type(value).__name__}, which can't be part of an identity; "
        "use numbers, text, lists or mappings, and name files in `data:`"
    )


def _canonical_float(value: float, where: str) -> Json:
    if math.isnan(value):
        raise PlanError(f"{where} is NaN, which is not equal to itself; use null or a number")
    if math.isinf(value):
        return {"float": "inf" if value > 0 else "-inf"}
    return 0.0 if value == 0.0 else float(value)


def restored(value: object) -> object:
    """What a canonical value stands for: JSON has no infinity, so it is written as a mapping."""
    if isinstance(value, Mapping):
        if list(value) == ["float"] and value["float"] in ("inf", "-inf"):
            return float(value["float"])
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [restored(item) for item in value]
    return value


def _text_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise PlanError(f"{where} has the key {key!r}; keys must be text")
    return key


def canonical_json(value: object, *, where: str = "value") -> str:
    """Canonical text: sorted keys, no spaces, shortest floats that read back equal."""
    return json.dumps(
        canonical(value, where=where),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )


def digest(value: object, *, where: str = "value") -> str:
    """128 bits of SHA-256 over the canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_json(value, where=where).encode()).hexdigest()[:DIGEST_LENGTH]
