"""Which cluster `--address` names: HOST:PORT as it stands, `auto` the one of this machine.

`auto` is what RAY_ADDRESS names, and else the one cluster that this machine is a node of. Private
clusters of other studies are no candidates, since they end with their study.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from phasetune.errors import StudyError

PRIVATE_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's own, for machines that form no clusters; 0 in all processes of a private cluster."""

_FORM = re.compile(r"(?P<host>[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
_START = "start one with `RAY_AUTH_MODE=token ray start --head`"


def named_address(address: str) -> str | None:
    """HOST:PORT as it was said; None where this machine's cluster is meant, whichever that is.

    Raises:
        StudyError: what was said is no address.
    """
    if address != "auto":
        return _checked(address, source="--address")
    named = os.environ.get("RAY_ADDRESS")
    return _checked(named, source="RAY_ADDRESS") if named and named != "auto" else None


def resolved_address(address: str) -> str:
    """HOST:PORT of the cluster that is meant; nobody is asked.

    Raises:
        StudyError: it is no address, or `auto` finds no cluster on this machine, or several.
    """
    named = named_address(address)
    if named is not None:
        return named
    found = sorted(set(clusters_of_this_machine()))
    if not found:
        raise StudyError(
            "--address auto: this machine is no node of a Ray cluster; "
            f"{_START}, or give the address of its head, HOST:PORT"
        )
    if len(found) > 1:
        raise StudyError(
            f"--address auto: this machine has nodes of several Ray clusters, {', '.join(found)}; "
            "give the address of one"
        )
    return found[0]


def clusters_of_this_machine(processes: Path = Path("/proc")) -> Iterator[str]:
    """The address of each cluster that a raylet of this machine belongs to, private ones left out.

    Whose environment can't be read is of another user; whose network is another one is a container,
    and its address may mean nothing here.
    """
    network = _network(processes / "self")
    for folder in processes.glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text().strip() != "raylet" or _network(folder) != network:
                continue
            private = f"{PRIVATE_SWITCH}=0".encode()
            if private in (folder / "environ").read_bytes().split(b"\0"):
                continue
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().split()
            yield from (
                word.removeprefix("--gcs-address=")
                for word in words
                if word.startswith("--gcs-address=")
            )


def _network(process: Path) -> Path:
    """What the kernel calls the network that a process sees."""
    return (process / "ns" / "net").readlink()


def _checked(address: str, *, source: str) -> str:
    found = _FORM.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 1 << 16:
        raise StudyError(
            f"{source} must be auto or HOST:PORT, such as 10.0.0.1:6379, but is {address!r}; it is "
            "what `ray start --head` prints"
        )
    return address
