"""What a running study does about its budget and its plan, and that nobody deletes meanwhile."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study
from phasetune.api import run_study
from phasetune.run import upkeep
from phasetune.run.events import Noticed, RunDone, RunReported, RunStarted, WaveStarted
from phasetune.store import durable
from phasetune.store.inventory import CheckpointRow, checkpoints
from phasetune.store.lock import exclusively
from phasetune.store.paths import ResultsPaths
from stored import Does, cut_off, finished

KIB = 1024
GIB = 1024**3
THREE = (0.1, 0.9, 0.3)


def keeping(make: StudyMaker, *, kib: float | None = None, **changes: Any) -> Study:
    """Runs that keep 30 KiB each, by default three of them in one phase."""
    content: dict[str, Any] = {
        "workload": "keeps",
        "constraints": [],
        "phases": [{"name": "one", "grid": {"fit.value": list(THREE)}}],
        "final": {"refit": False, "test": False},
        "max_checkpoint_gib": None if kib is None else kib * KIB / GIB,
    }
    return make(**{**content, **changes})


def kept(results: Path) -> list[CheckpointRow]:
    return [row for row in checkpoints(ResultsPaths(results)) if row.kind == "kept"]


def reasons(results: Path) -> Counter[str]:
    return Counter(row.why[0] for row in kept(results))


def warnings(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed) if event.message.startswith("warning")]


def test_without_a_budget_all_is_kept(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(keeping(scripted_study), tmp_path)
    assert reasons(tmp_path) == {"best": 3, "milestone": 3, "last": 3}


@pytest.mark.parametrize(
    ("kib", "left"),
    [
        (90, {"best": 3, "milestone": 3, "last": 3}),
        (75, {"best": 3, "milestone": 1, "last": 3}),
        (35, {"best": 1, "milestone": 1, "last": 1}),
        (30, {"best": 1, "milestone": 1, "last": 1}),
    ],
)
def test_a_budget_holds_after_each_run_and_the_winner_keeps_its_own(
    scripted_study: StudyMaker, tmp_path: Path, kib: float, left: dict[str, int]
) -> None:
    def taken() -> int:
        return sum(row.size_bytes for row in kept(tmp_path))

    sizes = Does(RunStarted, taken)
    study = keeping(scripted_study, kib=kib)
    run_study(study, results=tmp_path, in_process=True, listener=sizes)
    assert reasons(tmp_path) == left
    assert [row.run for row in kept(tmp_path)].count("fit one-value=0.9 fold 1") == 3
    assert len(sizes.results) == 3
    assert max(sizes.results) <= kib * KIB
    assert not list(tmp_path.rglob(".trash-*"))


def test_a_winner_keeps_its_checkpoints_and_a_budget_that_is_too_small_is_told_once(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    finished(keeping(scripted_study), tmp_path)
    phases = [
        {"name": "one", "grid": {"fit.value": list(THREE)}},
        {"name": "two", "grid": {"fit.value": [0.2, 0.4]}},
    ]
    study = keeping(scripted_study, kib=5, phases=phases)
    run_study(study, results=tmp_path, in_process=True, listener=heard)
    winners = ["fit one-value=0.9 fold 1", "fit two-value=0.4 fold 1"]
    assert [row.run for row in kept(tmp_path)] == [name for name in winners for _ in range(3)]
    (told,) = warnings(heard)
    assert "max_checkpoint_gib allows 5.0 KiB, but what must stay takes 30.0 KiB" in told


def test_what_another_study_refers_to_is_not_removed(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(keeping(scripted_study, name="other"), tmp_path)
    wider = [{"name": "one", "grid": {"fit.value": [*THREE, 0.7]}}]
    finished(keeping(scripted_study, kib=5, phases=wider), tmp_path)
    assert Counter(row.studies for row in kept(tmp_path)) == {("other", "scripted"): 9}


def test_while_another_study_cant_be_read_nothing_is_removed(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    finished(keeping(scripted_study, name="other", seed=1), tmp_path)
    (tmp_path / "other" / "phases" / "one" / "plan.json").write_text("{")
    study = keeping(scripted_study, kib=5)
    run_study(study, results=tmp_path, in_process=True, listener=heard)
    (told,) = warnings(heard)
    assert "no checkpoint is removed to make room: " in told
    assert "plan.json can't be read" in told
    assert len(list(tmp_path.rglob("state.pt"))) == 18


def test_a_checkpoint_that_vanishes_meanwhile_is_no_obstacle(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(path: Path) -> None:
        shutil.rmtree(path)
        durable.remove(path)

    monkeypatch.setattr(upkeep, "remove", vanish)
    assert finished(keeping(scripted_study, kib=35), tmp_path).exit_code == 0
    assert reasons(tmp_path) == {"best": 1, "milestone": 1, "last": 1}


def test_no_checkpoint_of_a_run_that_is_done_outlives_its_wave(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    there = Does(WaveStarted, lambda: list(tmp_path.rglob("checkpoint_*")))
    run_study(scripted_study(), results=tmp_path, in_process=True, listener=there)
    assert there.results == [[]] * 7
    assert not list(tmp_path.rglob("checkpoint_*"))


def test_what_an_unfinished_run_goes_on_from_survives_any_budget(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    cut_off(scripted_study(), tmp_path, after=5)
    study = scripted_study(max_checkpoint_gib=1 / GIB)
    run_study(study, results=tmp_path, in_process=True, listener=heard)
    assert [event.step for event in heard.of(RunReported)][:4] == [3, 1, 2, 3]


def test_a_plan_is_kept_before_its_first_run_starts(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    plans = Does(RunStarted, lambda: len(list(tmp_path.rglob("plan.json"))))
    outcome = run_study(scripted_study(), results=tmp_path, in_process=True, listener=plans)
    assert plans.results == [1, 1, 1, 1, 2, 2, 3, 4, 4]
    record = json.loads(outcome.paths.phase("final").plan.read_text())
    assert [trial["name"] for trial in record["trials"]] == ["final"]


def test_nobody_deletes_while_a_study_runs(scripted_study: StudyMaker, tmp_path: Path) -> None:
    paths = ResultsPaths(tmp_path / "results")

    def deletes() -> str:
        try:
            with exclusively(paths):
                return "deletes"
        except StoreError as error:
            return str(error).partition(" below")[0]

    tries = Does(RunDone, deletes)
    run_study(scripted_study(), results=paths.root, in_process=True, listener=tries)
    assert tries.results == ["a study runs"] * 9
    assert deletes() == "deletes"


def test_no_study_runs_while_somebody_deletes(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(), tmp_path)
    message = "`phasetune gc` works on .* at this moment"
    with exclusively(ResultsPaths(tmp_path)), pytest.raises(StoreError, match=message):
        finished(scripted_study(), tmp_path)
