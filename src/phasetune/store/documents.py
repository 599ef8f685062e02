"""JSON documents, written one way: sorted keys, two spaces, shortest floats that read back equal.

Metrics may be NaN or infinite; JSON has no such numbers, so they are written as text.
"""

import errno
import json
import math
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.stage.canonical import digest
from phasetune.store.durable import write_text
from phasetune.store.remote.mirror import away, shown_path

LARGEST_BYTES = 1 << 28  # text takes up to twenty times as much when it is read
_NO_JSON_NUMBERS = ("nan", "inf", "-inf")
_MOST_BITS = 1000  # floats end at 2**1024


def document_text(content: Any) -> str:
    """The canonical text of a document, ending with a newline."""
    return json.dumps(plain(content), sort_keys=True, indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """A value that JSON can hold: numbers that are not finite become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def document_digest(content: Any) -> str:
    """A digest of what the document would say."""
    return digest(plain(content))


def write_document(path: Path, content: Any) -> None:
    """Write a document durably; one that says the same already is left alone."""
    text = document_text(content)
    with suppress(OSError, ValueError):
        if _plain_bytes(path) == text.encode():
            return
    write_text(path, text)


def read_json(path: Path) -> Any:
    """What a file of JSON says.

    Raises:
        OSError: the file is not there, can't be read, or is no plain file.
        ValueError: it is no JSON, or larger or deeper than anything that was written there.
    """
    try:
        return json.loads(_plain_bytes(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _plain_bytes(path: Path) -> bytes:
    """A file's content. What is none, such as a pipe or a device, could be waited for in vain."""
    size = plain_file_size(path)
    if size > LARGEST_BYTES:
        raise ValueError(f"it has {size} bytes; at most {LARGEST_BYTES} are read")
    return path.read_bytes()


def plain_file_size(path: Path) -> int:
    """The bytes of a file that is no pipe or device, and that can be read.

    Raises:
        OSError: it is not there, is no plain file or can't be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file")
    return found.st_size


def read_document(path: Path) -> dict[str, Any] | None:
    """The document, or None where there is none.

    Raises:
        StoreError: there is one, but it is torn or no JSON object.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{shown_path(path)} can't be read: {error}; {away(path)} and run again"
        ) from error
    if not isinstance(content, dict):
        raise StoreError(f"{shown_path(path)} must hold a JSON object; {away(path)} and run again")
    return content


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as they were before writing: text such as `nan` is a number again.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(metrics, Mapping) or not all(map(is_number, metrics.values())):
        raise ValueError("metrics must be numbers by their names")
    return {name: float(value) for name, value in metrics.items()}


def steps(history: Any) -> list[dict[str, float]]:
    """Rows of a history as they were before writing, in order; each has a whole `step`.

    Raises:
        ValueError: they are none.
    """
    rows = [numbers(row) for row in history] if isinstance(history, list) else None
    if rows is None or not all(row.get("step", math.nan).is_integer() for row in rows):
        raise ValueError("a history must be rows of numbers, each with its step")
    return rows


def is_number(value: Any) -> bool:
    """Whether a value of a document stands for a number that a float can hold."""
    if isinstance(value, str):
        return value in _NO_JSON_NUMBERS
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and not (isinstance(value, int) and value.bit_length() > _MOST_BITS)
