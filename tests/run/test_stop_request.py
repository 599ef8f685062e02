"""A driver is asked to end: by a signal, or by a document that names it and no other."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard
from other_driver import driver
from phasetune.errors import StoreError
from phasetune.run import stop_request
from phasetune.run.events import Noticed
from phasetune.run.interrupt import Interrupted, StopSwitch
from phasetune.run.stop_request import ask_to_stop, heeding
from phasetune.run.whereabouts import driver_of
from phasetune.store import lease_places
from phasetune.store.driver_lock import driving
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, StudyPaths, results_at
from phasetune.store.remote.mirror import is_there

LONGEST_SECONDS = 20.0
LEAVES = """
import json, sys
from phasetune.store.documents import write_document
from phasetune.store.paths import results_at
write_document(results_at(sys.argv[1]).study("study").stop_request, json.loads(sys.argv[2]))
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers look for requests all the time."""
    monkeypatch.setattr(stop_request, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(stop_request, "EVERY_SECONDS_AT_A_URI", 0.01)
    monkeypatch.setattr(lease_places, "SETTLE_SECONDS", 0.01)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is of this machine, as for who asks from another one."""
    monkeypatch.setattr(Owner, "is_of_this_machine", property(lambda _: False))


@contextmanager
def driven(
    paths: ResultsPaths, stop: StopSwitch, heard: Heard
) -> Iterator[tuple[StudyPaths, Owner]]:
    """This process drives the study, and hears requests."""
    study = paths.study("study")
    with driving(paths, "study") as lock, heeding(study, stop, heard):
        lock.hold()
        owner = driver_of(study)
        assert owner is not None
        yield study, owner


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.usefixtures("quick", "elsewhere")
def test_a_driver_that_is_named_ends_as_by_sigterm(tmp_path: Path, heard: Heard) -> None:
    stop = StopSwitch()
    with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        ask_to_stop(study, owner, at_once=False)
        wait_until(lambda: stop.asked)
        with pytest.raises(Interrupted) as ended:
            stop.raise_if_asked()
        wait_until(lambda: not study.stop_request.exists())
    assert (ended.value.exit_code, ended.value.is_second) == (143, False)
    assert [told.message for told in heard.of(Noticed)] == [
        f"asked to stop by pid {os.getpid()} on {owner.host}"
    ]


@pytest.mark.usefixtures("quick", "elsewhere")
@pytest.mark.parametrize("was_asked", [False, True], ids=["not asked before", "asked before"])
def test_at_once_means_what_a_second_signal_means(
    was_asked: bool, tmp_path: Path, heard: Heard
) -> None:
    stop = StopSwitch()
    with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        if was_asked:
            stop.ask(signal.SIGINT)
        ask_to_stop(study, owner, at_once=True)
        with pytest.raises(Interrupted) as ended:
            wait_until(lambda: False)
    assert (ended.value.exit_code, ended.value.is_second) == (143, True)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("asks_from", ["here", "elsewhere"])
def test_to_ask_again_changes_nothing_until_it_is_to_be_at_once(
    asks_from: str, request: pytest.FixtureRequest, tmp_path: Path, heard: Heard
) -> None:
    if asks_from == "elsewhere":
        request.getfixturevalue("elsewhere")
    stop = StopSwitch()
    with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        for number in range(1, 4):
            ask_to_stop(study, owner, at_once=False)
            wait_until(partial(_was_told, heard, number))
        wait_until(lambda: stop.asked)
        with pytest.raises(Interrupted) as ended:
            _ask_and_wait(study, owner)
        assert ended.value.is_second
        ask_to_stop(study, owner, at_once=True)
        wait_until(partial(_was_told, heard, 5))


def _was_told(heard: Heard, number: int) -> bool:
    return len(heard.of(Noticed)) == number


def _ask_and_wait(study: StudyPaths, owner: Owner) -> None:
    ask_to_stop(study, owner, at_once=True)
    wait_until(lambda: False)


@pytest.mark.usefixtures("quick")
def test_after_a_signal_a_request_asks_for_nothing_more(tmp_path: Path, heard: Heard) -> None:
    stop = StopSwitch()
    with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        signal.raise_signal(signal.SIGINT)
        ask_to_stop(study, owner, at_once=False)
        wait_until(lambda: heard.of(Noticed))
    assert stop.signum == signal.SIGINT


@pytest.mark.usefixtures("quick")
def test_where_no_request_can_be_left_a_signal_asks(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space left")

    stop = StopSwitch()
    with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        monkeypatch.setattr(stop_request, "write_document", full)
        ask_to_stop(study, owner, at_once=False)
        wait_until(lambda: stop.asked)
    assert heard.events == []


@pytest.mark.usefixtures("quick", "elsewhere")
def test_a_study_outside_the_main_thread_hears_it_too(tmp_path: Path, heard: Heard) -> None:
    stop = StopSwitch()

    def drives() -> None:
        with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
            ask_to_stop(study, owner, at_once=True)
            wait_until(lambda: stop.asked)

    thread = threading.Thread(target=drives)
    thread.start()
    thread.join(LONGEST_SECONDS)
    assert stop.signum == signal.SIGTERM


def of_another(owner: Owner) -> dict[str, Any]:
    return asdict(replace(owner, started_ticks=owner.started_ticks + 1))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "content",
    [
        lambda owner: {"owner": of_another(owner), "at_once": True, "asked_by": "somebody"},
        lambda owner: {"owner": asdict(replace(owner, since="yesterday")), "at_once": True},
        lambda owner: {"owner": None},
        lambda owner: {},
    ],
    ids=["another process", "an earlier study of this process", "nobody", "nothing"],
)
def test_a_request_that_names_another_driver_is_taken_away_and_not_obeyed(
    content: Callable[[Owner], dict[str, Any]], tmp_path: Path, heard: Heard
) -> None:
    stop = StopSwitch()
    with driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        study.stop_request.write_text(json.dumps(content(owner)))
        wait_until(lambda: not study.stop_request.exists())
    assert (stop.asked, heard.events) == (False, [])


@pytest.mark.usefixtures("quick", "elsewhere")
def test_after_a_request_that_cannot_be_read_the_next_one_is_obeyed(
    tmp_path: Path, heard: Heard
) -> None:
    stop = StopSwitch()
    with stop.listening(), driven(ResultsPaths(tmp_path), stop, heard) as (study, owner):
        study.stop_request.write_text("{torn")
        ask_to_stop(study, owner, at_once=False)
        wait_until(lambda: stop.asked)


@pytest.mark.usefixtures("quick", "elsewhere")
def test_who_does_not_hold_the_study_leaves_requests_alone(tmp_path: Path, heard: Heard) -> None:
    """Another driver holds it: the request is that one's."""
    paths, stop, looks = ResultsPaths(tmp_path), StopSwitch(), threading.Event()
    study = paths.study("study")

    def looked(paths: StudyPaths) -> Owner | None:
        looks.set()
        return driver_of(paths)

    with driver(paths), pytest.MonkeyPatch.context() as patch:
        owner = driver_of(study)
        assert owner is not None
        ask_to_stop(study, owner, at_once=False)
        patch.setattr(stop_request, "bring", lambda path: pytest.fail(str(path)))
        patch.setattr(stop_request, "driver_of", looked)
        with heeding(study, stop, heard):
            wait_until(looks.is_set)
    assert study.stop_request.exists()
    assert not stop.asked


def test_who_looks_for_no_request_gets_a_signal_and_that_very_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_request, "_LONGEST_TAKE_SECONDS", 0.1)
    paths = ResultsPaths(tmp_path)
    study = paths.study("study")
    with driver(paths) as process:
        owner = driver_of(study)
        assert owner is not None
        for other in (
            replace(owner, started_ticks=owner.started_ticks + 1),
            replace(owner, pid=2**22 + 1),
        ):
            ask_to_stop(study, other, at_once=True)
        assert process.poll() is None
        ask_to_stop(study, owner, at_once=False)
        assert process.wait(LONGEST_SECONDS) == -signal.SIGTERM
    assert not study.stop_request.exists()


@pytest.mark.usefixtures("quick")
def test_at_a_uri_the_request_comes_from_another_machine(
    bucket: str, tmp_path: Path, heard: Heard
) -> None:
    """The mirror of who asks is another one than the driver's."""
    stop, elsewhere = StopSwitch(), str(tmp_path / "elsewhere")
    with stop.listening(), driven(results_at(bucket), stop, heard) as (study, owner):
        content = {"schema": 1, "owner": asdict(owner), "at_once": False, "asked_by": "node7"}
        subprocess.run(
            [sys.executable, "-c", LEAVES, bucket, json.dumps(content)],
            env={**os.environ, "PHASETUNE_CACHE": elsewhere},
            check=True,
        )
        wait_until(lambda: stop.asked)
        wait_until(lambda: not is_there(study.stop_request))
    assert [told.message for told in heard.of(Noticed)] == ["asked to stop by node7"]
