"""What must not lie on storage that machines share lies on a disk of this one."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from phasetune import StoreError
from phasetune.store import machine_folder as module
from phasetune.store.digests import file_digest, remembered_digests
from phasetune.store.driver_lock import driving
from phasetune.store.durable import write_text
from phasetune.store.machine_folder import local_root, machine_folder
from phasetune.store.paths import ResultsPaths, results_at
from phasetune.store.remote import mirror
from phasetune.store.workers import count_as_worker, wait_for_workers
from shared_storage import mount
from shared_storage import mounted_results as mounted_results


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PHASETUNE_CACHE": "/named", "XDG_CACHE_HOME": "/caches"}, "/named"),
        ({"XDG_CACHE_HOME": "/caches", "HOME": "/nowhere"}, "/caches/phasetune"),
        ({"HOME": "/nowhere"}, "/nowhere/.cache/phasetune"),
    ],
)
def test_the_environment_names_it(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PHASETUNE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert machine_folder() == Path(expected)


@pytest.fixture
def shared_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is mounted from elsewhere, as on most clusters."""
    monkeypatch.setattr(module, "_TEMPORARY", tmp_path)
    for name in ("PHASETUNE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    mount(monkeypatch, tmp_path / "home", below=tmp_path)


def test_a_home_that_machines_share_is_no_place_of_this_machine(
    shared_home: None, tmp_path: Path
) -> None:
    found = machine_folder()
    assert found == tmp_path / f"phasetune-{os.getuid()}"
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


@pytest.mark.parametrize("is_link", [False, True], ids=["of another user", "a link"])
def test_what_another_user_made_under_our_name_is_refused(
    is_link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / f"phasetune-{os.getuid()}"
    if is_link:
        there.symlink_to(tmp_path)
    else:
        there.mkdir()
        found = there.lstat()
        other = os.stat_result([*found[:4], found.st_uid + 1, *found[5:10]])
        monkeypatch.setattr(Path, "lstat", lambda _: other)
    with pytest.raises(StoreError, match="another user's; name a folder of this machine by PHASE"):
        module._of_nobody_else(tmp_path)


def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("HOME")


def of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"phasetune-{os.getuid()}").symlink_to(tmp_path)


def without_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TEMPORARY", tmp_path / "missing")


@pytest.mark.usefixtures("shared_home")
@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        (homeless, "this machine has no folder of its own .*Could not determine home"),
        (of_another_user, "is another user's"),
        (without_temporary_folder, "this machine has no folder of its own .*No such file"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_who_needs_none_works_without_one_and_who_does_is_told(
    lacks: Callable[[Path, pytest.MonkeyPatch], None],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror._mirrors_of.cache_clear()
    lacks(tmp_path, monkeypatch)
    results = tmp_path / "results"
    with driving(results_at(results), "study") as lock:
        lock.hold()
        write_text(results / "study/study.yaml", "name: study\n")
    assert mirror.mirror_of(results) is None
    with pytest.raises(StoreError, match=f"{says}.*name (one|a folder of this machine) by PHASET"):
        results_at("s3://bucket/x")
    mirror._mirrors_of.cache_clear()


def test_a_folder_beside_the_mirrors_is_a_plain_one() -> None:
    assert mirror.mirror_of(machine_folder() / "mirrors-old/x/y") is None
    assert mirror.mirror_of(machine_folder() / "mirrors") is None
    with pytest.raises(StoreError, match="is no mirror of results any more"):
        mirror.mirror_of(machine_folder() / "mirrors/x/y")


def test_only_a_root_that_machines_share_has_another_place(
    mounted_results: str, tmp_path: Path, bucket: str
) -> None:
    assert local_root(tmp_path / "results") == tmp_path / "results"
    root = results_at(f"{bucket}/results").root
    assert local_root(root) == root
    places = {local_root(Path(mounted_results, name)) for name in ("one", "two")}
    assert len(places) == 2
    assert {place.parent for place in places} == {machine_folder() / "roots"}


def test_databases_and_what_is_remembered_of_files_are_of_this_machine(
    mounted_results: str, tmp_path: Path
) -> None:
    paths = ResultsPaths(Path(mounted_results))
    for path in (paths.mlflow, paths.mlflow_artifacts, paths.digests):
        assert path.is_relative_to(local_root(paths.root))
    with driving(paths, "study") as lock:
        lock.hold()
        with remembered_digests(paths.digests, fresh=True):
            file_digest(tmp_path / "mountinfo")
    assert paths.digests.is_file()
    assert not list(paths.root.rglob("digests.json"))


def test_workers_of_this_machine_are_waited_for_by_a_lock_of_this_machine(
    mounted_results: str,
) -> None:
    study = ResultsPaths(Path(mounted_results)).study("study")
    count_as_worker(study)
    with pytest.raises(StoreError, match=f"1 worker .pid {os.getpid()}. of an earlier command"):
        wait_for_workers(study, tell=lambda _: None, is_over=lambda: False, wait_seconds=0.0)
    assert study.workers_lock.is_relative_to(machine_folder())
    assert not study.root.exists()
