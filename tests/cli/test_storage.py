"""What is kept and why, and what goes: in words, as JSON, and by exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import StudyWriter, command, phasetune
from phasetune.store.lock import in_use
from phasetune.store.paths import ResultsPaths
from stored import keep, names_below

ONE: list[dict[str, Any]] = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
LESS: list[dict[str, Any]] = [{"name": "one", "grid": {"train.value": [0.2]}}]
REFUSED = [("checkpoints",), ("gc",), ("gc", "--dry-run")]


def run(path: Path) -> str:
    said = phasetune("run", path, "--in-process")
    assert said.code == 0
    return said.words


@pytest.fixture
def trained(written: StudyWriter, folder: Path) -> Path:
    """A finished study with a checkpoint of its test run; its results root."""
    run(written(phases=ONE))
    (artifact,) = (folder / "results" / "store" / "test").iterdir()
    keep(artifact, epoch=3, size=2048, kept_as=["best", "last"], loss=0.25)
    return folder / "results"


def test_checkpoints_are_a_table_with_a_total(trained: Path) -> None:
    said = phasetune("checkpoints", trained, columns=200)
    assert said.code == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0] == "run epoch metrics size why"
    assert "test final 3 loss 0.25 2.0 KiB kept: best, last, winner" in lines
    assert lines[-1] == "4 checkpoints, 2.2 KiB"


def test_in_a_narrow_terminal_each_is_one_line(trained: Path) -> None:
    said = phasetune("checkpoints", trained, columns=50)
    assert (
        "run test final; epoch 3; metrics loss 0.25; size 2.0 KiB; why kept: best, last, winner"
        in said.out.splitlines()
    )
    assert len(said.out.splitlines()) == 5


def test_checkpoints_are_json_as_well(trained: Path) -> None:
    said = phasetune("checkpoints", trained, "--study", "scripted", "--json")
    found = json.loads(said.out)["checkpoints"]
    assert (found[0]["kind"], found[0]["why"]) == ("kept", ["best", "last", "winner"])
    assert found[0]["size_bytes"] == 2048
    assert Path(found[0]["path"]).is_dir()


def test_a_study_that_keeps_nothing_yet_has_none(written: StudyWriter, folder: Path) -> None:
    study = written(phases=ONE, final={"refit": False, "test": False})
    run(study)
    assert phasetune("checkpoints", "results").out == "0 checkpoints, 0 B\n"


def test_a_dry_run_deletes_nothing_and_says_what_would_go(
    trained: Path, written: StudyWriter
) -> None:
    run(written(phases=LESS))
    before = names_below(trained)
    said = phasetune("gc", trained, "--dry-run", columns=200)
    assert said.code == 0
    assert said.out.count("artifact: no study refers to it") == 3
    assert "Would delete 3 files and folders, " in said.out
    assert names_below(trained) == before


def test_what_no_study_refers_to_goes_and_the_study_has_nothing_to_do(
    trained: Path, written: StudyWriter
) -> None:
    study = written(phases=LESS)
    run(study)
    whole = names_below(trained / "scripted")
    said = phasetune("gc", trained)
    assert said.code == 0
    assert "Deleted 3 files and folders, " in said.out
    assert phasetune("gc", trained).out == "Nothing to delete.\n"
    assert names_below(trained / "scripted") == whole
    assert "Nothing to do: all 4 runs are stored; decisions stand." in run(study)


def test_while_a_study_runs_nothing_is_deleted(trained: Path) -> None:
    with in_use(ResultsPaths(trained)):
        said = command("gc", trained, folder=trained)
    assert said.code == 2
    assert (
        said.err
        == f"error: a study runs below {trained} at this moment; try again when it is done\n"
    )


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_is_no_results_root_is_one_sentence_and_makes_no_folder(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    (folder / "data").mkdir()
    for name in ("data", "nowhere"):
        said = phasetune(arguments[0], name, *arguments[1:])
        assert said.code == 2
        assert said.err.startswith(f"error: {folder / name} holds no study")
        assert said.err.count("\n") == 1
    assert [path.name for path in folder.rglob("*")] == ["data"]


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_plan_that_cant_be_read_is_named_and_nothing_goes(
    trained: Path, arguments: tuple[str, ...]
) -> None:
    plan = trained / "scripted" / "phases" / "one" / "plan.json"
    plan.write_text("{")
    before = names_below(trained)
    said = phasetune(arguments[0], trained, *arguments[1:])
    assert said.code == 2
    assert str(plan) in said.err
    assert names_below(trained) == before


@pytest.mark.parametrize("columns", [60, 200])
def test_what_a_run_wrote_down_is_not_markup(trained: Path, columns: int) -> None:
    (artifact,) = (trained / "store" / "test").iterdir()
    keep(artifact, epoch=4, kept_as=["[bold]best[/bold]"])
    assert "[bold]best[/bold]" in phasetune("checkpoints", trained, columns=columns).out
