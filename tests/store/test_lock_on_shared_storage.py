"""On storage that machines share nobody deletes while a study runs, and no study runs while
somebody deletes.
"""

import pytest

from other_driver import drives, stop
from phasetune import StoreError
from phasetune.store import lease
from phasetune.store.driver_lock import driving
from phasetune.store.lease_places import lease_place, lease_places
from phasetune.store.lock import exclusively, in_use
from phasetune.store.paths import ResultsPaths
from shared_storage import DRIVES, USES, end, known_results, process
from shared_storage import mounted_results as mounted_results
from shared_storage import shared_results as shared_results

ELSEWHERE = "a boot of another machine"


@pytest.fixture
def paths(shared_results: str) -> ResultsPaths:
    """A results root in which a study was run."""
    return known_results(shared_results)


def enter(kind: str, paths: ResultsPaths) -> None:
    with in_use(paths) if kind == "in_use" else exclusively(paths):
        pass


@pytest.mark.parametrize(
    ("first", "second", "boot", "message"),
    [
        (
            "in_use",
            "exclusively",
            ELSEWHERE,
            r"a study runs below .* at this moment \(pid .*\); try",
        ),
        (
            "exclusively",
            "in_use",
            ELSEWHERE,
            "`phasetune gc` works on .* at this moment; run again",
        ),
        ("exclusively", "exclusively", "", r"a study runs below .* at this moment \(pid .*\); try"),
    ],
)
def test_who_comes_second_is_told_and_comes_in_when_the_first_is_done(
    first: str, second: str, boot: str, message: str, mounted_results: str
) -> None:
    paths = known_results(mounted_results)
    with process(USES, mounted_results, first, boot=boot) as holder:
        with pytest.raises(StoreError, match=message):
            enter(second, paths)
        end(holder)
    enter(second, paths)


def test_a_dead_study_of_another_machine_holds_nobody_up_for_long(
    mounted_results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = known_results(mounted_results)
    with process(DRIVES, mounted_results, boot=ELSEWHERE) as driver:
        stop(driver)
        monkeypatch.setattr(lease, "WATCH_SECONDS", 0.1)
        assert len(lease_places(paths, "uses-")) == 1
        with exclusively(paths):
            assert lease_places(paths, "uses-") == []


def test_studies_share_a_results_root_and_leave_nothing(
    paths: ResultsPaths,
) -> None:
    with driving(paths, "study"), in_use(paths) as use, in_use(paths):
        use.hold()
        with pytest.raises(StoreError, match="a study runs below"):
            enter("exclusively", paths)
    drives(paths)
    enter("exclusively", paths)
    assert lease_places(paths, "uses-") == []


def test_who_deletes_and_was_taken_for_dead_deletes_nothing_more(
    mounted_results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = known_results(mounted_results)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 60.0)
    with exclusively(paths) as check:
        check()
        place = lease_place(paths, "deletes")
        place.look()
        assert place.claim(b"of another machine\n")
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.0)
        with pytest.raises(StoreError, match="was taken for dead: another command came after it"):
            check()


def test_who_is_refused_by_whoever_deletes_holds_nothing(paths: ResultsPaths) -> None:
    with exclusively(paths):
        with pytest.raises(StoreError, match="`phasetune gc` works on"):
            drives(paths)
        assert lease_places(paths, "uses-") == []
    drives(paths)
