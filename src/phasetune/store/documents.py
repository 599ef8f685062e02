"""JSON documents, written one way: sorted keys, two spaces, shortest floats that read back equal.

Metrics may be NaN or infinite; JSON has no such numbers, so they are written as text.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.stage.canonical import digest
from phasetune.store.durable import write_text


def document_text(content: Any) -> str:
    """The canonical text of a document, ending with a newline."""
    return json.dumps(_plain(content), sort_keys=True, indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def document_digest(content: Any) -> str:
    """A digest of what the document would say."""
    return digest(_plain(content))


def write_document(path: Path, content: Any) -> None:
    """Write a document durably; one that says the same already is left alone."""
    text = document_text(content)
    try:
        if path.read_bytes() == text.encode():
            return
    except OSError:
        pass
    write_text(path, text)


def read_document(path: Path) -> dict[str, Any] | None:
    """The document, or None where there is none.

    Raises:
        StoreError: there is one, but it is torn or no JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} can't be read: {error}; move it away and run again") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} must hold a JSON object; move it away and run again")
    return content


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as they were before writing: text such as `nan` is a number again."""
    return {name: float(value) for name, value in metrics.items()}
