"""Whether a head answers, asked of real servers on the loopback interface."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from phasetune.run.ray.greeting import NO_HEAD, silence
from ray_head import free_port

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
Served = Callable[[list[bytes]], str]


@pytest.fixture
def served() -> Iterator[Served]:
    """Starts a server that says these parts to whoever connects, and gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(parts: list[bytes]) -> None:
        connection, _ = listening.accept()
        with connection:
            for part in parts:
                connection.sendall(part)
            with suppress(OSError):  # whoever asked may be gone already
                connection.shutdown(socket.SHUT_WR)
                connection.recv(100)

    def start(parts: list[bytes]) -> str:
        threading.Thread(target=serve, args=(parts,), daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    with listening:
        yield start


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([SETTINGS], None),
        ([SETTINGS[:4], SETTINGS[4:]], None),
        ([b"HTTP/1.0 400 Bad request"], NO_HEAD),
        ([b"SSH-2"], NO_HEAD),
        ([], NO_HEAD),
    ],
    ids=["a head", "a head, bit by bit", "a web server", "a short greeting", "closes at once"],
)
def test_who_answers(served: Served, parts: list[bytes], found: str | None) -> None:
    assert silence(served(parts)) == found


def test_nobody_listens() -> None:
    found = silence(f"127.0.0.1:{free_port()}")
    assert found == "no Ray head answers there (Connection refused)"


def test_a_server_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        address = f"127.0.0.1:{hangs.getsockname()[1]}"
        found = silence(address, timeout_seconds=0.05)
        assert found == "no Ray head answers there (timed out)"


def test_no_machine_has_that_name() -> None:
    assert "no Ray head answers there (" in str(silence("nowhere.invalid:6379"))


def test_of_an_encrypted_one_only_the_connection_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with closing(socket.create_server(("127.0.0.1", 0))) as hangs:
        assert silence(f"127.0.0.1:{hangs.getsockname()[1]}") is None
