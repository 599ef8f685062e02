"""Which MLflow store is meant, and a database that several processes make once."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE

import pytest

from phasetune.errors import StudyError
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.contract import Unavailable
from phasetune.tracking.mlflow.store import bounded, made_ready, mlflow_place

MAKE = """
import sys
from pathlib import Path
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.mlflow.store import made_ready, mlflow_place
made_ready(mlflow_place(None, ResultsPaths(Path(sys.argv[1]))))
"""


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_by_default_it_is_a_file_in_the_results(tmp_path: Path) -> None:
    place = mlflow_place(None, ResultsPaths(tmp_path))
    assert place.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert (place.file, place.artifacts) == (tmp_path / "mlflow.db", tmp_path / "mlartifacts")
    assert not place.is_shared
    assert not place.is_server


def test_the_variable_is_asked_before_and_the_study_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert mlflow_place(None, ResultsPaths(tmp_path)).uri == "http://somewhere:5000"
    assert mlflow_place("https://other", ResultsPaths(tmp_path)).uri == "https://other"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:secret@host:5000/x", "http://me:***@host:5000/x"),
        ("postgresql+psycopg://me:se:cret@host/db", "postgresql+psycopg://me:***@host/db"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_other_stores_decide_where_artifacts_go(uri: str, shown: str, tmp_path: Path) -> None:
    place = mlflow_place(uri, ResultsPaths(tmp_path))
    assert (place.uri, place.shown, place.file, place.artifacts) == (uri, shown, None, None)


def test_a_file_counts_from_the_results_and_that_of_the_variable_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = ResultsPaths(tmp_path / "results")
    place = mlflow_place("sqlite:///sub/mine.db?timeout=9", results)
    assert place.uri == f"sqlite:///{tmp_path}/results/sub/mine.db?timeout=9"
    assert place.file == tmp_path / "results/sub/mine.db"
    assert place.artifacts == tmp_path / "results/sub/mine-artifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///sub/mine.db")
    assert mlflow_place(None, results).file == tmp_path / "sub/mine.db"


@pytest.mark.parametrize(
    "uri", ["foo", "file:///tmp/mlruns", "./mlruns", "sqlite://x.db", "http://"]
)
def test_a_folder_is_no_store(uri: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="write sqlite:///FILE for a file, or http://HOST:PORT"):
        mlflow_place(uri, ResultsPaths(tmp_path))


@pytest.mark.parametrize("name", ["50%", "what?"])
def test_a_folder_whose_name_an_address_can_t_hold_is_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"because \? and % mean something else"):
        mlflow_place(None, ResultsPaths(tmp_path / name))


def test_two_processes_make_the_database_once(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for left in (".draft-mlflow.db-0123456789ab", ".draft-mlflow.db-0123456789ab-journal"):
        (tmp_path / "results" / left).write_text("of one that was killed")
    command = [sys.executable, "-c", MAKE, str(tmp_path / "results")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert said == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        ".mlflow.db.lock",
        "mlflow.db",
    ]
    before = (tmp_path / "results/mlflow.db").stat()
    assert S_IMODE(before.st_mode) == 0o600
    made_ready(mlflow_place(None, ResultsPaths(tmp_path / "results")))
    assert (tmp_path / "results/mlflow.db").stat() == before
    assert logging.getLogger().handlers == [
        handler for handler in logging.getLogger().handlers if "pytest" in type(handler).__module__
    ]


def test_a_database_that_can_t_be_made_is_unavailable_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unavailable, match="database can't be made: nothing was said"):
        made_ready(mlflow_place(None, ResultsPaths(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == [".mlflow.db.lock"]


def test_who_makes_the_database_hears_no_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a group of its own, which a terminal's signals do not reach."""
    says = tmp_path / "says"
    says.write_text("#!/bin/sh\necho group $(cut -d ' ' -f 5 /proc/$$/stat) of $$\nexit 1\n")
    says.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(says))
    with pytest.raises(Unavailable, match=r"can't be made: group (\d+) of \1$"):
        made_ready(mlflow_place(None, ResultsPaths(tmp_path)))


def test_settings_of_the_user_stay_and_ours_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    before = dict(os.environ)
    with bounded():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert dict(os.environ) == before
