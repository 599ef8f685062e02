"""A driver that another one came after, because it was paused or cut off for long."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study, run_study
from phasetune.run.events import Listeners, Noticed, RunDone, StudyEnded
from phasetune.store import lease
from phasetune.store.driver_lock import driver_place
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths
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
