"""The command `phasetune stop`: ends a study that another process runs, and keeps what it has."""

import shlex
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from phasetune.cli.data import DebugOption
from phasetune.cli.storage import ResultsArgument, StudyOption

if TYPE_CHECKING:
    from phasetune.api.stopping import DrivenStudy

_STILL_AT_WORK = 1
_TELL_EVERY_SECONDS = 10.0


def stop(
    results: ResultsArgument,
    study: StudyOption = None,
    now: Annotated[
        bool, typer.Option("--now", help="Don't wait for checkpoints; runs go on from older ones.")
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="How long to wait for its end; default: 75.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Stop a study that runs, here or on another machine; the same command goes on with it."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.api.stopping import WAIT_SECONDS, driven_study

        driven = driven_study(results, study)
        if driven is None:
            typer.echo(f"Nothing to stop: nobody runs {study or 'a study'} in {results}.")
            return
        _stop(driven, results, at_once=now, wait_seconds=WAIT_SECONDS if wait is None else wait)


def _stop(driven: "DrivenStudy", results: str, *, at_once: bool, wait_seconds: float) -> None:
    from phasetune.api.stopping import has_ended
    from phasetune.run.stop_request import ask_to_stop

    typer.echo(f"Study {driven.name} is run by {driven.owner}.")
    ask_to_stop(driven.paths, driven.owner, at_once=at_once)
    typer.echo(f"Asked it to end{' at once' if at_once else ' at its next checkpoints'}; waiting.")
    if not has_ended(driven, wait_seconds=wait_seconds, meanwhile=_teller()):
        for line in _what_to_do(driven, results, wait_seconds, at_once=at_once):
            typer.echo(line, err=True)
        raise typer.Exit(_STILL_AT_WORK)
    typer.echo("Stopped: what is done and the newest checkpoints are kept. Go on with, as before:")
    typer.echo(f"  {driven.owner.command}")


def _teller() -> Callable[[], None]:
    """Tells now and then for how long it has been waiting."""
    began = monotonic()
    told = 0.0

    def tell() -> None:
        nonlocal told
        waited = monotonic() - began
        if waited - told >= _TELL_EVERY_SECONDS:
            told = waited
            typer.echo(f"  still waiting after {waited:.0f} s")

    return tell


def _what_to_do(
    driven: "DrivenStudy", results: str, wait_seconds: float, *, at_once: bool
) -> list[str]:
    again = shlex.join(["phasetune", "stop", results, "--study", driven.name, "--now"])
    lines = [f"error: the driver has not ended within {wait_seconds:g} s."]
    if not driven.owner.is_of_this_machine:
        host = driven.owner.host
        lines.append(f"Its machine, {host}, may be gone or cut off; the request stays for it.")
    if not at_once:
        lines.append(f"Without waiting for checkpoints: {again}")
    elif driven.owner.is_of_this_machine:
        lines.append(f"End it by force, which loses nothing stored: kill -9 {driven.owner.pid}")
    return lines
