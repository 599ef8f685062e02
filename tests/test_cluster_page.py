"""The page on clusters shows commands that exist, with options that they have."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from conftest import TESTS
from phasetune.cli.main import app

ROOT = TESTS.parent
PAGES = ("docs/cluster.md", "experiments/slurm/README.md")


def commands(page: str, program: str) -> list[str]:
    """The lines of a page's code blocks that start with a program, without their remarks."""
    blocks = re.findall(r"^    (?:cd \S+ && )?(\S.*)$", (ROOT / page).read_text(), re.MULTILINE)
    return [line.partition("  #")[0] for line in blocks if line.split()[0] == program]


def of_all_pages(program: str) -> list[str]:
    return [line for page in PAGES for line in commands(page, program)]


def parsed(group: Any, line: str) -> None:
    """Parse a line by the program's own options, without running it.

    `group` is click's, or that of the click which typer brings along.
    """
    _, name, *arguments = shlex.split(line.partition(">")[0])
    context = group.context_class(group, info_name="program")
    command = group.get_command(context, name)
    assert command is not None, f"no command {name}"
    command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("line", of_all_pages("phasetune"))
def test_commands_of_phasetune_exist(line: str) -> None:
    parsed(typer.main.get_command(app), line)


@pytest.mark.parametrize("line", of_all_pages("ray"))
def test_commands_of_ray_exist(line: str) -> None:
    from ray.scripts.scripts import cli

    parsed(cli, line)


@pytest.mark.parametrize(
    ("line", "message"),
    [("phasetune run STUDY --adress auto", "--adress"), ("phasetune halt results", "halt")],
)
def test_what_does_not_exist_is_found(line: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        parsed(typer.main.get_command(app), line)


@pytest.mark.parametrize("line", of_all_pages("make"))
def test_targets_of_make_exist(line: str) -> None:
    target = line.split()[1].replace(".venv", "$(VENV)")
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_files_that_commands_name_are_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"\b(?:configs|experiments)/[\w/]+\.\w+|\bcluster\.yaml\b", text))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_a_page_shows_each_program() -> None:
    assert all(len(of_all_pages(program)) > 1 for program in ("phasetune", "ray"))
    assert Path(ROOT / "docs" / "cluster.md").read_text().startswith("# ")
