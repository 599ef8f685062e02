import shutil
import sys
from pathlib import Path

import pytest

from phasetune.errors import StudyError
from phasetune.stage.sources import code_fingerprint, covered_files, find_module, read_sources


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Folder `home` with the package `shop` of a workload, a helper and a nested package."""
    root = tmp_path / "home" / "shop"
    (root / "deep").mkdir(parents=True)
    for name in ("__init__.py", "work.py", "helper.py", "deep/__init__.py", "deep/more.py"):
        (root / name).write_text(f"NAME = {name!r}\n")
    return root


def fingerprint(home: Path, workload: str = "shop.work", *sources: str) -> str:
    return code_fingerprint(workload, sources, [str(home)])


@pytest.mark.parametrize("changed", ["work.py", "helper.py", "__init__.py", "deep/more.py"])
def test_content_of_any_file_of_the_package_counts(package: Path, changed: str) -> None:
    before = fingerprint(package.parent)
    (package / changed).write_text("NAME = 'other'\n")
    assert fingerprint(package.parent) != before


def test_each_file_has_a_digest_of_its_own(package: Path) -> None:
    (package / "helper.py").write_text("import numpy.linalg\n")
    files = covered_files(["shop.work"], [str(package.parent)])
    before = read_sources(files)
    assert before.code == fingerprint(package.parent)
    assert before.imports == {"numpy"}
    names = ["__init__", "deep/__init__", "deep/more", "helper", "work"]
    assert sorted(before.digests) == [f"shop/{name}.py" for name in names]
    (package / "deep" / "more.py").write_text("NAME = 'other'\n")
    after = read_sources(files).digests
    assert [name for name in after if after[name] != before.digests[name]] == ["shop/deep/more.py"]


def test_names_of_files_count(package: Path) -> None:
    before = fingerprint(package.parent)
    (package / "helper.py").rename(package / "assistant.py")
    assert fingerprint(package.parent) != before


def test_content_moved_between_files_counts(package: Path) -> None:
    before = fingerprint(package.parent)
    work, helper = (package / "work.py").read_text(), (package / "helper.py").read_text()
    (package / "work.py").write_text(helper)
    (package / "helper.py").write_text(work)
    assert fingerprint(package.parent) != before


def test_location_time_and_other_files_do_not_count(package: Path, tmp_path: Path) -> None:
    before = fingerprint(package.parent)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(package, elsewhere / "shop", copy_function=shutil.copyfile)
    (elsewhere / "shop" / "notes.txt").write_text("not code")
    (elsewhere / "neighbour.py").write_text("NAME = 1\n")
    assert fingerprint(elsewhere) == before


def test_a_link_to_nowhere_is_no_source(package: Path) -> None:
    before = fingerprint(package.parent)
    (package / ".#work.py").symlink_to("nobody@nowhere")
    assert fingerprint(package.parent) == before


def test_a_single_file_stands_alone_until_sources_names_another(tmp_path: Path) -> None:
    for name in ("alone", "near"):
        (tmp_path / f"{name}.py").write_text("X = 1\n")
    alone, both = fingerprint(tmp_path, "alone"), fingerprint(tmp_path, "alone", "near")
    (tmp_path / "near.py").write_text("X = 2\n")
    assert fingerprint(tmp_path, "alone") == alone
    assert fingerprint(tmp_path, "alone", "near") not in (alone, both)


def test_order_of_sources_does_not_count(package: Path) -> None:
    home = package.parent
    for name in ("one", "two"):
        (home / f"{name}.py").write_text("X = 1\n")
    one_two = fingerprint(home, "shop.work", "one", "two")
    assert one_two == fingerprint(home, "shop.work", "two", "one")


def test_a_file_in_a_namespace_package_stands_alone(tmp_path: Path) -> None:
    space = tmp_path / "space"
    space.mkdir()
    (space / "work.py").write_text("X = 1\n")
    before = fingerprint(tmp_path, "space.work")
    (space / "other.py").write_text("X = 2\n")
    assert fingerprint(tmp_path, "space.work") == before
    (space / "work.py").write_text("X = 3\n")
    assert fingerprint(tmp_path, "space.work") != before


def test_a_namespace_package_itself_is_all_its_files(tmp_path: Path) -> None:
    space = tmp_path / "space"
    space.mkdir()
    (space / "work.py").write_text("X = 1\n")
    before = fingerprint(tmp_path, "space")
    (space / "other.py").write_text("X = 2\n")
    assert fingerprint(tmp_path, "space") != before


ENGINE_USERS = [
    "import phasetune.train\n",
    "import phasetune.train.splits as splits\n",
    "from phasetune import train\n",
    "from phasetune.train import outer_split\n",
    "from phasetune.train.splits import inner_split\n",
    "def run() -> None:\n    from phasetune import train\n",
]
ENGINE_STRANGERS = [
    "import phasetune\n",
    "from phasetune import Stage\n",
    "from phasetune.trainer import x\n",
    "from . import train\n",
    "TEXT = 'import phasetune.train'\n",
    "this is no Python\n",
]


@pytest.fixture
def other_engine(tmp_path: Path) -> Path:
    """A copy of phasetune whose engine has one more file."""
    folder = tmp_path / "copied"
    (folder / "phasetune" / "train").mkdir(parents=True)
    (folder / "phasetune" / "__init__.py").write_text("")
    (folder / "phasetune" / "train" / "__init__.py").write_text("EXTRA = 1\n")
    return folder


@pytest.mark.parametrize(
    ("source", "counts"),
    [*((text, True) for text in ENGINE_USERS), *((text, False) for text in ENGINE_STRANGERS)],
)
def test_the_engine_counts_where_it_is_imported(
    tmp_path: Path, other_engine: Path, source: str, counts: bool
) -> None:
    (tmp_path / "user.py").write_text(source)
    installed = code_fingerprint("user", (), [str(tmp_path)])
    changed = code_fingerprint("user", (), [str(tmp_path), str(other_engine)])
    assert (installed != changed) is counts


def test_the_engine_counts_where_a_named_source_imports_it(
    tmp_path: Path, other_engine: Path
) -> None:
    (tmp_path / "plain.py").write_text("X = 1\n")
    (tmp_path / "user.py").write_text("from phasetune import train\n")
    installed = code_fingerprint("plain", ["user"], [str(tmp_path)])
    assert installed != code_fingerprint("plain", ["user"], [str(tmp_path), str(other_engine)])


def test_modules_are_found_without_importing_them(package: Path) -> None:
    for name in ("__init__.py", "work.py"):
        (package / name).write_text("raise SystemExit('imported')\n")
    found = find_module("shop.work", [str(package.parent)])
    assert found is not None
    assert found.source == package / "work.py"
    fingerprint(package.parent)
    assert "shop" not in sys.modules


def test_the_first_folder_wins(package: Path, tmp_path: Path) -> None:
    nearer = tmp_path / "nearer"
    nearer.mkdir()
    (nearer / "shop.py").write_text("")
    found = find_module("shop", [str(nearer), str(package.parent)])
    assert found is not None
    assert found.source == nearer / "shop.py"


@pytest.mark.parametrize("name", ["nowhere_at_all", "shop.nothing", "shop.work.below", "", ".."])
def test_what_is_not_there_is_not_found(package: Path, name: str) -> None:
    assert find_module(name, [str(package.parent)]) is None


def test_missing_module_says_where_it_looked(package: Path) -> None:
    with pytest.raises(StudyError) as caught:
        fingerprint(package.parent, "shop.work", "shop.absent")
    assert str(caught.value) == (
        f"there is no module 'shop.absent'; looked in {package.parent} and among the installed "
        "packages; name it in `workload:` or `sources:` as you would import it"
    )


def test_a_module_without_source_is_refused() -> None:
    with pytest.raises(StudyError, match="module 'sys' has no Python source"):
        code_fingerprint("sys", (), ())


def put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_what_a_workload_imports_from_beside_itself_counts(tmp_path: Path) -> None:
    put(tmp_path / "alone.py", "import near\nfrom far.part import value\nimport json, numpy\n")
    put(tmp_path / "near.py", "import nearer\n")
    put(tmp_path / "nearer.py", "value = 1\n")
    put(tmp_path / "far/part.py", "value = 1\n")
    put(tmp_path / "numpy/notes.py", "a folder that only looks like a package\n")
    put(tmp_path / "unrelated.py", "value = 1\n")
    covered = covered_files(["alone"], [str(tmp_path)])
    assert set(covered) == {"alone.py", "near.py", "nearer.py", "far.part.py"}
    before = code_fingerprint("alone", (), [str(tmp_path)])
    put(tmp_path / "nearer.py", "value = 2\n")
    assert code_fingerprint("alone", (), [str(tmp_path)]) != before
