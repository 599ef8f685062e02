from pathlib import Path

import pytest

from phasetune.store.paths import PhasePaths, ResultsPaths, StudyPaths, run_folder


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ([], "0001"),
        (["0001"], "0002"),
        (["0001", "0003"], "0004"),
        (["0009", "0010", "2"], "0011"),
        (["9999"], "10000"),
        (["0001", "12-old", "notes", ".draft"], "0002"),
    ],
)
def test_an_attempt_has_a_folder_that_none_has_used(
    tmp_path: Path, existing: list[str], expected: str
) -> None:
    phase = PhasePaths(tmp_path / "one")
    for name in existing:
        (phase.attempts / name).mkdir(parents=True)
    assert phase.new_attempt() == phase.attempts / expected
    assert list(phase.new_attempt().iterdir()) == []


def test_studies_are_the_folders_that_hold_one(tmp_path: Path) -> None:
    results = ResultsPaths(tmp_path)
    assert results.studies() == []
    for name in ("b", "a"):
        results.study(name).root.mkdir()
        results.study(name).study.write_text("name: x\n")
    results.store.mkdir()
    (tmp_path / "other").mkdir()
    assert [study.root.name for study in results.studies()] == ["a", "b"]


def test_checkpoints_of_a_run_are_found_in_every_attempt_of_every_phase(tmp_path: Path) -> None:
    study, key = StudyPaths(tmp_path), "ab" * 16
    expected = []
    for phase, attempt in (("one", "0001"), ("one", "0002"), ("two", "0001")):
        folder = study.phase(phase).attempts / attempt / run_folder("finetune", key)
        expected.append(folder / "checkpoint_000001")
        expected[-1].mkdir(parents=True)
        (folder.parent / run_folder("pretrain", key) / "checkpoint_000001").mkdir(parents=True)
        (folder.parent / run_folder("finetune", "cd" * 16) / "checkpoint_000001").mkdir(
            parents=True
        )
    assert study.checkpoints("finetune", key) == expected


def test_an_old_decision_stands_beside_the_one_that_holds(tmp_path: Path) -> None:
    phase = PhasePaths(tmp_path)
    old = [phase.old_decision(inputs * 16) for inputs in ("ab", "cd")]
    assert len({phase.decision, *old}) == 3
    assert {path.parent for path in old} == {phase.decision.parent}


def test_nothing_of_two_studies_phases_or_trials_is_in_one_place(tmp_path: Path) -> None:
    results = ResultsPaths(tmp_path)
    studies = [results.study(name) for name in ("a", "b")]
    places = [results.store, results.digests]
    for study in studies:
        phase = study.phase("one")
        places += [study.study, study.final, study.report, study.provenance, study.analysis]
        places += [study.best, study.model, study.log, study.trial("x"), study.trial("y")]
        places += [phase.plan, phase.decision, phase.trials, phase.history, phase.attempts]
        places += [study.phase("two").plan]
    assert len(set(places)) == len(places)
