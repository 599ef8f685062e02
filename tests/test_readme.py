"""README and docs say what is there, and what they show works."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import TESTS

ROOT = TESTS.parent
README = (ROOT / "README.md").read_text()
SHOWN = ("configs", "src", "experiments", "benchmarks", "docs")


def tree() -> list[str]:
    """The paths of the README's tree, each with one line of text beside it."""
    block = README.split("## The tree\n\n```\n")[1].split("\n```")[0]
    found: list[str] = []
    folders: list[str] = []
    for line in block.splitlines():
        name, text = re.fullmatch(r"( *\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        depth = (len(name) - len(name.lstrip())) // 2
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name.strip())
        else:
            assert text, f"{name} says nothing"
            found.append("".join(folders) + name.strip())
    return found


def test_the_tree_shows_every_file_and_nothing_else() -> None:
    shown = [path for path in tree() if path.startswith(SHOWN)]
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in SHOWN
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".yaml", ".sh"} and ".egg-info" not in str(path)
    }
    packages = {path for path in there if path.endswith("/__init__.py")}
    packages.discard("src/phasetune/__init__.py")
    assert sorted(shown) == sorted(there - packages)
    assert all((ROOT / path).exists() for path in tree())


def test_no_line_of_the_readme_is_too_long_for_a_page() -> None:
    assert [line for line in README.splitlines() if len(line) > 120] == []


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*"))]
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_commands_shown_exist() -> None:
    from phasetune.cli.main import app

    named = set(re.findall(r"^phasetune (\w+) ", README, re.MULTILINE))
    helped = CliRunner().invoke(app, ["--help"]).output
    assert named == set(re.findall(r"^  (\w+) {2,}", helped.split("Commands:")[1], re.MULTILINE))
    assert all(re.search(rf"^  {name} ", helped, re.MULTILINE) for name in named)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_the_python_shown_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) <= 11
    here = f'overrides=["seed=7"], in_process=True, results={str(tmp_path)!r}'
    exec(code.replace('overrides=["seed=7"]', here), {})  # noqa: S102 - our own README
    assert "size-components=48" in capsys.readouterr().out


def test_the_study_file_shown_is_one(tmp_path: Path) -> None:
    from phasetune import load_study
    from phasetune.study.dump import yaml_text
    from phasetune.study.reading import read_yaml
    from phasetune.study.schema import Study

    (text,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs/study-files.md").read_text(), re.DOTALL
    )
    shown = tmp_path / "shown.yaml"
    shown.write_text(text)
    content = read_yaml(shown).content
    study = Study.model_validate(content)
    assert set(content) | {
        "import_from", "resources_per_trial", "max_concurrent_trials", "max_failures",
        "stall_timeout_seconds", "max_checkpoint_gib", "allow_large", "tracking",
    } == set(Study.model_fields)  # fmt: skip
    del content["sources"]
    content["import_from"] = [str(ROOT / "experiments/own_workload")]
    shown.write_text(yaml_text(content))
    assert load_study(shown).phases == study.phases
