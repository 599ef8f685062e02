"""The Dockerfile, which no test can build: a linter's view, and what it must not lose."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TESTS

ROOT = TESTS.parent
DOCKERFILE = ROOT / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its words, lines that go on joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line]


def all_of(name: str) -> list[str]:
    return [words for found, words in instructions() if found == name]


def copied() -> list[str]:
    """The sources of all COPY instructions, seen from the project's folder."""
    return [
        word for words in all_of("COPY") for word in words.split()[:-1] if not word.startswith("--")
    ]


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    told = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_is_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert f"!{source}" in ignored


def test_nothing_else_reaches_the_image() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if "!" in line}
    assert let_in == set(copied())


def test_it_does_not_run_as_root() -> None:
    (user,) = all_of("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")


def test_results_are_a_volume_where_the_command_puts_them() -> None:
    (volume,) = all_of("VOLUME")
    assert Path(volume) == Path(all_of("WORKDIR")[-1]) / "results"
    assert all_of("ENTRYPOINT") == ['["phasetune"]']


def test_versions_are_those_it_is_tested_with() -> None:
    (install,) = [words for words in all_of("RUN") if "pip install" in words]
    assert "--constraint constraints.txt" in install
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_base_is_an_argument_with_a_version_that_the_project_takes() -> None:
    given = dict(words.split("=", 1) for words in all_of("ARG"))
    assert all_of("FROM") == ["${BASE}"]
    image, _, tag = given["BASE"].partition(":")
    assert image == "python"
    assert tag.split("-")[0] in {"3.11", "3.12", "3.13"}


def test_which_build_of_torch_is_left_to_an_argument_without_an_address() -> None:
    given = dict(words.split("=", 1) for words in all_of("ARG"))
    assert given["PIP_OPTIONS"] == ""
    assert not re.search(r"https?://", DOCKERFILE.read_text())
