"""How a command tells what happens while it works, by what its standard output is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated

import typer

from phasetune.errors import StudyError

if TYPE_CHECKING:
    from rich.console import Console

    from phasetune.cli.display.progress import Counts
    from phasetune.run.events import Listener


class LogFormat(StrEnum):
    """How events are told; `auto` is `live` on a terminal and `plain` elsewhere."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    JSON = "json"


LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        help="What is told meanwhile: a live display, plain lines, or JSON lines for machines.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Who listens to a study, what was counted, and where the closing words go."""

    listener: "Listener"
    counts: "Counts"
    console: "Console"


@contextmanager
def telling(log_format: LogFormat, *, study: str, results: str) -> Iterator[Telling]:
    """Within the block events are told; the terminal is given back after it.

    With `json` nothing but events is on standard output: the closing words go to standard error.

    Raises:
        StudyError: a live display was asked for where there is no terminal.
    """
    from rich.console import Console

    from phasetune.cli.display.live import live_display
    from phasetune.cli.display.progress import Counts, JsonLines, Narrative, Progress
    from phasetune.run.events import Listeners
    from phasetune.store.paths import results_as_typed, shown_path

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # no letter that a terminal lacks ends a study
    paths = results_as_typed(results)
    narrative, counts = Narrative(shown_path(paths.study(study).root)), Counts()
    is_json = log_format is LogFormat.JSON
    console = Console(highlight=False, stderr=is_json)
    if is_live(log_format):
        with live_display(narrative, paths) as display:
            yield Telling(listener=Listeners((display, counts)), counts=counts, console=console)
        return
    shown: Listener = JsonLines() if is_json else Progress(narrative)
    yield Telling(listener=Listeners((shown, counts)), counts=counts, console=console)


def is_live(log_format: LogFormat) -> bool:
    """Whether to draw: where asked for, or on a terminal that can, with somebody before it.

    Raises:
        StudyError: it was asked for where there is no terminal.
    """
    if log_format is LogFormat.LIVE and not can_draw():
        raise StudyError(
            "--log-format live needs a terminal that can move its cursor, but standard output is "
            "none; leave it out, or take plain"
        )
    is_watched = can_draw() and not os.environ.get("CI")
    return log_format is LogFormat.LIVE or (log_format is LogFormat.AUTO and is_watched)


def can_draw() -> bool:
    """Whether standard output is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
