"""What telling of a step costs the driver while a tracker follows that takes 1 s per call.

A study of one phase is run in this process without a tracker; then rows of one of its runs, of 5
and of 50 metrics, are told as while a study runs: to the journal, which the tracker's thread reads.
Against it stands a call of the same tracker as a training loop would make it.

    python benchmarks/enqueueing.py [ROWS]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

from measuring import timed
from phasetune import Study, run_study
from phasetune.api.following import following
from phasetune.run.events import BackendStarting, Listener, Listeners, NullListener, RunReported
from phasetune.run.journal import Journal
from phasetune.store.documents import read_document
from phasetune.store.paths import ResultsPaths
from phasetune.study.load import load
from phasetune.tracking import trackers
from phasetune.tracking.contract import Record, Series

ROWS = 2000
GOAL_MILLISECONDS = 1.0
CALL_SECONDS = 1.0
DIRECT_CALLS = 3


class Slow:
    """A tracker that takes its time."""

    name = "jsonl"
    place = "far away"

    def __init__(self) -> None:
        self.seconds = CALL_SECONDS

    def connect(self) -> None:
        """Nothing to do."""

    def open(self, record: Record, _parent: str | None) -> str:
        time.sleep(self.seconds)
        return record.id

    def last_steps(self, _handle: str) -> Mapping[str, int]:
        time.sleep(self.seconds)
        return {}

    def log(self, _handle: str, _series: Series) -> None:
        time.sleep(self.seconds)

    def update(self, _handle: str, _record: Record, *, told: Record | None) -> None:
        del told
        time.sleep(self.seconds)

    def close(self) -> None:
        """Nothing to do."""


def study() -> Study:
    return Study.model_validate(
        {
            "name": "enqueueing",
            "workload": "trivial",
            "import_from": [str(Path(__file__).parent)],
            "objective": {"metric": "score"},
            "phases": [{"name": "one", "grid": {"nothing.number": [1, 2]}}],
            "tracking": "none",
        }
    )


@contextmanager
def followed(paths: ResultsPaths) -> Iterator[Listener]:
    """Journal and tracker as a driver tells them; at the end the tracker is as fast as any."""
    tracker = Slow()
    loaded = load(study().model_copy(update={"tracking": {"jsonl": None}}))
    with (
        patch.object(trackers, "open_tracker", lambda *_, **__: tracker),
        closing(Journal(paths.study("enqueueing").events)) as journal,
        following(loaded, paths, NullListener()) as told,
    ):
        heard = Listeners((journal, told))
        heard.notify(BackendStarting(backend="in-process"))
        yield heard
        tracker.seconds = 0.0


def rows(key: str, num_metrics: int, count: int) -> list[RunReported]:
    metrics = {f"metric_{number}": number / 7 for number in range(num_metrics)}
    return [
        RunReported(key=key, stage="nothing", label="nothing", step=step, metrics=metrics)
        for step in range(count)
    ]


def milliseconds(folder: Path, num_metrics: int, count: int) -> list[float]:
    """What each row took."""
    run_study(study(), results=folder, in_process=True)
    paths = ResultsPaths(folder)
    plan = read_document(paths.study("enqueueing").phase("one").plan) or {}
    key = plan["trials"][0]["replicates"][0]["runs"][0]["key"]
    with followed(paths) as listener:
        events = rows(key, num_metrics, count)
        return sorted(timed(partial(listener.notify, event)) * 1000 for event in events)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    medians = []
    for num_metrics in (5, 50):
        with tempfile.TemporaryDirectory() as name:
            found = milliseconds(Path(name), num_metrics, count)
        medians.append(statistics.median(found))
        print(
            f"{count} rows of {num_metrics} metrics: median {medians[-1]:.3f} ms, 95th percentile "
            f"{found[int(0.95 * count)]:.3f} ms, maximum {found[-1]:.2f} ms"
        )
    series = Series(stage="nothing", steps=(1,), metrics=({"a": 1.0},), times=(0.0,))
    direct = statistics.median(timed(lambda: Slow().log("", series)) for _ in range(DIRECT_CALLS))
    print(f"calling the tracker itself: {direct * 1000:.0f} ms a row")
    reached = "reached" if max(medians) <= GOAL_MILLISECONDS else "MISSED"
    print(f"goal {GOAL_MILLISECONDS:g} ms or less in the median: {reached}")


if __name__ == "__main__":
    main()
