"""A table as a file: CSV for spreadsheets, Parquet and JSON lines for programs.

Floats are written so that they read back equal. In CSV, text that a spreadsheet would take for a
formula (it begins with = + - @ or a control character, and is no number) has an apostrophe before
it (OWASP, "CSV injection"); Parquet and JSON lines say it as it is.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasetune.errors import StoreError
from phasetune.report.frames.columns import TEXT
from phasetune.report.frames.table import plain_values
from phasetune.store.documents import plain
from phasetune.store.durable import replacing

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all, as the suffix says.

    Raises:
        StoreError: the suffix is another one, or the file can't be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        known = ", ".join(_WRITERS)
        raise StoreError(f"{path}: the suffix says how to write it and must be one of {known}")
    with replacing(path) as draft:
        write(frame, draft)


def csv_text(frame: pd.DataFrame) -> str:
    """The table as CSV: a heading, a line per row, nothing where there is no value."""
    told = frame.rename(columns=_without_formula)
    for name, column in told.items():
        if column.dtype == TEXT:
            told[name] = column.map(_without_formula, na_action="ignore").astype(TEXT)
    text: str = told.to_csv(index=False, lineterminator="\n")
    return text


def records(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each row as values that JSON can hold; infinite numbers are text, what is missing is null."""
    columns = [plain(plain_values(frame[name])) for name in frame.columns]
    names = [str(name) for name in frame.columns]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _without_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    path.write_text(csv_text(frame), encoding="utf-8", newline="")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False)


def _write_json_lines(frame: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"{json.dumps(record, allow_nan=False)}\n" for record in records(frame))


_WRITERS: Mapping[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_json_lines,
}
