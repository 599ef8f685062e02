"""From errors to exit codes: a user's mistake is a sentence, a bug flies with its traceback."""

import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from phasetune.errors import PhasetuneError
from phasetune.store.masking import masked, masked_arguments

WRONG_INPUT = 2


@contextmanager
def guarded(*, debug: bool) -> Iterator[None]:
    """Within the block, errors that a user can mend become sentences and exit codes."""
    from phasetune.run.interrupt import Interrupted

    try:
        yield
    except PhasetuneError as error:
        if debug:
            typer.echo(masked("".join(traceback.format_exception(error))), err=True, nl=False)
        for problem in error.problems:
            typer.echo(f"error: {masked(problem)}", err=True)
        raise typer.Exit(WRONG_INPUT) from error
    except (Interrupted, KeyboardInterrupt) as error:
        by = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        typer.echo(f"interrupted ({by}); nothing was decided since. Go on with:", err=True)
        typer.echo(f"  {same_command()}", err=True)
        raise typer.Exit(by.exit_code) from error


def same_command(*more: str) -> str:
    """The shell line of this very command, with more arguments that it lacks.

    A secret that was typed is not repeated: where it says `***`, it is to be typed again.
    """
    program = Path(sys.argv[0]).name
    name = [sys.executable, "-m", "phasetune"] if program == "__main__.py" else [program]
    given = sys.argv[1:]
    lacking = (entry for entry in more if entry not in given)
    return shlex.join(masked_arguments([*name, *given, *lacking]))
