"""Tables are read from disk where they are whole and say what stands, else made again."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from phasetune import StudyOutcome
from phasetune.report.frames import history_frame, trials_frame
from report.conftest import Runner


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.mark.parametrize("fault", ["none", "nan", "raise"])
def test_parquet_is_what_the_frame_says(ran: Runner, results: Path, fault: str) -> None:
    points: list[dict[str, Any]] = [
        {"train.fault": fault, "train.steps": 2, "note": "odd"},
        {"train.value": 0.1},
    ]
    two = [
        {"name": "one", "points": points},
        {"name": "two", "grid": {"train.steps": [4]}},
    ]
    outcome = ran(phases=two)
    for frame, kept in ((trials_frame(results), "trials"), (history_frame(results), "history")):
        whole = frame[frame["phase"] == "one"].dropna(axis="columns", how="all")
        phase = pd.read_parquet(getattr(outcome.paths.phase("one"), kept))
        pd.testing.assert_frame_equal(
            phase.dropna(axis="columns", how="all"), whole, check_dtype=False, check_like=True
        )


def test_trials_are_read_from_the_phase_s_table_alone(ran: Runner, results: Path) -> None:
    outcome = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    before = trials_frame(results)
    shutil.rmtree(results / "store")
    pd.testing.assert_frame_equal(trials_frame(results), before)
    pd.testing.assert_frame_equal(outcome.phases["one"].trials, before, check_names=False)


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_table_in_which_a_bit_flipped_is_not_read(
    whole: StudyOutcome, results: Path, place: float
) -> None:
    shutil.copytree(whole.paths.root.parent, results)
    before = trials_frame(results), history_frame(results)
    for path in results.glob("scripted/phases/value/*.parquet"):
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 1
        path.write_bytes(content)
    pd.testing.assert_frame_equal(trials_frame(results), before[0])
    pd.testing.assert_frame_equal(history_frame(results), before[1])


def test_a_copy_is_read_though_its_documents_are_other_files(
    whole: StudyOutcome, results: Path
) -> None:
    shutil.copytree(whole.paths.root.parent, results, copy_function=shutil.copyfile)
    shutil.rmtree(results / "store")
    there = trials_frame(whole.paths.root.parent).drop(columns="path")
    pd.testing.assert_frame_equal(trials_frame(results).drop(columns="path"), there)
    assert trials_frame(results)["seconds"].notna().all()


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{"], ids=["none", "empty", "list", "torn"])
def test_without_what_the_report_noted_of_its_files_tables_are_made_again(
    whole: StudyOutcome, results: Path, content: bytes | None
) -> None:
    shutil.copytree(whole.paths.root.parent, results)
    shutil.rmtree(results / "store")
    views = results / "scripted" / "views.json"
    views.unlink() if content is None else views.write_bytes(content)
    assert set(trials_frame(results)["status"]) == {"not_run"}


def test_a_table_whose_results_were_moved_has_paths_that_are_there(
    ran: Runner, results: Path, tmp_path: Path
) -> None:
    ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    results.rename(tmp_path / "moved")
    frame = trials_frame(tmp_path / "moved")
    assert all((Path(path) / "results.json").is_file() for path in frame["path"])


def test_a_run_of_several_phases_has_its_history_once(ran: Runner, results: Path) -> None:
    two = [{"name": name, "grid": {"train.value": [0.2, 0.6]}} for name in ("one", "two")]
    paths = ran(phases=two).paths
    kept = history_frame(results)
    assert not kept.duplicated(["key", "step"]).any()
    assert set(kept["phase"]) == {"one"}
    paths.phase("one").history.unlink()
    paths.phase("two").history.write_bytes(b"torn")
    pd.testing.assert_frame_equal(history_frame(results), kept)


@pytest.mark.parametrize(
    ("document", "column", "before", "now"),
    [("decision", "standing", '"feasible"', "infeasible"), ("plan", "note", "null", "odd")],
)
def test_a_table_that_was_made_from_other_documents_is_not_read(
    ran: Runner, results: Path, document: str, column: str, before: str, now: str
) -> None:
    paths = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]).paths.phase("one")
    path: Path = getattr(paths, document)
    path.write_text(path.read_text().replace(f'"{column}": {before}', f'"{column}": "{now}"'))
    assert list(trials_frame(results)[column]) == [now] * 2
