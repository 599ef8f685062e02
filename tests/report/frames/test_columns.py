"""The guide says which columns there are, and of which type."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from conftest import TESTS
from phasetune.report.frames import columns

PAGE = (TESTS.parent / "docs/results.md").read_text()
WORDS = {
    "text": columns.TEXT,
    "whole": "int64",
    "whole or none": "Int64",
    "number": "float64",
    "switch": "bool",
    "switch or none": "boolean",
}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("trials", columns.TRIALS),
        ("runs", columns.RUNS),
        ("history", columns.HISTORY),
        ("checkpoints", columns.CHECKPOINTS),
    ],
)
def test_the_guide_tells_each_frame_s_columns_in_order(
    frame: str, expected: Mapping[str, Any]
) -> None:
    section = PAGE.partition(f"\n### {frame}\n")[2].partition("\n### ")[0]
    told = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \| .+ \|$", section, re.MULTILINE)
    assert [(name, WORDS[kind]) for name, kind in told] == list(expected.items())
