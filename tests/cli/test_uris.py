"""Each command takes a URI where it takes a results root, and says the URI back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Said, phasetune
from conftest import StudyMaker
from machines import on
from object_store import ObjectServer
from phasetune.run.doctor.disks import disk_part
from phasetune.study.dump import study_yaml

PHASES = [{"name": "value", "grid": {"train.value": [0.2, 0.6]}}]


@pytest.fixture(scope="module")
def place(
    object_server: ObjectServer,
    scripted_study: StudyMaker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Path, Said]]:
    """Results of a study at a URI, its file, and what the command said that ran it."""
    folder = tmp_path_factory.mktemp("uris")
    one_step = {"prepare": {"steps": 1}, "train": {"steps": 1}}
    study = scripted_study(phases=PHASES, params=one_step)
    file = folder / "study.yaml"
    file.write_text(study_yaml(study, beside=None))
    with pytest.MonkeyPatch.context() as patch, on(folder / "machine"):
        patch.setattr("phasetune.store.lease_places.SETTLE_SECONDS", 0.0)
        for name, value in object_server.environment.items():
            patch.setenv(name, value)
        uri = f"{object_server.make_bucket()}/results"
        said = phasetune("run", file, "--results", uri, "--in-process")
        yield uri, file, said


def test_a_study_that_ran_says_where_everything_is(place: tuple[str, Path, Said]) -> None:
    uri, _, said = place
    assert said.code == 0
    assert f"results in {uri}/scripted" in said.words
    assert f"Report {uri}/scripted/report.json" in said.words
    assert f"Final model {uri}/scripted/model" in said.words
    assert f"phasetune best {uri} --study scripted" in said.words
    assert "mirrors/" not in said.out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("status", "URI"), "scripted done"),
        (("best", "URI"), "value-value=0.6"),
        (("best", "URI", "--yaml"), "name: scripted-best"),
        (("compare", "URI"), "2 trials; * won its phase"),
        (("export", "trials", "URI"), "value-value=0.6"),
        (("export", "history", "URI"), "value-value=0.2"),
        (("checkpoints", "URI"), "final model"),
        (("sync", "URI"), "scripted: passed over: it is told to no tracker"),
        (("gc", "URI", "--dry-run"), "Nothing to delete."),
        (("plan", "STUDY", "--results", "URI"), "Cost: none, everything is stored."),
        (("trial", "STUDY", "value-value=0.6", "--results", "URI", "--in-process"), "Results: URI"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_takes_a_uri(
    command: tuple[str, ...], words: str, place: tuple[str, Path, Said]
) -> None:
    uri, file, _ = place
    said = phasetune(*({"URI": uri, "STUDY": str(file)}.get(word, word) for word in command))
    assert said.code == 0, said.err
    assert words.replace("URI", uri) in said.words
    assert "mirrors/" not in said.out


def test_what_is_exported_of_a_run_is_where_it_lies(place: tuple[str, Path, Said]) -> None:
    uri, _, _ = place
    lines = phasetune("export", "runs", uri).out.splitlines()
    assert all(f"{uri}/store/" in line for line in lines[1:])


def test_a_page_is_at_the_uri_and_here(
    place: tuple[str, Path, Said], object_server: ObjectServer
) -> None:
    uri, _, _ = place
    said = phasetune("report", uri, "--format", "md")
    there, here = said.out.splitlines()
    assert there == f"{uri}/scripted/report.md"
    assert "report.md" in object_server.names(f"{uri}/scripted")
    assert Path(here.removeprefix("  here: ")).read_text().startswith("#")


def test_pages_of_mlflow_need_a_study_that_was_told_to_it(place: tuple[str, Path, Said]) -> None:
    uri, _, _ = place
    said = phasetune("ui", uri)
    assert said.code == 2
    assert f"no study of {uri} is tracked by mlflow" in said.err


def test_the_doctor_writes_there_and_leaves_nothing(
    place: tuple[str, Path, Said], object_server: ObjectServer
) -> None:
    uri, _, _ = place
    before = object_server.names(uri)
    disk = disk_part(uri).facts["results"]
    assert disk["uri"] == uri
    assert disk["free_bytes"] > 0
    assert not set(object_server.names(uri)) - set(before) - {""}  # which is the folder itself


@pytest.mark.parametrize(
    "command",
    [("status", "URI"), ("export", "trials", "URI"), ("compare", "URI"), ("gc", "URI")],
    ids=lambda command: command[0],
)
def test_a_uri_without_a_study_is_refused_by_its_name(
    command: tuple[str, ...], place: tuple[str, Path, Said]
) -> None:
    empty = f"{place[0]}-others"
    said = phasetune(*(empty if word == "URI" else word for word in command))
    assert said.code == 2
    assert f"{empty} holds no study" in " ".join(said.err.split())
