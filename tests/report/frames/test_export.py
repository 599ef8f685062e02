"""What is exported reads back equal, and does nothing in a spreadsheet."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from phasetune import StoreError
from phasetune.report.frames.columns import TEXT
from phasetune.report.frames.export import csv_text, export_frame
from phasetune.report.frames.table import Row, frame_of

PARAMETERS: list[dict[str, Any]] = [
    {"a.whole": 3, "a.number": 0.1 + 0.2, "a.switch": True, "a.text": 'two\nlines, "quoted"'},
    {"a.whole": None, "a.number": -math.inf, "a.switch": None, "a.text": None},
]
FRAME = frame_of(
    [Row(about={"name": f"trial {i}"}, parameters=found) for i, found in enumerate(PARAMETERS)],
    {"name": TEXT},
)


def cells(frame: pd.DataFrame) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(frame), newline="")))


def test_csv_has_a_heading_and_nothing_where_there_is_no_value() -> None:
    assert cells(FRAME) == [
        {
            "name": "trial 0",
            "a.whole": "3",
            "a.number": "0.30000000000000004",
            "a.switch": "True",
            "a.text": 'two\nlines, "quoted"',
        },
        {"name": "trial 1", "a.whole": "", "a.number": "-inf", "a.switch": "", "a.text": ""},
    ]
    assert "\r" not in csv_text(FRAME)


@given(some.lists(some.floats(allow_nan=False), min_size=1))
def test_numbers_in_csv_read_back_equal(values: list[float]) -> None:
    found = [float(row["value"]) for row in cells(pd.DataFrame({"value": values}))]
    assert found == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1+2", "'=1+2"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-0.5", "-0.5"),
        ("+1e3", "+1e3"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_a_formula_in_csv_is_text(text: str, expected: str) -> None:
    frame = frame_of([Row(about={"note": text})], {"note": TEXT})
    assert cells(frame) == [{"note": expected}]
    named = frame_of([Row(about={"n": "x"}, metrics={text or "m": 1.0})], {"n": TEXT})
    assert list(cells(named)[0]) == ["n", expected or "m"]


def test_parquet_and_json_lines_say_what_the_frame_says(tmp_path: Path) -> None:
    frame = FRAME.assign(name=["=1", "two"])
    export_frame(frame, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame)
    export_frame(frame, tmp_path / "x.JSONL")
    lines = (tmp_path / "x.JSONL").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"name": "=1", **PARAMETERS[0]},
        {"name": "two", **PARAMETERS[1], "a.number": "-inf"},
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_file_that_is_there_is_replaced_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"trials.{suffix}"
    path.write_text("before" * 1000)
    export_frame(FRAME, path)
    again = tmp_path / f"again.{suffix}"
    export_frame(FRAME, again)
    assert path.read_bytes() == again.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([path, again])


@pytest.mark.parametrize("name", ["trials", "trials.xlsx", ".csv", "csv"])
def test_another_suffix_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"must be one of \.csv, \.parquet, \.jsonl$"):
        export_frame(FRAME, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_place_that_cant_be_written_is_a_sentence(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't be written: .+; no half of it was left there$"):
        export_frame(FRAME, tmp_path / "file" / f"x.{suffix}")
    folder = tmp_path / f"folder.{suffix}"
    folder.mkdir()
    with pytest.raises(StoreError, match="can't be written"):
        export_frame(FRAME, folder)
    assert not list(folder.iterdir())
