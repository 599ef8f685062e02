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

WRONG_INPUT = 2


@contextmanager
def guarded(*, debug: bool) -> Iterator[None]:
    """Within the block, errors that a user can mend become sentences and exit codes."""
    from phasetune.run.interrupt import Interrupted

    try:
        yield
    except PhasetuneError as error:
        if debug:
            traceback.print_exception(error)
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(WRONG_INPUT) from error
    except (Interrupted, KeyboardInterrupt) as error:
        by = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        typer.echo(f"interrupted ({by}); nothing was decided since. Go on with:", err=True)
        typer.echo(f"  {same_command()}", err=True)
        raise typer.Exit(by.exit_code) from error


def same_command(*more: str) -> str:
    """The shell line of this very command, with more arguments that it lacks."""
    program = Path(sys.argv[0]).name
    name = [sys.executable, "-m", "phasetune"] if program == "__main__.py" else [program]
    given = sys.argv[1:]
    return shlex.join([*name, *given, *(entry for entry in more if entry not in given)])
