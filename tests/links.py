"""The way to a server on loopback, which can be cut and mended."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from object_store import ObjectServer


@dataclass(kw_only=True)
class Link:
    """While it is cut nobody answers at its end."""

    target: tuple[str, int]
    port: int = 0
    _listener: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list)

    def mend(self) -> None:
        """Answer, always at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Answer no more, and end what is under way."""
        for found in (self._listener, *self._open):
            if found is not None:
                with suppress(OSError):
                    found.shutdown(socket.SHUT_RDWR)
                found.close()
        self._listener = None
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self.target)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(1 << 16):
            sink.sendall(content)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def linked(server: ObjectServer) -> Iterator[tuple[Link, Mapping[str, str]]]:
    """A link to a server, and the environment of processes that go through it."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    link = Link(target=(host, int(port)))
    link.mend()
    try:
        yield link, {**server.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{link.port}"}
    finally:
        link.cut()
