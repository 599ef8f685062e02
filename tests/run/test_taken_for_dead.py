"""A driver that another one came after, because it was paused or cut off for long."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study, run_study
from phasetune.run.events import Listeners, Noticed, RunDone, StudyEnded
from phasetune.run.interrupt import Interrupted
from phasetune.store import lease, lease_places
from phasetune.store.driver_lock import driver_place
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, results_at
from phasetune.store.remote.mirror import open_mirror
from shared_storage import hurry
from shared_storage import mounted_results as mounted_results
from stored import Does, finished

OTHER = replace(Owner.of_this_process(), boot="another", host="node7").content + b"token 1\n"


@pytest.fixture
def study(scripted_study: StudyMaker) -> Study:
    return scripted_study(phases=[{"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4]}}])


def test_it_decides_nothing_says_why_and_the_same_command_goes_on(
    study: Study,
    mounted_results: str,
    heard: Heard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = ResultsPaths(Path(mounted_results))

    def come_after() -> None:
        place = driver_place(paths, "scripted")
        place.look()
        place.claim(OTHER)

    told = Listeners((heard, Does(RunDone, come_after)))
    with pytest.raises(StoreError, match=r"was taken for dead: pid .* on node7, .* came after it"):
        run_study(study, results=mounted_results, in_process=True, listener=told)
    assert not paths.study("scripted").phase("value").decision.exists()
    assert [event.outcome for event in heard.of(StudyEnded)] == ["refused"]
    place = driver_place(paths, "scripted")
    assert place.look() == OTHER, "the lease of the other one stays"
    monkeypatch.setattr(lease, "WATCH_SECONDS", 0.1)
    again = Heard()
    outcome = run_study(study, results=mounted_results, in_process=True, listener=again)
    messages = [event.message for event in again.of(Noticed)]
    assert re.match("from here it can't be seen whether pid .* on node7, .* lives", messages[0])
    assert re.match("the driver before .* on node7, .* is gone; going on from", messages[1])
    whole = finished(study, tmp_path / "whole")
    assert len(outcome.result.account.executed) < len(whole.result.account.executed)
    assert outcome.paths.report.read_bytes() == whole.paths.report.read_bytes()


def test_at_a_uri_the_journal_is_that_of_the_one_who_came_after(
    study: Study, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(lease_places, "SETTLE_SECONDS", 0.3)
    paths = results_at(bucket)
    objects, name = open_mirror(bucket).objects, "scripted/logs/events.jsonl"

    def come_after() -> None:
        while not driver_place(paths, "scripted").claim(OTHER):
            pass  # a renewal had begun
        objects.write(name, b"of node7\n")

    with pytest.raises((StoreError, Interrupted)):
        run_study(study, results=bucket, in_process=True, listener=Does(RunDone, come_after))
    assert paths.study("scripted").events.stat().st_size > len(b"of node7\n")
    assert objects.read(name) == b"of node7\n"
