"""The token that Ray's clusters ask for: where it lies and who may read it. Imports no Ray."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from phasetune.run.ray.session import AUTHENTICATION

_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, kw_only=True)
class TokenFile:
    """The file for a token as it was found: `mode` is None where there is none."""

    path: Path
    mode: int | None
    is_readable: bool
    is_required: bool

    @property
    def is_there(self) -> bool:
        """Whether there is one."""
        return self.mode is not None

    @property
    def readers(self) -> str:
        """Who may read it."""
        mode = self.mode or 0
        if mode & stat.S_IROTH:
            return "everybody"
        return "your group" if mode & stat.S_IRGRP else "you alone"

    @property
    def is_open(self) -> bool:
        """Whether others may read or replace it."""
        return bool((self.mode or 0) & (stat.S_IRWXG | stat.S_IRWXO))


def is_authentication_on() -> bool:
    """Whether clusters will ask for a token; Ray turns that on where nothing is said."""
    return os.environ.get(AUTHENTICATION, "token").lower() == "token"


def is_token_in_environment() -> bool:
    """Whether the token itself is in the environment, which goes before any file."""
    return bool(os.environ.get(_TOKEN))


def token_file() -> TokenFile:
    """The file that Ray reads its token from; one that the environment names has to be there.

    Raises:
        RuntimeError: there is no home folder to look in.
    """
    named = os.environ.get(_TOKEN_PATH)
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return TokenFile(path=path, mode=None, is_readable=False, is_required=bool(named))
    except OSError:
        mode = 0
    return TokenFile(path=path, mode=mode, is_readable=_can_read(path), is_required=bool(named))


def _can_read(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
