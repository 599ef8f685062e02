"""A crash, or a full disk, at every durable write of a study: nothing is lost, nothing is torn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import TESTS, StudyMaker
from phasetune import Study
from torture.crashing import (
    CRASHED,
    PLACES,
    Fault,
    Kind,
    count_calls,
    is_told,
    left_by,
    ran,
    refuse_torn,
    steps,
)

KINDS: tuple[Kind, ...] = ("before", "after", "full")
SAMPLE = 2


@pytest.fixture(scope="module", params=["scripted", "trunked"])
def study(request: pytest.FixtureRequest, scripted_study: StudyMaker) -> Study:
    """Three phases; or runs that branch off trunks."""
    return scripted_study() if request.param == "scripted" else branching_study()


def branching_study() -> Study:
    return Study.model_validate(
        {
            "name": "branching",
            "workload": "trunked",
            "import_from": [str(TESTS)],
            "objective": {"metric": "score"},
            "phases": [
                {"name": "depth", "grid": {"grow.steps": [3, 4, 6]}},
                {"name": "weight", "grid": {"judge.weight": [0.5, 1.0]}},
            ],
        }
    )


@pytest.fixture(scope="module")
def undisturbed(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    results = tmp_path_factory.mktemp("undisturbed") / "results"
    assert ran(study, results) == 0
    return left_by(study, results)


def faults(study: Study, folder: Path, kind: Kind, *, most: int) -> Iterator[Fault]:
    """Each rename; a disk may also be found to be full when a file is written, or flushed."""
    for function in PLACES if kind == "full" else ("_rename",):
        count = count_calls(study, folder / f"count{function}", function)
        assert count > 10
        yield from (
            Fault(kind=kind, number=number, function=function)
            for number in range(0, count, max(1, count // most))
        )


def suffers(study: Study, results: Path, fault: Fault, undisturbed: dict[str, bytes]) -> None:
    code = ran(study, results, fault)
    assert code == CRASHED or (fault.kind == "full" and is_told(code, results)), fault
    published = refuse_torn(results) if results.exists() else set()
    taken = len(steps(results))
    assert ran(study, results) == 0, fault
    assert left_by(study, results) == undisturbed, fault
    assert not published & set(steps(results)[taken:]), fault


@pytest.mark.parametrize("kind", KINDS)
def test_some_durable_writes(
    study: Study, undisturbed: dict[str, bytes], tmp_path: Path, kind: Kind
) -> None:
    for fault in faults(study, tmp_path, kind, most=SAMPLE):
        suffers(study, tmp_path / f"{fault.function}{fault.number}", fault, undisturbed)


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
def test_every_durable_write(
    study: Study, undisturbed: dict[str, bytes], tmp_path: Path, kind: Kind
) -> None:
    for fault in faults(study, tmp_path, kind, most=10**6):
        suffers(study, tmp_path / f"{fault.function}{fault.number}", fault, undisturbed)
