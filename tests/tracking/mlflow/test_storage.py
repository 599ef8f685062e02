"""MLflow's database is on a disk of one machine, and who names another place is warned."""

from pathlib import Path

import pytest

from phasetune.errors import StudyError
from phasetune.store.machine_folder import machine_folder
from phasetune.store.paths import ResultsPaths, results_at
from phasetune.tracking.mlflow.store import mlflow_place
from phasetune.tracking.trackers import open_tracker, tracker_notes
from shared_storage import mounted_results as mounted_results
from shared_storage import shared_results as shared_results


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_the_usual_one_is_on_this_machine_and_said_to_be_until_it_is_there(
    shared_results: str,
) -> None:
    results = results_at(shared_results)
    file = mlflow_place(None, results).file
    assert file is not None
    assert file.is_relative_to(machine_folder())
    (note,) = tracker_notes("mlflow", None, results=results)
    assert note.startswith(f"MLflow's database is on this machine alone, {file}: SQLite damages")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert tracker_notes("mlflow", None, results=results) == ()
    assert mlflow_place(None, results_at(shared_results)).file == file


def test_a_named_file_on_a_network_file_system_is_warned_about(
    mounted_results: str, tmp_path: Path
) -> None:
    results = ResultsPaths(Path(mounted_results))
    (note,) = tracker_notes("mlflow", "sqlite:///mine.db", results=results)
    assert note == (
        f"warning: MLflow's database {mounted_results}/mine.db is on a network file system (nfs4), "
        "where SQLite damages its files; name one on a disk of this machine, or a server"
    )
    for target in (f"sqlite:///{tmp_path}/mine.db", "http://server:5000"):
        assert tracker_notes("mlflow", target, results=results) == ()
    assert tracker_notes("jsonl", None, results=results) == ()


def test_beside_results_on_a_disk_of_this_machine_nothing_is_to_be_said(tmp_path: Path) -> None:
    assert tracker_notes("mlflow", None, results=ResultsPaths(tmp_path)) == ()


@pytest.mark.parametrize(
    ("name", "target"), [("mlflow", "sqlite:///mine.db"), ("jsonl", "told/here")]
)
def test_no_tracker_writes_to_a_place_that_counts_from_a_uri(
    name: str, target: str, bucket: str, tmp_path: Path
) -> None:
    results = results_at(f"{bucket}/results")
    study = results.study("study")
    with pytest.raises(StudyError, match=f"tracking.{name} must be a path from the root, since"):
        open_tracker(name, target, results=results, study=study)
    absolute = target.replace("mine", f"{tmp_path}/mine").replace("told", f"{tmp_path}/told")
    assert open_tracker(name, absolute, results=results, study=study).place.endswith(
        absolute.removeprefix("sqlite:///")
    )
