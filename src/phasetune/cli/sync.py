"""The command `phasetune sync`: tell trackers what they were not told."""

from typing import Annotated

import typer

from phasetune.cli.data import DebugOption
from phasetune.cli.storage import ResultsArgument, StudyOption


def sync(
    results: ResultsArgument,
    study: StudyOption = None,
    tracking: Annotated[
        list[str] | None,
        typer.Option(
            "--tracking",
            metavar="NAME[=PLACE]",
            help="Tell this tracker instead of those of the study; may be given several times.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Tell trackers what they were not told, such as MLflow after its server was down."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.api import sync as tell
        from phasetune.api.syncing import Synced
        from phasetune.store.masking import masked

        def line(entry: Synced) -> str:
            if not entry.tracker:
                return f"{entry.study}: passed over: {entry.reason}"
            where = f"{entry.study}: {entry.tracker} ({entry.place})"
            if entry.reason:
                return f"{where}: {entry.waiting} still to tell: {entry.reason}"
            return f"{where} was told all of {_records(entry.records)}"

        def say(message: str) -> None:
            typer.echo(message, err=True)

        found = tell(results, study, tracking=tracking or (), tell=say)
        for entry in found:
            typer.echo(masked(line(entry)))
        raise typer.Exit(1 if any(entry.tracker and entry.reason for entry in found) else 0)


def _records(number: int) -> str:
    return f"{number} record" + ("" if number == 1 else "s")
