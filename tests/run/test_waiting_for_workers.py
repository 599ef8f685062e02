"""Workers that a killed driver left behind: the next command waits until they are gone."""

import subprocess
import sys
from pathlib import Path

from conftest import Heard, StudyMaker
from phasetune.api import run_study
from phasetune.run.events import Event, Noticed, RunStarted
from phasetune.store.paths import ResultsPaths
from stored import cut_off

WORKER = """
import sys
from pathlib import Path
from phasetune.store.paths import StudyPaths
from phasetune.store.workers import count_as_worker
count_as_worker(StudyPaths(Path(sys.argv[1])))
print("works", flush=True)
sys.stdin.read()
"""


class EndsWorker(Heard):
    """Ends the worker when it is told that it is waited for."""

    def __init__(self, worker: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.worker = worker

    def notify(self, event: Event) -> None:
        super().notify(event)
        if isinstance(event, Noticed) and "waiting for" in event.message:
            self.worker.kill()
        if isinstance(event, RunStarted):
            assert self.worker.poll() is not None


def test_a_study_goes_on_when_they_are_gone(tmp_path: Path, scripted_study: StudyMaker) -> None:
    study, results = scripted_study(), tmp_path / "results"
    cut_off(study, results, after=4)
    folder = ResultsPaths(results).study(study.name).root
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"works\n"
        listener = EndsWorker(worker)
        outcome = run_study(study, results=results, in_process=True, listener=listener)
    assert outcome.exit_code == 0
    waiting = [e.message for e in listener.of(Noticed) if "waiting for" in e.message]
    assert len(waiting) == 1
    assert f"pid {worker.pid}" in waiting[0]
    assert listener.of(RunStarted)
