"""The page about watching names every event with its fields, and every state."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

from phasetune.run.events import Event
from phasetune.run.whereabouts import State

PAGE = (Path(__file__).parents[1] / "docs" / "watching.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """The first column of a table of the page, and the code in the second one."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [line.strip("|").split("|") for line in table]
    return {cell[0].strip(" `"): re.findall(r"`(\w+)`", cell[1]) for cell in cells}


def test_the_table_of_events_is_what_the_journal_holds() -> None:
    assert rows("event") == {
        re.sub(r"(?<!^)([A-Z])", r"_\1", kind.__name__).lower(): [
            field.name for field in fields(kind)
        ]
        for kind in get_args(Event)
    }


def test_every_state_is_explained() -> None:
    assert set(rows("state")) == set(State)
