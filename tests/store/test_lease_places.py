"""Of those that come at once one has the lease, and who comes late harms nobody."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasetune.store import lease_places
from phasetune.store.lease_places import FolderPlace, ObjectPlace, lease_place
from phasetune.store.lease_places import lease_places as places_of
from phasetune.store.paths import ResultsPaths
from phasetune.store.remote.objects import RemoteObjects

A, B = b"token-a 1\n", b"token-b 1\n"

RACES = """
import os, sys
from pathlib import Path
from phasetune.store import lease
from phasetune.store.lease import Lease, LeaseHeldError, Waiting
from phasetune.store.lease_places import FolderPlace
lease.RENEW_SECONDS = 0.001
folder, marker = Path(sys.argv[1]), Path(sys.argv[1] + "-marker")
print("ready", flush=True)
sys.stdin.readline()
held = 0
while held < 50:
    mine = Lease(FolderPlace(folder), Waiting())
    try:
        mine.acquire()
    except LeaseHeldError:
        continue
    os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    mine.check()
    marker.unlink()
    mine.close()
    held += 1
"""

TAKES_OVER = """
import sys
from pathlib import Path
from phasetune.store import lease
from phasetune.store.lease import Lease, LeaseHeldError, Waiting
from phasetune.store.lease_places import FolderPlace
lease.WATCH_SECONDS, lease.POLL_SECONDS = 0.05, 0.01
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(10):
    mine = Lease(FolderPlace(Path(sys.argv[1], str(number))), Waiting())
    try:
        mine.acquire()
        won.append(number)
    except LeaseHeldError:
        pass
print(*won, flush=True)
sys.stdin.read()
"""


def started(script: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def at_once(processes: "list[subprocess.Popen[str]]") -> None:
    """Let them go when all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def test_two_processes_that_race_fifty_times_each_never_both_hold_it(tmp_path: Path) -> None:
    both = [started(RACES, tmp_path / "lease") for _ in range(2)]
    at_once(both)
    ends = [(process.communicate()[1], process.returncode) for process in both]
    assert ends == [("", 0), ("", 0)]


def test_of_three_that_take_over_from_the_dead_one_does(tmp_path: Path) -> None:
    for number in range(10):
        place = FolderPlace(tmp_path / str(number))
        place.look()
        assert place.claim(b"of nobody that lives here\n")
    takers = [started(TAKES_OVER, tmp_path) for _ in range(3)]
    at_once(takers)
    won = [process.stdout.readline().split() for process in takers if process.stdout is not None]
    ends = [(process.communicate()[1], process.returncode) for process in takers]
    assert ends == [("", 0)] * 3
    assert sorted(int(number) for numbers in won for number in numbers) == list(range(10))


def test_who_looked_before_another_claimed_has_nothing(tmp_path: Path) -> None:
    first, second = FolderPlace(tmp_path / "lease"), FolderPlace(tmp_path / "lease")
    assert (first.look(), second.look()) == (b"", b"")
    assert first.claim(A)
    assert not second.claim(B)
    assert second.look() == A
    assert not second.renew(b"token-b", B)
    second.release(b"token-b")
    assert first.renew(b"token-a", A)


def test_who_slept_while_others_came_and_went_takes_no_number_of_theirs(tmp_path: Path) -> None:
    sleeper = FolderPlace(tmp_path / "lease")
    sleeper.look()
    for content in (A, B, A):
        place = FolderPlace(tmp_path / "lease")
        place.look()
        assert place.claim(content)
        if content is B:
            place.release(b"token-b")
    assert not sleeper.claim(B)
    assert [path.name for path in (tmp_path / "lease").iterdir()] == ["3"]
    assert place.renew(b"token-a", A)


def test_who_wakes_late_writes_into_no_lease_but_its_own(tmp_path: Path) -> None:
    late, next_one = FolderPlace(tmp_path / "lease"), FolderPlace(tmp_path / "lease")
    late.look()
    assert late.claim(A)
    assert next_one.look() == A
    assert next_one.claim(B)
    assert not late.renew(b"token-a", A)
    late.release(b"token-a")
    assert FolderPlace(tmp_path / "lease").look() == B


def test_a_higher_number_counts_also_where_who_made_it_died_before_it_cleared_the_lower(
    tmp_path: Path,
) -> None:
    late = FolderPlace(tmp_path)
    late.look()
    assert late.claim(A)
    (tmp_path / "2").write_bytes(B)
    assert not late.renew(b"token-a", A)
    assert late.look() == B
    assert late.claim(A)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_links_a_name_is_made_by_one_alone(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    test_who_looked_before_another_claimed_has_nothing(tmp_path)


def test_a_link_that_was_made_though_it_is_said_to_be_there_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS has it, where an answer was lost and the question repeated."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    test_who_looked_before_another_claimed_has_nothing(tmp_path)


def test_what_is_taken_over_while_one_looks_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_places, "_LOOK_AGAIN_SECONDS", 0.0)
    place = FolderPlace(tmp_path)
    (tmp_path / "1").symlink_to("gone")
    with pytest.raises(OSError, match="Stale file handle"):
        place.look()
    (tmp_path / "2").write_bytes(B)
    assert place.look() == B


def test_leases_are_found_by_how_their_names_begin(tmp_path: Path) -> None:
    paths = ResultsPaths(tmp_path)
    assert places_of(paths, "uses-") == []
    for name in ("uses-2", "uses-1", "drives-x"):
        place = lease_place(paths, name)
        place.look()
        assert place.claim(A)
    assert [place.shown for place in places_of(paths, "uses-")] == [
        f"{tmp_path}/.leases/uses-{number}" for number in (1, 2)
    ]
    places_of(paths, "uses-")[0].withdraw()
    assert len(places_of(paths, "uses-")) == 1


def test_an_object_is_named_before_what_its_uri_says_in_the_query() -> None:
    assert ObjectPlace("s3://b/x?region=eu", "a/b").shown == "s3://b/x/a/b?region=eu"


@pytest.mark.parametrize(("settle_seconds", "is_held"), [(0.0, False), (60.0, True)])
def test_whose_write_took_long_looks_again(
    settle_seconds: float, is_held: bool, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: RemoteObjects, name: str, content: bytes) -> None:
        real(self, name, content)
        real(self, name, B)  # of one who came meanwhile

    place, real = ObjectPlace(bucket, "lease"), RemoteObjects.write
    real(RemoteObjects(bucket), "lease", A)
    monkeypatch.setattr(lease_places, "SETTLE_SECONDS", settle_seconds)
    monkeypatch.setattr(RemoteObjects, "write", write)
    assert place.renew(b"token-a", A) is is_held
