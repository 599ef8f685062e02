"""Files that grow, brought to the results at a URI: what is shared when, and what is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from machines import on
from phasetune.errors import StoreError
from phasetune.run import sharing
from phasetune.run.request import RunRequest, ask_workers
from phasetune.run.sharing import SharedLog, Sharing, shared
from phasetune.store.lease import nobody_asks
from phasetune.store.paths import StudyPaths, results_at
from phasetune.store.remote.mirror import Mirror, mirror_of


@pytest.fixture
def study(bucket: str, tmp_path: Path) -> Iterator[StudyPaths]:
    """A study at a URI, on one of two machines."""
    with on(tmp_path / "one"):
        yield results_at(f"{bucket}/results").study("one")


def mirror(study: StudyPaths) -> Mirror:
    found = mirror_of(study.root)
    assert found is not None
    return found


def there(study: StudyPaths, path: Path) -> bytes | None:
    return mirror(study).objects.read(mirror(study).name(path))


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_what_did_not_change_is_not_brought_again(study: StudyPaths) -> None:
    told: list[str] = []
    sharer = Sharing(mirror(study), [study.events, study.log], tell=told.append, check=nobody_asks)
    put(study.events, "one\n")
    assert sharer.share() >= sharing.EVERY_SECONDS
    mirror(study).objects.write(mirror(study).name(study.events), b"kept")
    sharer.share()
    assert there(study, study.events) == b"kept"
    put(study.events, "one\ntwo\n")
    sharer.share()
    assert there(study, study.events) == b"one\ntwo\n"
    assert (there(study, study.log), told) == (None, [])


def test_nothing_goes_over_a_longer_log(study: StudyPaths) -> None:
    sharer = Sharing(mirror(study), [study.events], tell=print, check=nobody_asks)
    mirror(study).objects.write(mirror(study).name(study.events), b"one\ntwo\n")
    put(study.events, "one\n")
    sharer.share()
    assert there(study, study.events) == b"one\ntwo\n"


def test_nothing_is_brought_once_another_driver_may_have_come(study: StudyPaths) -> None:
    def lost() -> None:
        raise StoreError("was taken for dead")

    told: list[str] = []
    put(study.events, "one\n")
    with shared([study.events], tell=told.append, check=lost):
        pass
    assert (there(study, study.events), told) == (None, [])


def test_a_storage_that_refuses_is_told_of_once(
    study: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the results can't be reached: no route")

    told: list[str] = []
    monkeypatch.setattr(Mirror, "share", refuse)
    sharer = Sharing(mirror(study), [study.events, study.log], tell=told.append, check=nobody_asks)
    put(study.events, "one\n")
    put(study.log, "two\n")
    for _ in range(2):
        sharer.share()
    with shared([study.events], tell=told.append, check=nobody_asks):
        pass
    warning = (
        "warning: events.jsonl could not be brought there (the results can't be reached: no "
        "route), so other machines see an older one; it is tried again"
    )
    assert told == [warning, warning]


def test_below_a_plain_folder_nothing_is_to_be_done(tmp_path: Path) -> None:
    with shared([put(tmp_path / "events.jsonl", "one\n")], tell=print, check=nobody_asks):
        pass
    SharedLog(tmp_path / "a.log").meet()
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


@pytest.mark.parametrize(
    ("here", "elsewhere", "both"),
    [
        ("one\n", "one\ntwo\n", "one\ntwo\n"),
        ("one\ntwo\n", "one\n", "one\ntwo\n"),
        ("one\n", None, "one\n"),
        (None, "one\n", "one\n"),
        (None, None, None),
    ],
    ids=["longer there", "longer here", "only here", "only there", "nowhere"],
)
def test_the_longer_log_is_the_newer(
    here: str | None, elsewhere: str | None, both: str | None, study: StudyPaths
) -> None:
    log = study.run_log("train", "ab" * 16)
    if here is not None:
        put(log, here)
    if elsewhere is not None:
        mirror(study).objects.write(mirror(study).name(log), elsewhere.encode())
    SharedLog(log).meet()
    assert (log.read_text() if log.exists() else None) == both
    assert there(study, log) == (None if both is None else both.encode())


def test_what_a_run_prints_is_there_when_it_ends_and_now_and_then(
    study: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study.run_log("train", "ab" * 16)
    log = SharedLog(path)
    with log.met():
        put(path, "one\n")
        log.share_now_and_then()
        assert there(study, path) is None  # it is not ten seconds old
        monkeypatch.setattr(log, "_share_again_at", 0.0)
        log.share_now_and_then()
        assert there(study, path) == b"one\n"
        put(path, "one\ntwo\n")
    assert there(study, path) == b"one\ntwo\n"


@pytest.fixture
def request_of(study: StudyPaths) -> RunRequest:
    """As much of a request as the one to stop needs."""
    attempt = study.phase("value").new_attempt()
    made = RunRequest.__new__(RunRequest)
    object.__setattr__(made, "attempt", attempt)
    object.__setattr__(made, "uri", mirror(study).uri)
    return made


def test_a_request_to_stop_reaches_other_machines(
    study: StudyPaths, request_of: RunRequest
) -> None:
    told: list[str] = []
    thread = ask_workers(request_of, tell=told.append)
    assert thread is not None
    thread.join()
    assert there(study, request_of.stop_file) == b""
    assert told == []
