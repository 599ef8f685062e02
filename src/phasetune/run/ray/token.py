"""The token that Ray's clusters ask for: where it lies and who may read it. Imports no Ray.

Whoever reads it can run code as the user in a cluster, so it is for the user alone.
"""

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

AUTHENTICATION = "RAY_AUTH_MODE"
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


def make_token() -> None:
    """Make the token that Ray would make when it starts a cluster, but for the user alone.

    Ray makes one that everybody can read, and none where the environment names another place.
    """
    if not is_authentication_on() or is_token_in_environment():
        return
    file = token_file()
    if file.is_there or file.is_required:
        return
    with contextlib.suppress(OSError):  # Ray says what is wrong, or another driver was faster
        file.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(file.path, flags, 0o600), "w") as opened:  # noqa: PTH123 - a descriptor
            opened.write(secrets.token_hex(32))


def keep_token() -> None:
    """Close a token that is open to others, where it is the user's to close."""
    file = token_file()
    if file.is_open:
        with contextlib.suppress(OSError):
            file.path.chmod(0o600)


def _can_read(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
