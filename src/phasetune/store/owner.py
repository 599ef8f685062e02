"""Who holds a lock, told apart from every process of any machine at any time.

Pids are used again, after a restart of the machine at the latest, and every container has its own.
The boot, the pid namespace and the instant at which the process started are of one process alone.
The kernel counts that instant from the boot, so moving the clock changes nothing here.
"""

import json
import os
import shlex
import socket
import textwrap
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from phasetune.store.masking import masked_arguments
from phasetune.store.provenance import command_line

_MOST_COMMAND = 200
_MOST_PID = 2**31 - 1
_ENDED = ("Z", "X")
"""States of a process that was killed and that its parent has not asked about yet."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process. `since` is for people; `started_ticks` counts from the boot.

    `boot` and `pid_namespace` are empty where the system does not tell them.
    """

    pid: int
    host: str
    since: str
    command: str
    boot: str
    pid_namespace: str
    started_ticks: int

    @classmethod
    def of_this_process(cls) -> Self:
        """This process, from now on; secrets in its command are masked."""
        found = _state(os.getpid())
        command = shlex.join(masked_arguments(command_line()))
        return cls(
            pid=os.getpid(),
            host=socket.gethostname(),
            since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            command=textwrap.shorten(command, _MOST_COMMAND, placeholder=" ..."),
            boot=_boot(),
            pid_namespace=_pid_namespace(),
            started_ticks=0 if found is None else found[1],
        )

    @classmethod
    def of_content(cls, content: bytes) -> Self | None:
        """Whom the first line of a lock file names; None where it names nobody."""
        try:
            found = json.loads(content.partition(b"\n")[0])
            owner = cls(**{field.name: found[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        is_typed = all(type(getattr(owner, field.name)) is field.type for field in fields(cls))
        return owner if is_typed and 0 < owner.pid <= _MOST_PID else None

    @property
    def content(self) -> bytes:
        """One line, so that a reader sees no rest of a longer one that it replaces."""
        return json.dumps(asdict(self), sort_keys=True).encode() + b"\n"

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it ran under this boot of this machine, where this process sees its pid."""
        here = (_boot(), _pid_namespace())
        return "" not in here and (self.boot, self.pid_namespace) == here

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that it no longer lives: never of another machine's."""
        if not self.is_of_this_machine:
            return False
        try:
            os.kill(self.pid, 0)  # sends nothing
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        found = _state(self.pid)
        return found is not None and (found[0] in _ENDED or found[1] != self.started_ticks)

    def __str__(self) -> str:
        text = f"pid {self.pid} on {self.host}, since {self.since}, `{self.command}`"
        return "".join(letter if letter.isprintable() else "?" for letter in text)


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _pid_namespace() -> str:
    with suppress(OSError):
        return Path("/proc/self/ns/pid").readlink().name
    return ""


def _state(pid: int) -> tuple[str, int] | None:
    """A process's state and when it started, in ticks since the boot; None where it isn't told."""
    with suppress(OSError, ValueError, IndexError):
        # the name of the program comes second, in parentheses, and may hold anything
        rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return rest[0], int(rest[19])
    return None
