"""What is written, and when it is left alone."""

from pathlib import Path

from phasetune import StudyOutcome
from phasetune.report.write import write_report
from phasetune.store.paths import ResultsPaths
from report.conftest import Runner

VIEWS = (
    "report.json",
    "analysis.txt",
    "best.yaml",
    "phases/value/trials.parquet",
    "phases/steps/history.parquet",
    "trials/value-value=0.6/results.json",
)


def write_again(outcome: StudyOutcome, *, has_new_runs: bool = False) -> None:
    results = ResultsPaths(outcome.paths.root.parent)
    assert write_report(results, outcome.paths, has_new_runs=has_new_runs) == outcome.report


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written(ran: Runner) -> None:
    outcome = ran()
    assert not [view for view in VIEWS if not (outcome.paths.root / view).is_file()]


def test_where_nothing_ran_nothing_is_written(ran: Runner) -> None:
    outcome = ran()
    before = times(outcome.paths.root)
    write_again(outcome)
    assert times(outcome.paths.root) == before


def test_a_view_that_is_missing_is_written_again(ran: Runner) -> None:
    outcome = ran()
    for view in VIEWS:
        path = outcome.paths.root / view
        before = path.read_bytes()
        path.unlink()
        write_again(outcome)
        assert path.read_bytes() == before, view


def test_a_view_that_was_changed_is_written_again_with_new_runs(ran: Runner) -> None:
    outcome = ran()
    for view in VIEWS:
        path = outcome.paths.root / view
        before = path.read_bytes()
        path.write_bytes(b"changed")
        write_again(outcome, has_new_runs=True)
        assert path.read_bytes() == before, view


def test_best_settings_go_when_they_no_longer_hold(ran: Runner) -> None:
    outcome = ran()
    assert outcome.paths.best.exists()
    again = ran(constraints=["score >= 2"])
    assert again.paths.best == outcome.paths.best
    assert not again.paths.best.exists()
