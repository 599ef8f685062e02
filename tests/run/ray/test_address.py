"""What `--address` may be, and which cluster `auto` finds; nobody is asked."""

from pathlib import Path

import pytest

from phasetune import StudyError
from phasetune.run.ray import address
from phasetune.run.ray.address import clusters_of_this_machine, resolved_address


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize("given", ["10.0.0.1:6379", "head.example:1", "[fd00::1]:6379"])
def test_a_place_stands_as_it_is(given: str) -> None:
    assert resolved_address(given) == given


@pytest.mark.parametrize(
    "given", ["", "head", "head:", ":6379", "head:0", "head:70000", "ray://head:10001", "a b:1"]
)
def test_what_is_no_address_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(StudyError, match="must be auto or HOST:PORT, such as") as no:
        resolved_address(given)
    assert f"but is {given!r}" in str(no.value)


@pytest.mark.parametrize(
    ("found", "named", "resolved"),
    [
        (["10.0.0.1:6379"], None, "10.0.0.1:6379"),
        (["10.0.0.1:6379", "10.0.0.1:6379"], None, "10.0.0.1:6379"),
        (["10.0.0.1:6379"], "10.0.0.9:1", "10.0.0.9:1"),
        (["10.0.0.1:6379"], "auto", "10.0.0.1:6379"),
    ],
    ids=["one", "two nodes of one", "the environment names another", "it names none"],
)
def test_auto_is_the_cluster_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, found: list[str], named: str | None, resolved: str
) -> None:
    monkeypatch.setattr(address, "clusters_of_this_machine", lambda: iter(found))
    if named is not None:
        monkeypatch.setenv("RAY_ADDRESS", named)
    assert resolved_address("auto") == resolved


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "--address auto: this machine is no node of a Ray cluster; start one with"),
        (["b:2", "a:1"], "this machine has nodes of several Ray clusters, a:1, b:2; give the"),
    ],
)
def test_auto_is_refused_where_it_means_nothing_or_two(
    monkeypatch: pytest.MonkeyPatch, found: list[str], message: str
) -> None:
    monkeypatch.setattr(address, "clusters_of_this_machine", lambda: iter(found))
    with pytest.raises(StudyError, match=message):
        resolved_address("auto")


def test_what_the_environment_names_is_checked_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(StudyError, match="RAY_ADDRESS must be auto or HOST:PORT"):
        resolved_address("auto")


def test_raylets_tell_their_cluster_but_private_ones_and_those_of_other_networks(
    tmp_path: Path,
) -> None:
    def process(pid: int, name: str, environment: bytes, network: int = 7) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "comm").write_text(f"{name}\n")
        (folder / "environ").write_bytes(environment)
        (folder / "cmdline").write_bytes(f"{name}\0--gcs-address=h{pid}:1\0--x".encode())
        (folder / "ns").mkdir()
        (folder / "ns" / "net").symlink_to(f"net:[{network}]")

    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "net").symlink_to("net:[7]")
    process(1, "raylet", b"HOME=/root\0")
    process(2, "raylet", b"A=1\0RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0\0")
    process(3, "python", b"")
    (tmp_path / "4").mkdir()  # it ended meanwhile
    process(5, "raylet", b"HOME=/root\0", network=8)  # of a container
    assert list(clusters_of_this_machine(tmp_path)) == ["h1:1"]
