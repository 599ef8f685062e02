"""From errors to exit codes: a user's mistake is a sentence, a bug flies with its traceback."""

import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from phasetune.errors import PhasetuneError
from phasetune.store.masking import masked, masked_arguments

WRONG_INPUT = 2


@contextmanager
def guarded(*, debug: bool) -> Iterator[None]:
    """Within the block, errors that a user can mend become sentences and exit codes."""
    from phasetune.run.interrupt import Interrupted, ended_by_signals

    try:
        with ended_by_signals():
            yield
    except PhasetuneError as error:
        if debug:
            _tell(masked("".join(traceback.format_exception(error))).rstrip("\n"))
        for problem in error.problems:
            _tell(f"error: {masked(problem)}")
        raise typer.Exit(WRONG_INPUT) from error
    except (Interrupted, KeyboardInterrupt) as error:
        by = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        _tell(f"interrupted ({by}); nothing was decided since. Go on with:")
        _tell(f"  {same_command()}")
        raise typer.Exit(by.exit_code) from error


def _tell(line: str) -> None:
    """A terminal that was closed changes nothing about how the command ends."""
    with suppress(OSError):
        typer.echo(line, err=True)


def same_command(*more: str) -> str:
    """The shell line of this very command, with more arguments that it lacks.

    A secret that was typed is not repeated: where it says `***`, it is to be typed again.
    """
    program = Path(sys.argv[0]).name
    name = [sys.executable, "-m", "phasetune"] if program == "__main__.py" else [program]
    given = sys.argv[1:]
    lacking = (entry for entry in more if entry not in given)
    return shlex.join(masked_arguments([*name, *given, *lacking]))
