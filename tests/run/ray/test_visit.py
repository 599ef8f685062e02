"""What a machine is found to lack, by a visit in this very process: no Ray takes part."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS
from phasetune.run.ray import visit as visiting
from phasetune.run.ray.nodes import marked
from phasetune.run.ray.visit import Asked, Mark, fingerprints_here, versions_here, visit
from phasetune.run.request import WorkloadRequest
from phasetune.stage.resolve import resolve_workload
from phasetune.store.digests import file_digest
from phasetune.store.paths import ResultsPaths
from phasetune.study.schema import Numerics

NODE = "0123abcd"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHASETUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(visiting, "_SEEN_SECONDS", 0.0)
    return tmp_path


def workload(**changes: Any) -> WorkloadRequest:
    asked = WorkloadRequest(
        path="scripted",
        sources=(),
        folders=(str(TESTS),),
        code=resolve_workload("scripted", folders=[str(TESTS)]).code,
        data={},
        numerics=Numerics(),
        working_directory=str(TESTS),
    )
    return replace(asked, **changes)


def lacks(asked: Asked) -> tuple[str, ...]:
    return visit(asked, NODE).lacks


def test_a_machine_like_the_driver_s_lacks_nothing_and_answers(machine: Path) -> None:
    paths = ResultsPaths(machine / "results")
    same = workload()
    with marked(paths.root, paths) as mark:
        asked = Asked(
            versions=versions_here(),
            mark=mark,
            workload=same,
            fingerprints=fingerprints_here(same, None),
        )
        found = visit(asked, NODE)
        assert mark.answer(NODE).read_text() == mark.word
    assert found.lacks == ()
    assert {"python", "phasetune", "ray"} <= found.software.keys()
    assert list(paths.root.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"numpy": "0.9"}, "and the driver's machine 0.9; install the same there"),
        ({"Python": "3.99"}, "and the driver's machine 3.99; install the same there"),
        ({"scipy": None}, "and the driver's machine not at all; install the same there"),
        ({"torch": "9"}, "and the driver's machine 9; install the same there"),
    ],
    ids=["another", "Python", "one that only it has", "another torch"],
)
def test_other_versions_are_named(changes: dict[str, str | None], told: str) -> None:
    versions = {name: v for name, v in {**versions_here(), **changes}.items() if v is not None}
    (lack,) = lacks(Asked(versions=versions, mark=None))
    assert lack.startswith(f"it has {next(iter(changes))} ")
    assert lack.endswith(told)


@pytest.mark.parametrize("word", [None, "of another storage"], ids=["nothing", "something else"])
def test_other_storage_is_found_out_and_not_written_to(machine: Path, word: str | None) -> None:
    path = machine / "results" / "seen-1" / "driver"
    if word is not None:
        path.parent.mkdir(parents=True)
        path.write_text(word)
    mark = Mark(path=path, word="mine", results=machine / "results", uri=None)
    (lack,) = lacks(Asked(versions=versions_here(), mark=mark))
    assert lack.startswith(f"it doesn't see the results at {machine / 'results'}: mount the same")
    assert not mark.answer(NODE).exists()


def test_storage_that_can_t_be_written_is_told(machine: Path) -> None:
    paths = ResultsPaths(machine / "results")
    with marked(paths.root, paths) as mark:
        mark.answer(NODE).mkdir()
        (mark.answer(NODE) / "in the way").touch()
        (lack,) = lacks(Asked(versions=versions_here(), mark=mark))
    assert lack.startswith(f"it can't use the results at {paths.root}: ")


@pytest.mark.parametrize(
    ("changes", "fingerprints", "told"),
    [
        ({"path": "nowhere_at_all"}, {}, "the workload can't be used there: "),
        ({"code": "old"}, {}, "the sources of 'scripted' are others there ("),
        ({"data": {"missing": "train"}}, {}, "the data can't be read there: no such file: train"),
        ({"data": {"odd": 1}}, {}, "the data can't be read there: "),
        ({}, {"train": "train:v2"}, "the data is another there (parts train); copy it from"),
        ({"working_directory": "/nowhere"}, {"train": "x", "test": "y"}, "the data is another"),
    ],
    ids=["no workload", "other code", "data missing", "odd data", "other data", "no such folder"],
)
def test_what_the_study_needs_is_looked_for(
    changes: dict[str, Any], fingerprints: dict[str, str], told: str
) -> None:
    before = Path.cwd()
    asked = Asked(
        versions=versions_here(),
        mark=None,
        workload=workload(**changes),
        fingerprints=fingerprints,
    )
    (lack,) = lacks(asked)
    assert lack.startswith(told)
    assert Path.cwd() == before


@pytest.mark.parametrize(
    ("error", "why"),
    [("KeyError('label')", "'label'"), ("RuntimeError()", "RuntimeError")],
    ids=["with a word", "without"],
)
def test_whatever_reading_the_data_raises_is_told_as_the_data(
    error: str, why: str, machine: Path
) -> None:
    (machine / "data_that_fails.py").write_text(FAILING.format(error=error))
    named = workload(path="data_that_fails", folders=(str(machine),))
    named = replace(named, code=resolve_workload("data_that_fails", folders=[str(machine)]).code)
    (lack,) = lacks(
        Asked(versions=versions_here(), mark=None, workload=named, fingerprints={"train": "x"})
    )
    assert lack == (
        f"the data can't be read there: {why}; put it under the same path on all machines"
    )


def test_all_that_is_lacking_is_told_together(machine: Path) -> None:
    mark = Mark(path=machine / "x" / "driver", word="w", results=machine, uri=None)
    versions = {**versions_here(), "numpy": "0.9", "phasetune": "0.0"}
    found = lacks(Asked(versions=versions, mark=mark, workload=workload(code="old")))
    assert len(found) == 4


def test_digests_of_large_data_are_remembered_on_the_machine_itself(machine: Path) -> None:
    (machine / "data_in_a_file.py").write_text(WORKLOAD)
    (machine / "large").write_text("content")
    named = workload(path="data_in_a_file", folders=(str(machine),))
    named = replace(named, data={"path": str(machine / "large")})
    code = resolve_workload("data_in_a_file", folders=[str(machine)]).code
    wanted = {"train": file_digest(machine / "large")}
    asked = Asked(
        versions=versions_here(),
        mark=None,
        workload=replace(named, code=code),
        fingerprints=wanted,
    )
    assert lacks(asked) == ()
    assert str(machine / "large") in (machine / "cache" / "digests.json").read_text()


WORKLOAD = """
from pathlib import Path
from pydantic import BaseModel
from phasetune import Stage
from phasetune.store.digests import file_digest


class Data(BaseModel):
    path: Path

    def fingerprint(self, part: str) -> str:
        return file_digest(self.path)


STAGES = (
    Stage(name="train", params=BaseModel, function="data_in_a_file:train", reads=("train",)),
)


def train(ctx, params):
    return {}
"""

FAILING = """
from pydantic import BaseModel
from phasetune import Stage


class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        raise {error}


STAGES = (
    Stage(name="train", params=BaseModel, function="data_that_fails:train", reads=("train",)),
)


def train(ctx, params):
    return {{}}
"""
