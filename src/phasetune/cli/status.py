"""The command `phasetune status`: where studies stand, from their files."""

import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from phasetune.cli.data import DebugOption
from phasetune.cli.display.formats import can_draw
from phasetune.cli.storage import ResultsArgument, StudyOption
from phasetune.errors import StoreError, StudyError

if TYPE_CHECKING:
    from phasetune.cli.display.standing import StudyStanding
    from phasetune.store.paths import ResultsPaths

_EVERY_SECONDS = 0.5
_REFRESHED_EVERY_SECONDS = 5.0


def status(
    results: ResultsArgument,
    study: StudyOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it until the study ends, or Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    debug: DebugOption = False,
) -> None:
    """Show where studies stand, from another shell or machine, without touching their drivers."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.cli.display.standing import standings

        if watch and as_json:
            raise StudyError(
                "--watch and --json exclude each other; machines follow the lines of "
                "RESULTS/STUDY/logs/events.jsonl"
            )
        found = standings(results, study)
        if watch:
            _watch(found, results)
        else:
            _print(found, results, as_json=as_json)


def _print(found: "Sequence[StudyStanding]", results: str, *, as_json: bool) -> None:
    from rich.console import Console

    from phasetune.cli.display.standing import print_standings
    from phasetune.cli.display.standing_json import standings_text
    from phasetune.cli.display.surroundings import Surveyor
    from phasetune.store.paths import results_as_typed

    surveyor = Surveyor(results_as_typed(results))
    surveyor.ask()
    now, around = time.time(), surveyor.known
    if as_json:
        sys.stdout.write(standings_text(found, now=now, around=around))
    else:
        print_standings(found, Console(highlight=False), now=now, around=around)


def _watch(found: "Sequence[StudyStanding]", results: str) -> None:
    """Until no study is open; Ctrl-C is as good an end as that."""
    from phasetune.run.interrupt import Interrupted

    try:
        if can_draw():
            _draw_on(found, results)
        elif any(standing.state.is_open for standing in found):
            _print(found, results, as_json=False)
            _print_on(found, results)
        _print(found, results, as_json=False)
    except Interrupted as error:
        if error.signum != signal.SIGINT:
            raise


def _draw_on(found: "Sequence[StudyStanding]", results: str) -> None:
    from phasetune.cli.display.live import Screen, stays
    from phasetune.cli.display.standing import standings_view
    from phasetune.cli.display.surroundings import Surveyor
    from phasetune.store.paths import results_as_typed

    paths = results_as_typed(results)
    surveyor, screen, lines = Surveyor(paths), Screen(), list[str]()
    fresh = _Refreshing(paths)
    try:
        with surveyor.asking():
            while any(standing.state.is_open for standing in found):
                now, around = time.time(), surveyor.known
                screen.draw(lines, standings_view(found, screen.canvas, now=now, around=around))
                time.sleep(_EVERY_SECONDS)
                fresh.refresh()
                told = [pair for standing in found for pair in standing.read()]
                lines = [line for event, shown in told if stays(event) for line in shown]
    finally:
        screen.close()


def _print_on(found: "Sequence[StudyStanding]", results: str) -> None:
    from phasetune.cli.display.progress import PatientConsole
    from phasetune.store.paths import results_as_typed

    fresh = _Refreshing(results_as_typed(results))
    console = PatientConsole(file=sys.stdout, highlight=False, soft_wrap=True)
    while any(standing.state.is_open for standing in found):
        time.sleep(_EVERY_SECONDS)
        fresh.refresh()
        told = [pair for standing in found for pair in standing.read()]
        for line in (line for _, shown in told for line in shown):
            console.print_line(line)


class _Refreshing:
    """Brings what is news at a URI now and then; a folder is read as it is."""

    def __init__(self, paths: "ResultsPaths") -> None:
        from phasetune.store.remote.mirror import mirror_of

        self._mirror = mirror_of(paths.root)
        self._again_at = time.monotonic() + _REFRESHED_EVERY_SECONDS

    def refresh(self) -> None:
        """Where it is due; a storage that does not answer is asked again, and "last heard of"
        says how old the news are.
        """
        if self._mirror is not None and time.monotonic() >= self._again_at:
            with suppress(StoreError):
                self._mirror.refresh()
            self._again_at = time.monotonic() + _REFRESHED_EVERY_SECONDS
