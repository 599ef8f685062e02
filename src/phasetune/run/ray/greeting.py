"""Whether a Ray head answers at an address: asked below Ray, and within seconds.

Ray's own client tries for a minute and ends the process then. A head speaks HTTP/2, in which each
side begins with its settings (RFC 9113, section 3.4): an HTTP/2 client that greets hears them at
once, with or without a token, and from a process that hangs it hears nothing.
"""

import os
import socket

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HEADER_BYTES = 9
_TYPE_OF_SETTINGS = 4
NO_HEAD = "what answers there is no Ray head"


def silence(address: str, *, timeout_seconds: float = 3.0) -> str | None:
    """Why no head is heard at HOST:PORT; None where one answers."""
    host, _, port = address.rpartition(":")
    place = (host.strip("[]"), int(port))
    try:
        with socket.create_connection(place, timeout=timeout_seconds) as connection:
            return None if _is_encrypted() else _silence_of(connection)
    except OSError as error:
        return f"no Ray head answers there ({error.strerror or error})"
    except UnicodeError as error:  # a host that no name service can be asked for, such as a..b
        return f"no Ray head answers there ({error})"


def _silence_of(connection: socket.socket) -> str | None:
    connection.sendall(_GREETING)
    heard = b""
    while len(heard) < _HEADER_BYTES:
        part = connection.recv(_HEADER_BYTES - len(heard))
        if not part:
            return NO_HEAD
        heard += part
    return None if heard[3] == _TYPE_OF_SETTINGS else NO_HEAD


def _is_encrypted() -> bool:
    """By Ray's own switch; then whoever takes the connection is taken for a head."""
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
